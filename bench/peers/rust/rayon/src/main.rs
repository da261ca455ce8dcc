//! rayon: the computations of fork_join by join(), which a node with more than two children calls for halves of them.

use kit::workload::{self, Runner};
use kit::{contest, matmul, parallel_for, queens::Queens, uts, Kit};
use rayon::{join, ThreadPoolBuilder};
use std::ops::Range;

const CHILDREN: usize = 10;

/// Some trees are deep.
const STACK_BYTES: usize = 256 << 20;

fn fib(n: usize) -> u64 {
    if n < 2 {
        return n as u64;
    }
    let (left, right) = join(|| fib(n - 1), || fib(n - 2));
    left + right
}

/// The sum of what is found for each of the indices, as jobs.
fn sum_each(range: Range<usize>, each: &(impl Fn(usize) -> u64 + Sync)) -> u64 {
    if range.len() < 2 {
        return range.map(each).sum();
    }
    let middle = range.start + range.len() / 2;
    let (lower, upper) = join(|| sum_each(range.start..middle, each), || sum_each(middle..range.end, each));
    lower + upper
}

fn place(board: &Queens) -> u64 {
    let (mut safe, mut count) = ([0; 16], 0);
    if board.count == board.size {
        return 1;
    }
    for column in (0..board.size).filter(|&column| board.are_safe(column)) {
        safe[count] = column;
        count += 1;
    }
    sum_each(0..count, &|i| place(&board.with(safe[i])))
}

fn add_up(first: u64, leaves: usize) -> u64 {
    if leaves == 1 {
        return first;
    }
    let part = leaves / CHILDREN;
    sum_each(0..CHILDREN, &|i| add_up(first + (i * part) as u64, part))
}

fn walk(tree: &uts::Tree, node: &uts::Node) -> u64 {
    1 + sum_each(0..tree.count(node), &|i| walk(tree, &node.child(i)))
}

fn walk_all(tree: &uts::Tree) -> u64 {
    walk(tree, &tree.root())
}

fn multiply(part: matmul::Part) {
    if part.size == matmul::BLOCK {
        return part.multiply();
    }
    for inner in 0..2 {
        let quarter = |row, column| multiply(part.quarter(row, column, inner));
        join(|| join(|| quarter(0, 0), || quarter(0, 1)), || join(|| quarter(1, 0), || quarter(1, 1)));
    }
}

fn sum_up(first: u32, count: u32) -> u64 {
    let half = count / 2;
    if count <= parallel_for::GRAIN {
        return parallel_for::sum(first, count);
    }
    let (lower, upper) = join(|| sum_up(first, half), || sum_up(first + half, count - half));
    lower + upper
}

fn in_a_pool(compute: fn(usize) -> u64) -> impl Fn(&Kit) -> Runner {
    move |kit| {
        let pool = ThreadPoolBuilder::new().num_threads(kit.loops as usize).stack_size(STACK_BYTES).build().expect("threads");
        Box::new(move |size, times| pool.install(|| (0..times).fold(0, |_, _| compute(size))))
    }
}

fn main() {
    let cases = [
        workload::compute(workload::FIB, in_a_pool(fib)),
        workload::compute(workload::QUEENS, in_a_pool(|size| place(&Queens::new(size)))),
        workload::compute(workload::SKYNET, in_a_pool(|size| add_up(0, size))),
        workload::compute(workload::UTS_GEOMETRIC, in_a_pool(|size| walk_all(&uts::geometric(size)))),
        workload::compute(workload::UTS_BINOMIAL, in_a_pool(|size| walk_all(&uts::binomial(size)))),
        workload::compute(
            workload::MATMUL,
            in_a_pool(|size| {
                multiply(matmul::all(size));
                0
            }),
        ),
        workload::compute(workload::PARALLEL_FOR, in_a_pool(|size| sum_up(0, size as u32))),
    ];
    contest(concat!("rayon ", env!("PEER_VERSION")), &cases, &[]);
}
