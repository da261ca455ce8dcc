// ping_pong: to another goroutine and back, by channels. See bench/ping_pong.c.
//
// `awake`: both look all the time, each on a processor, since a goroutine that waits is not tied to any thread, and the two would share one.
// `parked`: each is locked to a thread of its own, which sleeps while it waits.

package main

const (
	tripsOneLoop = 1000000
	tripsAwake   = 65000
	tripsParked  = 13000
	quickShare   = 50
)

type ball chan struct{}

func pingPongCases() []benchCase {
	return []benchCase{
		{"ping_pong", "one_loop", 1, runOneLoop},
		{"ping_pong", "one_loop_fiber", 1, runOneLoop},
		{"ping_pong", "awake", 2, runAwake},
		{"ping_pong", "awake_fiber", 2, runAwake},
		{"ping_pong", "parked", 2, runParked},
		{"ping_pong", "parked_fiber", 2, runParked},
	}
}

// play returns when the last ball is back; `enter` is called by both goroutines before, and `take` takes a ball.
func play(trips, room int, enter func(), take func(ball)) {
	there, back := make(ball, room), make(ball, room)
	over := make(chan struct{})
	go func() {
		enter()
		for i := 0; i < trips; i++ {
			take(there)
			back <- struct{}{}
		}
		close(over)
	}()
	for i := 0; i < trips; i++ {
		there <- struct{}{}
		take(back)
	}
	<-over
}

func wait(from ball) {
	<-from
}

func look(from ball) {
	for {
		select {
		case <-from:
			return
		default:
		}
	}
}

func runOneLoop(k *kit) {
	trips := k.scaled(tripsOneLoop, tripsOneLoop/quickShare)
	play(trips/8, 0, func() {}, wait)
	k.begin()
	play(trips, 0, func() {}, wait)
	k.endAlone("ns", trips)
}

func runAwake(k *kit) {
	trips := k.scaled(tripsAwake, tripsAwake/quickShare)
	play(trips/8, 1, func() {}, look)
	k.begin()
	play(trips, 1, func() {}, look)
	k.end("ns", trips)
}

func runParked(k *kit) {
	trips := k.scaled(tripsParked, tripsParked/quickShare)
	bindHere(k, 0)
	enter := func() { bindHere(k, 1) }
	play(trips/8, 1, enter, wait)
	k.begin()
	play(trips, 1, enter, wait)
	k.end("ns", trips)
}
