//! Whatever happens in whatever order: the same end as the venue.

use proptest::prelude::*;

use super::world::World;
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Submit(u8),
    Cancel(u8),
    Amend(u8, i64),
    Off,
    On,
    Append,
    Write,
    Reply,
    Take,
    Venue,
    Hear,
    Read(bool),
    Trade(u8),
    CancelAtVenue(u8),
    Link(bool),
    Stuck(bool),
    LoseAnswer,
    LoseRequest,
    Tick(u64),
    Crash,
    Rush,
    Exhaust(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0_u8..4;
    prop_oneof![
        4 => id.clone().prop_map(Step::Submit),
        2 => id.clone().prop_map(Step::Cancel),
        2 => (id.clone(), 1_i64..9).prop_map(|(id, n)| Step::Amend(id, n)),
        1 => Just(Step::Off),
        1 => Just(Step::On),
        3 => Just(Step::Append),
        3 => Just(Step::Write),
        6 => Just(Step::Reply),
        6 => Just(Step::Take),
        6 => Just(Step::Venue),
        8 => Just(Step::Hear),
        2 => any::<bool>().prop_map(Step::Read),
        4 => id.clone().prop_map(Step::Trade),
        1 => id.prop_map(Step::CancelAtVenue),
        1 => any::<bool>().prop_map(Step::Link),
        1 => any::<bool>().prop_map(Step::Stuck),
        1 => Just(Step::LoseAnswer),
        1 => Just(Step::LoseRequest),
        2 => (1_u64..4_000).prop_map(Step::Tick),
        1 => Just(Step::Crash),
        3 => Just(Step::Rush),
        1 => (1_usize..12).prop_map(Step::Exhaust),
    ]
}

fn act(world: &mut World, step: Step) {
    match step {
        Step::Submit(id) => world.submit(&id.to_string()),
        Step::Cancel(id) => world.desk.cancel(&key(&id.to_string()), world.now),
        Step::Amend(id, quantity) => world.amend(&id.to_string(), quantity),
        Step::Off => world.switch_off(),
        Step::On => drop(world.desk.switch_on("c")),
        Step::Append => world.append(),
        Step::Write => world.write(),
        Step::Reply => world.reply(),
        Step::Take => world.take(),
        Step::Venue => world.venue(),
        Step::Hear => world.hear(),
        Step::Read(acknowledge) => world.read(acknowledge),
        Step::Trade(id) => world.trade(&id.to_string()),
        Step::CancelAtVenue(id) => world.cancel_at_venue(&id.to_string()),
        Step::Link(up) => world.set_link(up),
        Step::Stuck(stuck) => world.set_stuck(stuck),
        Step::LoseAnswer => world.lose_answer = true,
        Step::LoseRequest => world.lose_request = true,
        Step::Tick(ms) => world.tick(ms),
        Step::Crash => world.crash(),
        Step::Rush => world.rounds(8),
        Step::Exhaust(reports) => world.exhausted = reports,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_interleaving_ends_where_the_venue_does(
        steps in proptest::collection::vec(step(), 0..120),
        started in any::<bool>(),
    ) {
        let mut world = World::new(DeskOptions::default());
        if started {
            world.rounds(8);
        }
        steps.into_iter().for_each(|step| act(&mut world, step));
        world.settle();
        world.check();
        // Reconciling once more changes nothing.
        let before = (world.facts.len(), world.read.clone());
        world.desk.reconcile(&P.into(), world.now);
        world.settle();
        prop_assert_eq!(before, (world.facts.len(), world.read.clone()));
    }

    /// Else the shard would turn without a pause and do nothing.
    #[test]
    fn what_was_due_is_done_and_is_not_due_any_more(
        steps in proptest::collection::vec(step(), 0..80),
        stranger in any::<bool>(),
        dead_man in any::<bool>(),
    ) {
        let dead_man = dead_man.then_some(Duration::from_secs(10));
        let mut world = World::new(DeskOptions { dead_man, ..DeskOptions::default() });
        if stranger {
            let terms = Terms { provider: "elsewhere".into(), ..terms() };
            world.desk.restore(submitted("s", terms), &[], world.now).unwrap();
        }
        world.rounds(8);
        for step in steps {
            act(&mut world, step);
            world.is_not_busy();
        }
    }

    #[test]
    fn a_ledger_without_room_loses_nothing(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let options = DeskOptions { facts_max: 3, facts_full: 6, ..DeskOptions::default() };
        let mut world = World::new(options);
        world.queue_max = 2;
        world.rounds(8);
        steps.into_iter().for_each(|step| act(&mut world, step));
        world.settle();
        world.check();
    }
}
