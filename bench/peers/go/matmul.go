// The product of two matrices: a goroutine for each quarter, and again for the other half of the sums. As in bench/workloads/matmul.c.

package main

const (
	matmulBlock = 32
	matmulMax   = 1024
)

var matrixA, matrixB, matrixC [matmulMax * matmulMax]float32

// product is c += a × b, for square parts of `size` (a power of two) in matrices of `stride` columns.
type product struct {
	a, b, c      []float32
	size, stride int
}

// matmulPrepare fills a and b, which are always the same for one size, and empties c.
func matmulPrepare(size int) {
	for i := 0; i < size*size; i++ {
		matrixA[i] = float32(i * 7 % 11 % 4)
		matrixB[i] = float32(i * 5 % 13 % 4)
	}
	matrixC = [matmulMax * matmulMax]float32{}
}

func matmul(size int) uint64 {
	multiply(product{matrixA[:], matrixB[:], matrixC[:], size, size})
	return 0
}

// quarter is one of the eight products of quarters: c's (row, column) += a's (row, inner) × b's (inner, column).
func (p *product) quarter(row, column, inner int) product {
	half := p.size / 2
	at := func(row, column int) int { return row*half*p.stride + column*half }
	return product{p.a[at(row, inner):], p.b[at(inner, column):], p.c[at(row, column):], half, p.stride}
}

func multiply(p product) {
	if p.size == matmulBlock {
		p.multiplyBlock()
		return
	}
	for inner := 0; inner < 2; inner++ {
		sumEach(4, func(i int) uint64 {
			multiply(p.quarter(i/2, i%2, inner))
			return 0
		})
	}
}

func (p *product) multiplyBlock() {
	for row := 0; row < matmulBlock; row++ {
		from := p.a[row*p.stride:][:matmulBlock]
		to := p.c[row*p.stride:][:matmulBlock]
		for inner, factor := range from {
			other := p.b[inner*p.stride:][:matmulBlock]
			for column := range to {
				to[column] += factor * other[column]
			}
		}
	}
}

func apply(matrix []float32, vector []int64) []int64 {
	size := len(vector)
	found := make([]int64, size)
	for row := range found {
		for column, number := range matrix[row*size:][:size] {
			found[row] += int64(number) * vector[column]
		}
	}
	return found
}

// matmulCountWrong says how many rows of c are wrong, after Freivalds: c × v is a × (b × v) if c is a × b, and for a wrong row hardly ever.
func matmulCountWrong(size int, _ uint64) uint64 {
	var wrong uint64
	vector := make([]int64, size)
	for i := range vector {
		vector[i] = int64(i*31%101 + 1)
	}
	expected, actual := apply(matrixA[:], apply(matrixB[:], vector)), apply(matrixC[:], vector)
	for i := range actual {
		if actual[i] != expected[i] {
			wrong++
		}
	}
	return wrong
}
