//! The computations of fork_join: a task for each fork. A future that calls itself lies in a box; the last child runs in its parent's task.
//!
//! Tasks have their turns in the order in which they come, so that many of them are in memory at once. fib(38) has 63 million forks and would
//! take minutes: it is left out, since a smaller one would not be the same question.

use crate::stealing_runtime;
use kit::workload::{self, Runner};
use kit::{matmul, parallel_for, queens::Queens, uts, Case, Kit};
use std::future::Future;
use std::pin::Pin;
use tokio::spawn;

const CHILDREN: usize = 10;

type Found = Pin<Box<dyn Future<Output = u64> + Send>>;

/// The sum of what is found for each of `count` indices.
async fn sum_each(count: usize, each: impl Fn(usize) -> Found) -> u64 {
    if count == 0 {
        return 0;
    }
    let tasks: Vec<_> = (0..count - 1).map(|i| spawn(each(i))).collect();
    let mut sum = each(count - 1).await;
    for task in tasks {
        sum += task.await.expect("a task");
    }
    sum
}

fn place(board: Queens) -> Found {
    Box::pin(async move {
        let (mut safe, mut count) = ([0; 16], 0);
        if board.count == board.size {
            return 1;
        }
        for column in (0..board.size).filter(|&column| board.are_safe(column)) {
            safe[count] = column;
            count += 1;
        }
        sum_each(count, |i| place(board.with(safe[i]))).await
    })
}

fn add_up(first: u64, leaves: usize) -> Found {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let part = leaves / CHILDREN;
        sum_each(CHILDREN, |i| add_up(first + (i * part) as u64, part)).await
    })
}

fn walk(tree: &'static uts::Tree, node: uts::Node) -> Found {
    Box::pin(async move { 1 + sum_each(tree.count(&node), |i| walk(tree, node.child(i))).await })
}

/// Tasks outlive whoever has made them, as far as the compiler can tell.
fn walk_all(tree: uts::Tree) -> Found {
    let tree = Box::leak(Box::new(tree));
    walk(tree, tree.root())
}

fn multiply(part: matmul::Part) -> Found {
    Box::pin(async move {
        if part.size == matmul::BLOCK {
            part.multiply();
            return 0;
        }
        for inner in 0..2 {
            sum_each(4, |i| multiply(part.quarter(i / 2, i % 2, inner))).await;
        }
        0
    })
}

fn sum_up(first: u32, count: u32) -> Found {
    Box::pin(async move {
        let half = count / 2;
        if count <= parallel_for::GRAIN {
            return parallel_for::sum(first, count);
        }
        let upper = spawn(sum_up(first + half, count - half));
        let lower = sum_up(first, half).await;
        lower + upper.await.expect("a task")
    })
}

fn in_a_runtime(compute: fn(usize) -> Found) -> impl Fn(&Kit) -> Runner {
    move |kit| {
        let runtime = stealing_runtime(kit);
        Box::new(move |size, times| (0..times).fold(0, |_, _| runtime.block_on(spawn_in(&runtime, compute(size)))))
    }
}

async fn spawn_in(runtime: &tokio::runtime::Runtime, found: Found) -> u64 {
    runtime.spawn(found).await.expect("a task")
}

pub fn cases() -> Vec<Case> {
    vec![
        workload::compute(workload::QUEENS, in_a_runtime(|size| place(Queens::new(size)))),
        workload::compute(workload::SKYNET, in_a_runtime(|size| add_up(0, size))),
        workload::compute(workload::UTS_GEOMETRIC, in_a_runtime(|size| walk_all(uts::geometric(size)))),
        workload::compute(workload::UTS_BINOMIAL, in_a_runtime(|size| walk_all(uts::binomial(size)))),
        workload::compute(workload::MATMUL, in_a_runtime(|size| multiply(matmul::all(size)))),
        workload::compute(workload::PARALLEL_FOR, in_a_runtime(|size| sum_up(0, size as u32))),
    ]
}
