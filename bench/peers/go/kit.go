// Kit: what makes a program in Go a contestant of bench/run.py, as bench/kit/kit.h describes it.
//
// A case warms up by itself, and ends the program if its result is wrong.

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// kit is one run of one case.
type kit struct {
	loops   int
	isQuick bool
	present *benchCase
	start   moment
}

type benchCase struct {
	bench, name string
	loops       int // 0: any number; else only so many make sense, and asked for another it prints nothing
	run         func(*kit)
}

// moment is real time, and the processor time of all the process' threads, in nanoseconds.
type moment struct {
	wall      time.Time
	user, sys int64
}

func now() moment {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return moment{time.Now(), usage.Utime.Nano(), usage.Stime.Nano()}
}

// scaled is `full`, or so much less for a look.
func (k *kit) scaled(full, quick int) int {
	if k.isQuick {
		return quick
	}
	return full
}

// begin says that now it begins; what was done before is not collected in the time that counts.
func (k *kit) begin() {
	runtime.GC()
	k.start = now()
}

// end says that now it is over: it prints the real time that each of `units` took in `unit`, and its processor time.
func (k *kit) end(unit string, units int) {
	end := now()
	k.printTime(unit, units, end, end.wall.Sub(k.start.wall).Nanoseconds())
}

// endAlone is the same for what one thread at a time has done: the time that it had a processor for. Goroutines go from thread to thread, and
// the collector has its own, so this is what all threads had.
func (k *kit) endAlone(unit string, units int) {
	end := now()
	k.printTime(unit, units, end, end.user+end.sys-k.start.user-k.start.sys)
}

func (k *kit) printTime(unit string, units int, end moment, took int64) {
	unitNs := map[string]float64{"ms": 1e6, "ns": 1}[unit]
	per := float64(units)
	rest := fmt.Sprintf(",\"user_ns\":%g,\"sys_ns\":%g", float64(end.user-k.start.user)/per, float64(end.sys-k.start.sys)/per)
	k.print(unit, float64(took)/per/unitNs, rest)
}

// figure prints what is no time. Smaller is better.
func (k *kit) figure(unit string, value float64) {
	k.print(unit, value, "")
}

func (k *kit) print(unit string, value float64, rest string) {
	const format = "{\"bench\":\"%s\",\"case\":\"%s\",\"loops\":%d,\"unit\":\"%s\",\"value\":%.6g%s}\n"
	fmt.Printf(format, k.present.bench, k.present.name, k.loops, unit, value, rest)
}

// check ends the program if `isTrue` is not.
func (k *kit) check(isTrue bool, what string) {
	if !isTrue {
		fmt.Fprintf(os.Stderr, "%s %s: wrong: %s\n", k.present.bench, k.present.name, what)
		os.Exit(1)
	}
}

// residentBytes is what the process has of memory.
func residentBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		panic(err)
	}
	return float64(pages) * float64(os.Getpagesize())
}

func usage() {
	fmt.Fprintln(os.Stderr, "--who | --list | BENCH CASE [--loops N] [--quick] | serve KIND [--loops N]")
	os.Exit(2)
}

// contest does what the program's arguments say.
func contest(who string, cases []benchCase, servers []server) {
	words := os.Args[1:]
	switch {
	case len(words) == 1 && words[0] == "--who":
		fmt.Println(who)
	case len(words) == 1 && words[0] == "--list":
		list(cases, servers)
	case len(words) < 2:
		usage()
	case words[0] == "serve":
		serve(servers, words[1], optionsOf(words[2:]))
	default:
		run(cases, words[0], words[1], optionsOf(words[2:]))
	}
}

func list(cases []benchCase, servers []server) {
	for _, each := range cases {
		fmt.Println(each.bench, each.name)
	}
	for _, each := range servers {
		fmt.Println("serve", each.kind)
	}
}

// options has 0 loops if none were told.
type options struct {
	loops   int
	isQuick bool
}

func optionsOf(words []string) options {
	var told options
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "--quick":
			told.isQuick = true
		case words[i] == "--loops" && i+1 < len(words):
			i++
			told.loops, _ = strconv.Atoi(words[i])
		default:
			usage()
		}
	}
	return told
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

func serve(servers []server, kind string, told options) {
	for i := range servers {
		if servers[i].kind == kind {
			runtime.GOMAXPROCS(max(told.loops, 1))
			runServer(&servers[i])
		}
	}
	usage()
}

func run(cases []benchCase, bench, name string, told options) {
	for i := range cases {
		if cases[i].bench == bench && cases[i].name == name {
			runCase(&cases[i], told)
			return
		}
	}
	usage()
}

func runCase(present *benchCase, told options) {
	loops := told.loops
	if loops == 0 {
		loops = max(present.loops, 1)
	}
	if present.loops != 0 && present.loops != loops {
		return
	}
	runtime.GOMAXPROCS(loops)
	present.run(&kit{loops: loops, isQuick: told.isQuick, present: present})
}
