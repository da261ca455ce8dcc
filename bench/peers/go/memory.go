// memory: what a goroutine that waits takes. See bench/memory.c: a million wait for one channel to be closed.

package main

import (
	"runtime"
	"sync"
)

const (
	waiting      = 1000000
	waitingQuick = 10000
)

func memoryCases() []benchCase {
	return []benchCase{{"memory", "fiber_task", 1, measureMemory}}
}

// measureMemory lets the goroutine that counts yield until all others wait: with one processor they have run when it does again.
func measureMemory(k *kit) {
	var group sync.WaitGroup
	bell := make(chan struct{})
	count := k.scaled(waiting, waitingQuick)
	runtime.GC()
	before := residentBytes()
	group.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			<-bell
			group.Done()
		}()
	}
	for i := 0; i < count; i++ {
		runtime.Gosched()
	}
	k.figure("B", (residentBytes()-before)/float64(count))
	close(bell)
	group.Wait()
}
