//! tokio: the benches' questions answered with its tasks, channels, timers and sockets; HTTP by hyper, which is made for it.
//!
//! One loop is a runtime of one thread, which is faster than the other kind with one worker. More are a runtime that steals, where tasks are
//! given away, and as many of the first kind where they would stay.

mod compute;
mod memory;
mod ping_pong;
mod post;
mod server;
mod tasks;
mod timers;

use kit::{contest, Kit};
use tokio::runtime::{Builder, Runtime};

/// Some trees are deep.
const STACK_BYTES: usize = 256 << 20;

/// For tasks that any of the kit's loops may run.
fn stealing_runtime(kit: &Kit) -> Runtime {
    if kit.loops == 1 {
        return lone_runtime();
    }
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(kit.loops as usize).thread_stack_size(STACK_BYTES).enable_all().build().expect("a runtime")
}

/// Of the thread that calls block_on().
fn lone_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn main() {
    let mut cases = Vec::new();
    for some in [compute::cases(), tasks::cases(), ping_pong::cases(), post::cases(), timers::cases(), memory::cases()] {
        cases.extend(some);
    }
    contest(concat!("tokio ", env!("PEER_VERSION")), &cases, server::SERVERS);
}
