//! Writing and syncing on two threads, in all interleavings: what is told to be durable is, nothing sleeps
//! for ever, and no call of the disk is under way while it is recovered.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p store --test loom --release`.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

#[path = "../src/ledger/writer/progress.rs"]
#[allow(dead_code)]
mod progress;

use progress::{Progress, Step};

type Error = &'static str;

/// What the disk has, and who is at it.
struct World {
    progress: Progress<bool, Error>,
    written: AtomicU64,
    durable: AtomicU64,
    recovering: AtomicBool,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            progress: Progress::default(),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            recovering: AtomicBool::new(false),
        })
    }
}

/// The thread that syncs; a side that is `false` fails.
fn sync(world: &World, mut side: bool) {
    loop {
        let step = world.progress.begin(&mut side);
        let Step::Sync { up_to } = step else {
            assert_eq!(step, Step::End);
            return;
        };
        assert!(!world.recovering.load(Ordering::SeqCst), "it is held");
        assert!(up_to <= world.written.load(Ordering::SeqCst));
        if side {
            world.durable.store(up_to, Ordering::SeqCst);
        }
        world.progress.done((!side).then_some("refused"));
    }
}

fn write(world: &World, up_to: u64) {
    world.written.store(up_to, Ordering::SeqCst);
    world.progress.written(up_to, Some(Duration::ZERO));
}

/// As the writer's thread does it.
fn recover(world: &World) {
    world.progress.hold();
    world.recovering.store(true, Ordering::SeqCst);
    world.progress.recovered(true);
    world.recovering.store(false, Ordering::SeqCst);
    world.progress.go_on();
}

#[test]
fn all_that_is_written_gets_to_the_disk() {
    for side in [true, false] {
        loom::model(move || {
            let world = World::new();
            let syncer = thread::spawn({
                let world = world.clone();
                move || sync(&world, side)
            });
            write(&world, 1);
            if world.progress.failure().is_some() {
                recover(&world);
            }
            write(&world, 2);
            while world.progress.settle().is_err() {
                recover(&world);
            }
            assert_eq!(world.durable.load(Ordering::SeqCst), 2);
            world.progress.end();
            syncer.join().unwrap();
        });
    }
}

#[test]
fn an_end_without_a_recovery_ends_the_thread() {
    loom::model(|| {
        let world = World::new();
        let syncer = thread::spawn({
            let world = world.clone();
            move || sync(&world, false)
        });
        write(&world, 1);
        world.progress.hold();
        world.progress.end();
        syncer.join().unwrap();
        assert_eq!(world.durable.load(Ordering::SeqCst), 0);
    });
}
