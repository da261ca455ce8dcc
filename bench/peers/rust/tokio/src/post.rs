//! post: so many threads hand something to a runtime of one thread. See bench/kit/posters.h.
//!
//! They send functions through one channel to a task that calls them. To spawn a task for each would cost more.

use crate::lone_runtime;
use kit::{case, Case, Kit};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};

const POSTS: usize = 400_000;
const POSTS_QUICK: usize = 20_000;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

type Post = fn();

/// Only the taker writes it.
fn take() {
    TAKEN.store(TAKEN.load(Relaxed) + 1, Relaxed);
}

async fn take_all(mut receiver: UnboundedReceiver<Post>) {
    while let Some(post) = receiver.recv().await {
        post();
    }
}

fn post_often(sender: &UnboundedSender<Post>, count: usize) {
    for _ in 0..count {
        sender.send(take as Post).expect("a taker");
    }
}

/// All of them were taken when the taker's channel has come to its end.
fn go_round(kit: &mut Kit, threads: usize, count: usize) {
    let begin = Arc::new(Barrier::new(threads + 2));
    let (sender, receiver) = unbounded_channel();
    let taker_begin = begin.clone();
    let taker = thread::spawn(move || {
        let runtime = lone_runtime();
        let task = runtime.spawn(take_all(receiver));
        taker_begin.wait();
        runtime.block_on(task).expect("a task");
    });
    let posters: Vec<_> = (0..threads)
        .map(|_| {
            let (sender, begin) = (sender.clone(), begin.clone());
            thread::spawn(move || {
                begin.wait();
                post_often(&sender, count);
            })
        })
        .collect();
    drop(sender);
    kit.start();
    begin.wait();
    posters.into_iter().for_each(|poster| poster.join().expect("a thread"));
    taker.join().expect("a thread");
}

fn run_producers(kit: &mut Kit, threads: usize) {
    let count = kit.scaled(POSTS, POSTS_QUICK) / threads;
    go_round(kit, threads, count);
    go_round(kit, threads, count);
    kit.stop("ns", (count * threads) as f64);
    kit.check(TAKEN.load(Relaxed) == 2 * count * threads, "how many were taken");
}

pub fn cases() -> Vec<Case> {
    vec![
        case("post", "producers_1", 1, |kit| run_producers(kit, 1)),
        case("post", "producers_2", 1, |kit| run_producers(kit, 2)),
        case("post", "producers_3", 1, |kit| run_producers(kit, 3)),
        case("post", "producers_4", 1, |kit| run_producers(kit, 4)),
    ]
}
