// timers: what it costs to arm one, to disarm it, to move it, and to let it fire. The same as in bench/kit/alarms.c, with time.AfterFunc.
//
// One that fires does so in a goroutine of its own. What is measured is the processor time of all threads. They fire when they are due, since
// there is no turn that could be held up until all are: so they are due soon after each other, late enough for all to be armed.

package main

import (
	"sync"
	"time"
)

const (
	timersMany      = 1000000
	timersManyQuick = 50000
	timersFew       = 1000
	leap            = 7919
	far             = 1000 * time.Second
	dueWithin       = 10 * time.Millisecond
	dueAfter        = 20 * time.Millisecond
	dueAfterEach    = 3 * time.Microsecond
)

type timers struct {
	all   []*time.Timer
	seed  uint64
	first time.Time // that any is due
	fires sync.WaitGroup
}

type timerAct func(*timers)

func timerCases() []benchCase {
	nothing := func(*timers) {}
	return []benchCase{
		timerCase("insert", 1, nothing, (*timers).insert, (*timers).cancel),
		timerCase("insert_1000", 200, nothing, (*timers).insert, (*timers).cancel),
		timerCase("cancel", 1, (*timers).insert, (*timers).cancel, nothing),
		timerCase("cancel_1000", 200, (*timers).insert, (*timers).cancel, nothing),
		timerCase("rearm", 1, (*timers).insert, (*timers).rearm, (*timers).cancel),
		timerCase("rearm_1000", 200, (*timers).insert, (*timers).rearm, (*timers).cancel),
		timerCase("expire", 1, (*timers).insertDue, (*timers).expire, nothing),
		timerCase("expire_1000", 20, (*timers).insertDue, (*timers).expire, nothing),
	}
}

// timerCase measures what comes between two other acts, so many times, after once that warms up.
func timerCase(name string, rounds int, before, measured, after timerAct) benchCase {
	return benchCase{"timers", name, 1, func(k *kit) {
		count := k.scaled(timersMany, timersManyQuick)
		if rounds > 1 {
			count = timersFew
		}
		set := timers{all: make([]*time.Timer, count), seed: 88172645463325252}
		times := k.scaled(rounds, (rounds+99)/100)
		spent := int64(0)
		for round := 0; round <= times; round++ {
			before(&set)
			k.check(set.first.IsZero() || time.Now().Before(set.first), "some have fired before")
			start := now()
			measured(&set)
			end := now()
			if round > 0 {
				spent += end.user + end.sys - start.user - start.sys
			}
			after(&set)
		}
		k.figure("ns", float64(spent)/float64(times)/float64(count))
	}}
}

func (t *timers) draw() uint64 {
	t.seed ^= t.seed << 13
	t.seed ^= t.seed >> 7
	t.seed ^= t.seed << 17
	return t.seed
}

func (t *timers) fired() {
	t.fires.Done()
}

// set arms timer i, or moves it.
func (t *timers) set(i int, delay time.Duration) {
	if t.all[i] == nil {
		t.all[i] = time.AfterFunc(delay, t.fired)
	} else {
		t.all[i].Reset(delay)
	}
}

func (t *timers) setFar(i int) {
	t.set(i, time.Hour+time.Duration(t.draw()%uint64(far)))
}

func (t *timers) insert() {
	for i := range t.all {
		t.setFar(i)
	}
}

func (t *timers) rearm() {
	for i := range t.all {
		t.setFar(i * leap % len(t.all))
	}
}

func (t *timers) cancel() {
	for i := range t.all {
		t.all[i*leap%len(t.all)].Stop()
	}
}

func (t *timers) insertDue() {
	t.first = time.Now().Add(dueAfter + time.Duration(len(t.all))*dueAfterEach)
	t.fires.Add(len(t.all))
	for i := range t.all {
		t.set(i, time.Until(t.first)+time.Duration(t.draw()%uint64(dueWithin)))
	}
}

func (t *timers) expire() {
	t.fires.Wait()
}
