// Go: the benches' questions answered with goroutines and the standard library.

package main

import (
	"runtime"
	"strings"
)

func main() {
	var cases []benchCase
	for _, some := range [][]benchCase{computeCases(), taskCases(), pingPongCases(), postCases(), timerCases(), memoryCases()} {
		cases = append(cases, some...)
	}
	contest("Go "+strings.TrimPrefix(runtime.Version(), "go"), cases, servers)
}
