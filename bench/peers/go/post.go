// post: so many goroutines hand functions to another, which calls them, through a channel with room for some. See bench/kit/posters.h.

package main

import (
	"runtime"
	"sync"
)

const (
	posts      = 400000
	postsQuick = 20000
	postsRoom  = 1024
)

func postCases() []benchCase {
	return []benchCase{
		{"post", "producers_1", 1, func(k *kit) { runProducers(k, 1) }},
		{"post", "producers_2", 1, func(k *kit) { runProducers(k, 2) }},
		{"post", "producers_3", 1, func(k *kit) { runProducers(k, 3) }},
		{"post", "producers_4", 1, func(k *kit) { runProducers(k, 4) }},
	}
}

// runProducers uses all processors: the one loop that is asked for is the taker's.
func runProducers(k *kit, producers int) {
	runtime.GOMAXPROCS(runtime.NumCPU())
	count := k.scaled(posts, postsQuick) / producers
	goRound(k, producers, count)
	taken := goRound(k, producers, count)
	k.end("ns", count*producers)
	k.check(taken == count*producers, "how many were taken")
}

func goRound(k *kit, producers, count int) int {
	var posting sync.WaitGroup
	queue, over, taken := make(chan func(), postsRoom), make(chan struct{}), 0
	take := func() { taken++ }
	go func() {
		for post := range queue {
			post()
		}
		close(over)
	}()
	posting.Add(producers)
	k.begin()
	for i := 0; i < producers; i++ {
		go func() {
			for j := 0; j < count; j++ {
				queue <- take
			}
			posting.Done()
		}()
	}
	posting.Wait()
	close(queue)
	<-over
	return taken
}
