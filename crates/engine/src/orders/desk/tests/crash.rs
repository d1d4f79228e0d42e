//! The process is killed at every single step of a story, and the story goes on.

use super::world::World;
use super::*;

/// A story with everything in it, as small steps.
fn story() -> Vec<fn(&mut World)> {
    let mut story: Vec<fn(&mut World)> = Vec::new();
    let turn: [fn(&mut World); 8] = [
        World::append,
        World::write,
        World::reply,
        World::reply,
        World::reply,
        World::take,
        World::venue,
        World::hear,
    ];
    let turns = |story: &mut Vec<fn(&mut World)>, n: usize| {
        (0..n).for_each(|_| story.extend(turn));
        story.push(|world| world.read(true));
    };
    turns(&mut story, 6);
    story.push(|world| world.submit("1"));
    turns(&mut story, 4);
    story.push(|world| world.trade("1"));
    turns(&mut story, 2);
    story.push(|world| world.lose_answer = true);
    story.push(|world| world.submit("2"));
    turns(&mut story, 4);
    story.push(|world| world.trade("2"));
    story.push(|world| world.amend("1", 3));
    turns(&mut story, 4);
    story.push(|world| world.set_link(false));
    story.push(|world| world.trade("1"));
    story.push(|world| world.trade("1"));
    story.push(|world| world.submit("3"));
    turns(&mut story, 2);
    story.push(|world| world.set_link(true));
    turns(&mut story, 6);
    story.push(|world| world.desk.cancel(&key("2"), world.now));
    story.push(|world| world.lose_request = true);
    story.push(|world| world.submit("4"));
    turns(&mut story, 5);
    story.push(|world| world.tick(3_000));
    turns(&mut story, 3);
    story.push(World::switch_off);
    turns(&mut story, 3);
    story
}

#[test]
fn killed_at_any_step_nothing_is_sent_twice_and_nothing_lost() {
    let story = story();
    for kill in 0..=story.len() {
        let mut world = World::new(DeskOptions::default());
        for (n, step) in story.iter().enumerate() {
            if n == kill {
                world.crash();
            }
            step(&mut world);
        }
        world.settle();
        world.check();
    }
}

#[test]
fn killed_at_any_two_steps_near_each_other_nothing_is_sent_twice_and_nothing_lost() {
    let story = story();
    for kill in 0..story.len() {
        for again in [1, 2, 3, 5, 8, 13, 21] {
            let mut world = World::new(DeskOptions::default());
            for (n, step) in story.iter().enumerate() {
                if n == kill || n == kill + again {
                    world.crash();
                }
                step(&mut world);
            }
            world.settle();
            world.check();
        }
    }
}
