// The computations of fork_join: a goroutine for each fork, which those who forked wait for with a WaitGroup.
//
// fib(38) has 63 million forks and would take minutes: it is left out, since a smaller one would not be the same question.

package main

import "sync"

// workload is what there is to compute, how large and with which result, as bench/workloads/workload.c has them.
type workload struct {
	name                    string
	size, quickSize         int
	repeats                 int // runs that are timed together
	expected, quickExpected uint64
	compute                 func(size int) uint64
	prepare                 func(size int)                         // what is done before each run without being timed
	result                  func(size int, returned uint64) uint64 // given what the run returned
}

var workloads = []workload{
	{"queens", 12, 8, 1, 14200, 92, queens, nil, nil},
	{"skynet", 1000000, 1000, 3, 499999500000, 499500, skynet, nil, nil},
	{"uts_t1", 10, 5, 1, 4130071, 3987, func(size int) uint64 { return walkAll(utsGeometric(size)) }, nil, nil},
	{"uts_t3", 2000, 40, 1, 4112897, 6521, func(size int) uint64 { return walkAll(utsBinomial(size)) }, nil, nil},
	{"matmul", matmulMax, 128, 1, 0, 0, matmul, matmulPrepare, matmulCountWrong},
	{"parallel_for", 10000000, 100000, 5, 83890610879090, 839007035163, parallelFor, nil, nil},
}

func computeCases() []benchCase {
	var cases []benchCase
	for i := range workloads {
		work := &workloads[i]
		cases = append(cases, benchCase{"fork_join", work.name, 0, func(k *kit) { runWorkload(k, work) }})
	}
	return cases
}

func runWorkload(k *kit, work *workload) {
	size, expected := work.size, work.expected
	if k.isQuick {
		size, expected = work.quickSize, work.quickExpected
	}
	work.run(work.quickSize, 1, func() {})
	result := work.run(size, work.repeats, k.begin)
	k.end("ms", work.repeats)
	if work.result != nil {
		result = work.result(size, result)
	}
	k.check(result == expected, "the result")
}

func (work *workload) run(size, times int, begin func()) uint64 {
	if work.prepare != nil {
		work.prepare(size)
	}
	begin()
	var result uint64
	for i := 0; i < times; i++ {
		result = work.compute(size)
	}
	return result
}

// sumEach is the sum of what is found for each of `count` indices, each in a goroutine of its own but the last.
func sumEach(count int, each func(index int) uint64) uint64 {
	if count == 0 {
		return 0
	}
	var group sync.WaitGroup
	sums := make([]uint64, count)
	group.Add(count - 1)
	for i := 0; i < count-1; i++ {
		i := i
		go func() {
			sums[i] = each(i)
			group.Done()
		}()
	}
	sum := each(count - 1)
	group.Wait()
	for _, part := range sums {
		sum += part
	}
	return sum
}

const children = 10

func skynet(size int) uint64 {
	return addUp(0, size)
}

func addUp(first uint64, leaves int) uint64 {
	if leaves == 1 {
		return first
	}
	part := leaves / children
	return sumEach(children, func(i int) uint64 { return addUp(first+uint64(i*part), part) })
}

// grain is what a goroutine may take at least, lest it be all cost of goroutines.
const grain = 2048

func parallelFor(size int) uint64 {
	return sumUp(0, uint32(size))
}

func sumUp(first, count uint32) uint64 {
	var sum uint64
	if count > grain {
		half := count / 2
		return sumEach(2, func(i int) uint64 {
			if i == 0 {
				return sumUp(first, half)
			}
			return sumUp(first+half, count-half)
		})
	}
	for i := first; i < first+count; i++ {
		sum += parallelForValue(i)
	}
	return sum
}

// parallelForValue is what an index adds, as in bench/workloads/parallel_for.h.
func parallelForValue(index uint32) uint64 {
	mixed := uint64(index+1) * 0x9e3779b97f4a7c15
	mixed = (mixed ^ mixed>>29) * 0xbf58476d1ce4e5b9
	mixed = (mixed ^ mixed>>32) * 0x94d049bb133111eb
	return mixed >> 40
}
