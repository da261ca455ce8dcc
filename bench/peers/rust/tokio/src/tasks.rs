//! spawn_join and yield: what tasks cost that end at once, and that let the others have a turn. See bench/spawn_join.c and bench/yield.c.
//!
//! A task of tokio has no stack of its own, so it answers what weft's steps are asked. All is done within a task: what block_on() itself runs is
//! slower.

use crate::{lone_runtime, stealing_runtime};
use kit::{case, Case, Kit};
use tokio::spawn;
use tokio::task::yield_now;

const BATCH: usize = 256;
const TASKS: usize = 1024 * BATCH;
const TASKS_QUICK: usize = 10 * BATCH;
const YIELDS: usize = 4_000_000;
const YIELDS_QUICK: usize = 100_000;

async fn live_one_by_one(count: usize) {
    for _ in 0..count {
        spawn(async {}).await.expect("a task");
    }
}

async fn live_in_batches(count: usize) {
    let mut tasks = Vec::with_capacity(BATCH);
    for _ in 0..count / BATCH {
        tasks.extend((0..BATCH).map(|_| spawn(async {})));
        for task in tasks.drain(..) {
            task.await.expect("a task");
        }
    }
}

fn measure_lives(kit: &mut Kit, at_once: usize) {
    let runtime = stealing_runtime(kit);
    let count = kit.scaled(TASKS, TASKS_QUICK);
    let live = |count| {
        let lives = async move {
            match at_once {
                1 => live_one_by_one(count).await,
                _ => live_in_batches(count).await,
            }
        };
        runtime.block_on(async { runtime.spawn(lives).await.expect("a task") })
    };
    live(count / 8);
    kit.start();
    live(count);
    match kit.loops {
        1 => kit.stop_alone("ns", count as f64),
        _ => kit.stop("ns", count as f64),
    }
}

async fn take_turns(tasks: usize, times: usize) {
    let crowd: Vec<_> = (0..tasks)
        .map(|_| {
            spawn(async move {
                for _ in 0..times {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in crowd {
        task.await.expect("a task");
    }
}

fn measure_yields(kit: &mut Kit, tasks: usize) {
    let runtime = lone_runtime();
    let times = kit.scaled(YIELDS, YIELDS_QUICK) / tasks;
    runtime.block_on(take_turns(tasks, times / 8));
    kit.start();
    runtime.block_on(take_turns(tasks, times));
    kit.stop_alone("ns", (times * tasks) as f64);
}

pub fn cases() -> Vec<Case> {
    vec![
        case("spawn_join", "step", 1, |kit| measure_lives(kit, 1)),
        case("spawn_join", "step_batch_256", 1, |kit| measure_lives(kit, BATCH)),
        case("spawn_join", "spawn_step", 0, |kit| measure_lives(kit, 1)),
        case("spawn_join", "batch_256", 0, |kit| measure_lives(kit, BATCH)),
        case("yield", "one", 1, |kit| measure_yields(kit, 1)),
        case("yield", "hundred", 1, |kit| measure_yields(kit, 100)),
    ]
}
