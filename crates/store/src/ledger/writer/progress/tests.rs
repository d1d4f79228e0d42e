//! What stands between writing and syncing, by example.

use super::*;

type Plain = Progress<&'static str, &'static str>;

fn at(millis: u64) -> Instant {
    // A moment to count from; no test waits for another one.
    static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BEGUN.get_or_init(Instant::now) + Duration::from_millis(millis)
}

#[test]
fn what_is_due_is_synced_first_and_what_lies_about_is_put_in_order_when_nothing_is() {
    let progress = Plain::default();
    let mut state = progress.lock();
    (state.written, state.untidy) = (7, TIDY_AFTER);
    assert_eq!(state.next(at(0)), Step::Tidy);
    state.due = Some(at(2));
    assert_eq!(state.next(at(0)), Step::Wait(Some(Duration::from_millis(2))));
    assert_eq!(state.next(at(2)), Step::Sync { up_to: 7 });
    state.held = true;
    assert_eq!(state.next(at(2)), Step::Wait(None));
    (state.held, state.failed) = (false, Some("input/output error"));
    assert_eq!(state.next(at(2)), Step::Wait(None), "it is recovered first");
    state.ended = true;
    assert_eq!(state.next(at(2)), Step::End);
    (state.ended, state.failed, state.due, state.untidy) = (false, None, None, TIDY_AFTER - 1);
    assert_eq!(state.next(at(0)), Step::Wait(None));
}

#[test]
fn who_waits_longest_says_when_all_is_synced() {
    let progress = Plain::default();
    let hour = Duration::from_secs(3_600);
    progress.written(1, Some(hour));
    let due = progress.lock().due.unwrap();
    progress.written(2, Some(2 * hour));
    assert_eq!(progress.lock().due, Some(due));
    progress.written(3, None);
    assert_eq!(progress.lock().due, Some(due), "what need not be synced changes nothing");
    progress.written(4, Some(Duration::ZERO));
    assert_eq!(progress.begin(&mut "side"), Step::Sync { up_to: 4 });
    assert!(!progress.is_behind());
}

#[test]
fn what_failed_is_due_again_and_goes_to_what_took_its_place() {
    let (progress, mut side) = (Progress::default(), "old");
    progress.written(1, Some(Duration::ZERO));
    assert_eq!(progress.begin(&mut side), Step::Sync { up_to: 1 });
    progress.done(Some("input/output error"));
    assert_eq!(progress.settle(), Err("input/output error"));
    assert!(progress.is_behind());
    progress.hold();
    progress.recovered("new");
    assert_eq!(progress.lock().next(Instant::now()), Step::Wait(None), "it is held still");
    progress.go_on();
    assert_eq!((progress.begin(&mut side), side), (Step::Sync { up_to: 1 }, "new"));
    progress.done(None);
    assert_eq!(progress.settle(), Ok(()));
}
