//! ping_pong: to another task and back. See bench/ping_pong.c.
//!
//! Two tasks in turn tell each other by a Notify, which is the least there is to tell with. Between two threads each is in a runtime of its own,
//! bound to a processor. `awake`: another task of each yields all the time, so that no runtime sleeps; they look for what comes from elsewhere
//! each time, and not only now and then as they do by default.

use crate::lone_runtime;
use kit::{bind_here, case, Case, Kit};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::yield_now;

const TRIPS_ONE_LOOP: usize = 1_000_000;
const TRIPS_AWAKE: usize = 65_000;
const TRIPS_PARKED: usize = 13_000;
const QUICK: usize = 50;

/// What each side waits for.
type Balls = Arc<[Notify; 2]>;

async fn serve(balls: Balls, trips: usize) {
    for _ in 0..trips {
        balls[1].notify_one();
        balls[0].notified().await;
    }
}

async fn answer(balls: Balls, trips: usize) {
    for _ in 0..trips {
        balls[1].notified().await;
        balls[0].notify_one();
    }
}

fn new_balls() -> Balls {
    Arc::new([Notify::new(), Notify::new()])
}

fn run_one_loop(kit: &mut Kit) {
    let runtime = lone_runtime();
    let trips = kit.scaled(TRIPS_ONE_LOOP, TRIPS_ONE_LOOP / QUICK);
    let play = |trips| {
        let balls = new_balls();
        let players = [runtime.spawn(answer(balls.clone(), trips)), runtime.spawn(serve(balls, trips))];
        runtime.block_on(async {
            for player in players {
                player.await.expect("a player");
            }
        });
    };
    play(trips / 8);
    kit.start();
    play(trips);
    kit.stop_alone("ns", trips as f64);
}

fn eager_runtime() -> Runtime {
    Builder::new_current_thread().global_queue_interval(1).enable_all().build().expect("a runtime")
}

/// Run `player` as a task, and beside it, if wanted, one that keeps the runtime awake.
fn play_in(runtime: &Runtime, is_awake: bool, player: impl Future<Output = ()> + Send + 'static) {
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = is_over.clone();
    let waker = runtime.spawn(async move {
        while is_awake && !seen.load(Relaxed) {
            yield_now().await;
        }
    });
    runtime.block_on(async {
        runtime.spawn(player).await.expect("a player");
        is_over.store(true, Relaxed);
        waker.await.expect("a task");
    });
}

fn run_two_loops(kit: &mut Kit, is_awake: bool, trips: usize) {
    let trips = kit.scaled(trips, trips / QUICK);
    let (balls, begin) = (new_balls(), Arc::new(Barrier::new(2)));
    let (other_balls, other_begin) = (balls.clone(), begin.clone());
    let other = thread::spawn(move || {
        bind_here(1);
        let runtime = eager_runtime();
        for trips in [trips / 8, trips] {
            other_begin.wait();
            play_in(&runtime, is_awake, answer(other_balls.clone(), trips));
        }
    });
    bind_here(0);
    let runtime = eager_runtime();
    begin.wait();
    play_in(&runtime, is_awake, serve(balls.clone(), trips / 8));
    begin.wait();
    kit.start();
    play_in(&runtime, is_awake, serve(balls, trips));
    kit.stop("ns", trips as f64);
    other.join().expect("a thread");
}

pub fn cases() -> Vec<Case> {
    vec![
        case("ping_pong", "one_loop", 1, run_one_loop),
        case("ping_pong", "awake", 2, |kit| run_two_loops(kit, true, TRIPS_AWAKE)),
        case("ping_pong", "parked", 2, |kit| run_two_loops(kit, false, TRIPS_PARKED)),
    ]
}
