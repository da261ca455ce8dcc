// Go: the benches' questions answered with goroutines and the standard library.

package main

import (
	"runtime"
	"strings"
)

func main() {
	var cases []benchCase
	for _, some := range [][]benchCase{computeCases()} {
		cases = append(cases, some...)
	}
	contest("Go "+strings.TrimPrefix(runtime.Version(), "go"), cases)
}
