//! memory: what a task that waits takes. See bench/memory.c: a million wait for one Notify.

use crate::lone_runtime;
use kit::{case, resident_bytes, Case, Kit};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use tokio::spawn;
use tokio::sync::Notify;
use tokio::task::yield_now;

const TASKS: usize = 1_000_000;
const TASKS_QUICK: usize = 10_000;

static WAITING: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);

async fn wait(bell: Arc<Notify>) {
    WAITING.fetch_add(1, Relaxed);
    bell.notified().await;
    DONE.fetch_add(1, Relaxed);
}

async fn until(count: &AtomicUsize, wanted: usize) {
    while count.load(Relaxed) < wanted {
        yield_now().await;
    }
}

/// The handles are dropped, so that nothing of them is counted.
async fn measure(kit: &Kit, count: usize) {
    let bell = Arc::new(Notify::new());
    let before = resident_bytes();
    for _ in 0..count {
        spawn(wait(bell.clone()));
    }
    until(&WAITING, count).await;
    kit.figure("B", (resident_bytes() - before) / count as f64);
    bell.notify_waiters();
    until(&DONE, count).await;
}

pub fn cases() -> Vec<Case> {
    vec![case("memory", "step_task", 1, |kit| lone_runtime().block_on(measure(kit, kit.scaled(TASKS, TASKS_QUICK))))]
}
