//! Workloads: what there is to compute, how large and with which result, as bench/workloads/workload.c has them.

use crate::{case, matmul, Case, Kit};

pub struct Workload {
    pub name: &'static str,
    pub size: usize,
    pub quick_size: usize,
    /// Runs that are timed together.
    pub repeats: u32,
    pub expected: u64,
    pub quick_expected: u64,
    /// What is done before each run without being timed.
    pub prepare: fn(usize),
    /// The result, given what the run returned.
    pub result: fn(usize, u64) -> u64,
}

fn nothing(_size: usize) {}

fn as_returned(_size: usize, returned: u64) -> u64 {
    returned
}

const PLAIN: Workload = Workload {
    name: "",
    size: 0,
    quick_size: 0,
    repeats: 1,
    expected: 0,
    quick_expected: 0,
    prepare: nothing,
    result: as_returned,
};

pub const FIB: Workload = Workload { name: "fib", size: 38, quick_size: 24, expected: 39088169, quick_expected: 46368, ..PLAIN };

pub const QUEENS: Workload = Workload { name: "queens", size: 12, quick_size: 8, expected: 14200, quick_expected: 92, ..PLAIN };

pub const SKYNET: Workload = Workload {
    name: "skynet",
    size: 1000000,
    quick_size: 1000,
    repeats: 5,
    expected: 499999500000,
    quick_expected: 499500,
    ..PLAIN
};

pub const UTS_GEOMETRIC: Workload =
    Workload { name: "uts_t1", size: 10, quick_size: 5, expected: 4130071, quick_expected: 3987, ..PLAIN };

pub const UTS_BINOMIAL: Workload =
    Workload { name: "uts_t3", size: 2000, quick_size: 40, expected: 4112897, quick_expected: 6521, ..PLAIN };

pub const MATMUL: Workload = Workload {
    name: "matmul",
    size: matmul::MAX,
    quick_size: 128,
    prepare: matmul::prepare,
    result: matmul::count_wrong,
    ..PLAIN
};

pub const PARALLEL_FOR: Workload = Workload {
    name: "parallel_for",
    size: 10000000,
    quick_size: 100000,
    repeats: 5,
    expected: 83890610879090,
    quick_expected: 839007035163,
    ..PLAIN
};

/// Computes a size so many times, and gives the last result.
pub type Runner = Box<dyn Fn(usize, u32) -> u64>;

/// A case of fork_join: `make` starts what computes on kit.loops threads. It warms up by a small size, and is checked.
pub fn compute(workload: Workload, make: impl Fn(&Kit) -> Runner + 'static) -> Case {
    case("fork_join", workload.name, 0, move |kit| {
        let (size, expected) = match kit.is_quick {
            true => (workload.quick_size, workload.quick_expected),
            false => (workload.size, workload.expected),
        };
        let run = make(kit);
        (workload.prepare)(workload.quick_size);
        run(workload.quick_size, 1);
        (workload.prepare)(size);
        kit.start();
        let returned = run(size, workload.repeats);
        kit.stop("ms", workload.repeats.into());
        kit.check((workload.result)(size, returned) == expected, "the result");
    })
}
