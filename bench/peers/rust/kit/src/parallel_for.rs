//! Parallel for: a sum over a range of indices, and what it adds for each, as in bench/workloads/parallel_for.h.

/// What a job may take at least, lest it be all cost of jobs.
pub const GRAIN: u32 = 2048;

#[inline]
fn value(index: u32) -> u64 {
    let mut mixed = u64::from(index.wrapping_add(1)).wrapping_mul(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 32).wrapping_mul(0x94d049bb133111eb);
    mixed >> 40
}

/// The innermost loop of all who split a range.
#[inline]
pub fn sum(first: u32, count: u32) -> u64 {
    (first..first + count).map(value).sum()
}
