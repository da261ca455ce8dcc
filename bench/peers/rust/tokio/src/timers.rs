//! timers: what it costs to arm one, to disarm it, to move it, and to let it fire. The same as in bench/kit/alarms.c, with futures of sleep.
//!
//! A timer that is not armed is none at all: an armed one is dropped to disarm it. To arm one is to poll it, which leaves the task's waker there.

use crate::lone_runtime;
use kit::{case, thread_ns, Case, Draw, Kit};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::unconstrained;
use tokio::time::{sleep_until, Sleep};

const MANY: usize = 1_000_000;
const MANY_QUICK: usize = 50_000;
const FEW: usize = 1_000;
const LEAP: usize = 7919;
const HOUR_NS: u64 = 3_600_000_000_000;
const FAR_NS: u64 = 1_000_000_000_000;
const MANY_DUE_NS: u64 = 500_000_000;
const FEW_DUE_NS: u64 = 10_000_000;

#[derive(Clone, Copy, PartialEq)]
enum Act {
    Insert,
    Cancel,
    Rearm,
    Expire,
    Nothing,
}

/// Calls a function in the task that awaits it.
struct InTask<F>(F);

impl<F: FnMut(&mut Context) + Unpin> Future for InTask<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<()> {
        (self.0)(context);
        Poll::Ready(())
    }
}

struct Timers {
    slots: Box<[Option<Sleep>]>,
    now: Instant,
    draw: Draw,
}

impl Timers {
    fn new(count: usize) -> Timers {
        Timers { slots: (0..count).map(|_| None).collect(), now: Instant::now(), draw: Draw::new() }
    }

    /// The slots never move.
    fn slot(&mut self, i: usize) -> Pin<&mut Option<Sleep>> {
        // SAFETY: a box does not move what it holds, and nobody takes a timer out of its slot.
        unsafe { Pin::new_unchecked(&mut self.slots[i]) }
    }

    fn set(&mut self, i: usize, delay_ns: u64, context: &mut Context) {
        let deadline = (self.now + Duration::from_nanos(delay_ns)).into();
        let mut slot = self.slot(i);
        if let Some(armed) = slot.as_mut().as_pin_mut() {
            return armed.reset(deadline);
        }
        slot.set(Some(sleep_until(deadline)));
        let _ = slot.as_pin_mut().expect("a timer").poll(context);
    }

    fn set_far(&mut self, i: usize, context: &mut Context) {
        let delay_ns = HOUR_NS + self.draw.next() % FAR_NS;
        self.set(i, delay_ns, context);
    }

    /// In leaps.
    fn place(&self, i: usize) -> usize {
        i * LEAP % self.slots.len()
    }

    /// All are due when it returns.
    fn insert_due(&mut self, context: &mut Context) {
        let within_ns = if self.slots.len() == FEW { FEW_DUE_NS } else { MANY_DUE_NS };
        self.now = Instant::now();
        for i in 0..self.slots.len() {
            let delay_ns = self.draw.next() % within_ns;
            self.set(i, delay_ns, context);
        }
        while self.now.elapsed().as_nanos() < u128::from(within_ns * 11 / 10) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A loop over all of them. A task may do as much at once only if it is not constrained.
    fn act(&mut self, act: Act, context: &mut Context) {
        match act {
            Act::Insert => (0..self.slots.len()).for_each(|i| self.set_far(i, context)),
            Act::Rearm => (0..self.slots.len()).for_each(|i| self.set_far(self.place(i), context)),
            Act::Cancel => (0..self.slots.len()).for_each(|i| self.slot(self.place(i)).set(None)),
            Act::Expire => self.insert_due(context),
            Act::Nothing => (),
        }
    }

    async fn perform(&mut self, act: Act) {
        unconstrained(InTask(|context: &mut Context| self.act(act, context))).await;
    }

    /// Wait for all in turn: the first wait lets the runtime turn, in which all fire.
    async fn expire(&mut self) {
        for i in 0..self.slots.len() {
            self.slot(i).as_pin_mut().expect("a timer").await;
        }
    }
}

/// What is measured comes between two other acts, so many times, after once that warms up.
async fn measure(kit: &Kit, count: usize, rounds: usize, acts: [Act; 3]) {
    let mut timers = Timers::new(count);
    let mut spent = 0;
    for round in 0..=rounds {
        timers.now = Instant::now();
        timers.perform(acts[0]).await;
        let start = thread_ns();
        match acts[1] {
            Act::Expire => unconstrained(timers.expire()).await,
            other => timers.perform(other).await,
        }
        spent += if round == 0 { 0 } else { thread_ns() - start };
        timers.perform(acts[2]).await;
    }
    kit.figure("ns", spent as f64 / rounds as f64 / count as f64);
}

fn timer_case(name: &'static str, rounds: usize, acts: [Act; 3]) -> Case {
    case("timers", name, 1, move |kit| {
        let count = if rounds > 1 { FEW } else { kit.scaled(MANY, MANY_QUICK) };
        let rounds = if rounds > 1 { kit.scaled(rounds, 2) } else { 1 };
        lone_runtime().block_on(measure(kit, count, rounds, acts));
    })
}

pub fn cases() -> Vec<Case> {
    let insert = [Act::Nothing, Act::Insert, Act::Cancel];
    let cancel = [Act::Insert, Act::Cancel, Act::Nothing];
    let rearm = [Act::Insert, Act::Rearm, Act::Cancel];
    let expire = [Act::Expire, Act::Expire, Act::Cancel];
    vec![
        timer_case("insert", 1, insert),
        timer_case("insert_1000", 200, insert),
        timer_case("cancel", 1, cancel),
        timer_case("cancel_1000", 200, cancel),
        timer_case("rearm", 1, rearm),
        timer_case("rearm_1000", 200, rearm),
        timer_case("expire", 1, expire),
        timer_case("expire_1000", 20, expire),
    ]
}
