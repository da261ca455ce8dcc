// Unbalanced trees: nobody can tell how large a subtree is without walking it. The same as in bench/workloads/uts.h, which says more.

package main

import (
	"encoding/binary"
	"math"
)

const geometricChildrenMax = 100

type utsTree struct {
	isGeometric bool    // each node above depthMax has `branching` children on average; else the root has so many, and each other
	branching   float64 // node `many` with probability `chance`, or none
	depthMax    int
	chance      float64
	many        int
	seed        uint32
}

type utsNode struct {
	state [sha1Bytes]byte
	depth int
}

func utsGeometric(size int) *utsTree {
	return &utsTree{isGeometric: true, branching: 4, depthMax: size, seed: 19}
}

func utsBinomial(size int) *utsTree {
	return &utsTree{branching: float64(size), chance: 0.124875, many: 8, seed: 42}
}

// hash is the digest of some bytes and a number behind them.
func hash(bytes []byte, number uint32) [sha1Bytes]byte {
	var message [sha1Bytes + 4]byte
	copy(message[:], bytes)
	binary.BigEndian.PutUint32(message[len(bytes):], number)
	return sha1Short(message[:len(bytes)+4])
}

func (tree *utsTree) root() utsNode {
	return utsNode{hash(make([]byte, 16), tree.seed), 0}
}

func (node *utsNode) child(index int) utsNode {
	return utsNode{hash(node.state[:], uint32(index)), node.depth + 1}
}

// draw is the node's own number in [0, 1): its last 31 bits.
func (node *utsNode) draw() float64 {
	return float64(binary.BigEndian.Uint32(node.state[sha1Bytes-4:])&0x7fffffff) / 2147483648.0
}

// count is how many children `node` has.
func (tree *utsTree) count(node *utsNode) int {
	switch {
	case tree.isGeometric && node.depth >= tree.depthMax:
		return 0
	case tree.isGeometric:
		stop := 1 / (1 + tree.branching)
		return int(math.Min(math.Floor(math.Log(1-node.draw())/math.Log(1-stop)), geometricChildrenMax))
	case node.depth == 0:
		return int(tree.branching)
	case node.draw() < tree.chance:
		return tree.many
	}
	return 0
}

func walk(tree *utsTree, node *utsNode) uint64 {
	return 1 + sumEach(tree.count(node), func(i int) uint64 {
		child := node.child(i)
		return walk(tree, &child)
	})
}

func walkAll(tree *utsTree) uint64 {
	root := tree.root()
	return walk(tree, &root)
}
