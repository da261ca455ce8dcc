//! Unbalanced trees: nobody can tell how large a subtree is without walking it. The same as in bench/workloads/uts.h, which says more.

use crate::sha1;

const GEOMETRIC_CHILDREN_MAX: f64 = 100.0;

pub enum Shape {
    /// Each node above the depth has so many children on average.
    Geometric { branching: f64, depth_max: usize },
    /// The root has so many; each other node `many` with probability `chance`, else none.
    Binomial { branching: usize, chance: f64, many: usize },
}

pub struct Tree {
    shape: Shape,
    seed: u32,
}

#[derive(Clone, Copy)]
pub struct Node {
    state: [u8; sha1::BYTES],
    depth: usize,
}

pub const fn geometric(size: usize) -> Tree {
    Tree { shape: Shape::Geometric { branching: 4.0, depth_max: size }, seed: 19 }
}

pub const fn binomial(size: usize) -> Tree {
    Tree { shape: Shape::Binomial { branching: size, chance: 0.124875, many: 8 }, seed: 42 }
}

/// The digest of some bytes and a number behind them.
fn hash(bytes: &[u8], number: u32) -> [u8; sha1::BYTES] {
    let mut message = [0; sha1::BYTES + 4];
    message[..bytes.len()].copy_from_slice(bytes);
    message[bytes.len()..bytes.len() + 4].copy_from_slice(&number.to_be_bytes());
    sha1::short(&message[..bytes.len() + 4])
}

impl Node {
    pub fn child(&self, index: usize) -> Node {
        Node { state: hash(&self.state, index as u32), depth: self.depth + 1 }
    }

    /// The node's own number in [0, 1): its last 31 bits.
    fn chance(&self) -> f64 {
        let last = self.state[sha1::BYTES - 4..].try_into().expect("4 bytes");
        f64::from(u32::from_be_bytes(last) & 0x7fffffff) / 2147483648.0
    }
}

impl Tree {
    pub fn root(&self) -> Node {
        Node { state: hash(&[0; 16], self.seed), depth: 0 }
    }

    /// How many children `node` has.
    pub fn count(&self, node: &Node) -> usize {
        match self.shape {
            Shape::Geometric { depth_max, .. } if node.depth >= depth_max => 0,
            Shape::Geometric { branching, .. } => {
                let stop = 1.0 / (1.0 + branching);
                let count = ((1.0 - node.chance()).ln() / (1.0 - stop).ln()).floor();
                count.min(GEOMETRIC_CHILDREN_MAX) as usize
            }
            Shape::Binomial { branching, .. } if node.depth == 0 => branching,
            Shape::Binomial { chance, many, .. } => many * usize::from(node.chance() < chance),
        }
    }
}
