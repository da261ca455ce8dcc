// In how many ways do n queens leave each other alone? A goroutine for each queen that can be placed, with a board of its own.

package main

type board struct {
	column [16]int8 // by row
	count  int      // rows that have their queen
	size   int
}

// isSafe says whether a queen in the next row's `column` is attacked by none.
func (b *board) isSafe(column int) bool {
	for row := 0; row < b.count; row++ {
		distance, across := b.count-row, int(b.column[row])-column
		if across == 0 || across == distance || across == -distance {
			return false
		}
	}
	return true
}

func queens(size int) uint64 {
	return place(&board{size: size})
}

func place(b *board) uint64 {
	var safe [16]int
	count := 0
	if b.count == b.size {
		return 1
	}
	for column := 0; column < b.size; column++ {
		if b.isSafe(column) {
			safe[count] = column
			count++
		}
	}
	return sumEach(count, func(i int) uint64 {
		next := *b
		next.column[next.count] = int8(safe[i])
		next.count++
		return place(&next)
	})
}
