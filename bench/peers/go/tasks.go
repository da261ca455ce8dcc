// spawn_join and yield: what goroutines cost that end at once, and that let the others have a turn. See bench/spawn_join.c and bench/yield.c.
//
// A goroutine has a stack of its own, so it answers what weft's fibers are asked; and, there being no other kind, what steps are asked where
// everybody is compared.

package main

import (
	"runtime"
	"sync"
)

const (
	batch       = 256
	tasks       = 1024 * batch
	tasksQuick  = 10 * batch
	yields      = 4000000
	yieldsQuick = 100000
)

func taskCases() []benchCase {
	one := func(k *kit) { measureLives(k, liveOneByOne) }
	many := func(k *kit) { measureLives(k, liveInBatches) }
	return []benchCase{
		{"spawn_join", "fiber", 1, one},
		{"spawn_join", "fiber_batch_256", 1, many},
		{"spawn_join", "spawn_fiber", 0, one},
		{"spawn_join", "spawn_fiber_batch_256", 0, many},
		{"spawn_join", "batch_256", 0, many},
		{"yield", "one", 1, func(k *kit) { measureYields(k, 1) }},
		{"yield", "one_fiber", 1, func(k *kit) { measureYields(k, 1) }},
		{"yield", "hundred", 1, func(k *kit) { measureYields(k, 100) }},
		{"yield", "hundred_fiber", 1, func(k *kit) { measureYields(k, 100) }},
	}
}

func liveOneByOne(count int) {
	done := make(chan struct{})
	for i := 0; i < count; i++ {
		go func() { done <- struct{}{} }()
		<-done
	}
}

func liveInBatches(count int) {
	var group sync.WaitGroup
	for i := 0; i < count/batch; i++ {
		group.Add(batch)
		for j := 0; j < batch; j++ {
			go group.Done()
		}
		group.Wait()
	}
}

func measureLives(k *kit, live func(count int)) {
	count := k.scaled(tasks, tasksQuick)
	live(count / 8)
	k.begin()
	live(count)
	if k.loops == 1 {
		k.endAlone("ns", count)
	} else {
		k.end("ns", count)
	}
}

func takeTurns(crowd, times int) {
	var group sync.WaitGroup
	group.Add(crowd)
	for i := 0; i < crowd; i++ {
		go func() {
			for j := 0; j < times; j++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
}

func measureYields(k *kit, crowd int) {
	times := k.scaled(yields, yieldsQuick) / crowd
	takeTurns(crowd, times/8)
	k.begin()
	takeTurns(crowd, times)
	k.endAlone("ns", times*crowd)
}
