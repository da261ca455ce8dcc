// SHA-1 (FIPS 180-4) of messages that fit one block: the random numbers of unbalanced trees. Step for step what bench/workloads/sha1.c does, so
// that all contestants do the same work: the library's own has code for the processor at hand.

package main

import (
	"encoding/binary"
	"math/bits"
)

const sha1Bytes = 20

// pad is the message, a one bit, zeros, and its length in bits, as words with the highest byte first.
func pad(message []byte) [16]uint32 {
	var block [64]byte
	var words [16]uint32
	copy(block[:], message)
	block[len(message)] = 0x80
	binary.BigEndian.PutUint16(block[62:], uint16(len(message)*8))
	for i := range words {
		words[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	return words
}

// wordOf is the word of step `i`. From the 17th on it is mixed from the 16 before, in whose ring it takes the oldest one's place.
func wordOf(words *[16]uint32, i int) uint32 {
	if i >= 16 {
		words[i&15] = bits.RotateLeft32(words[(i-3)&15]^words[(i-8)&15]^words[(i-14)&15]^words[i&15], 1)
	}
	return words[i&15]
}

// sha1Short is the digest of up to 55 bytes. It moves the words from role to role, which this compiler turns into names.
func sha1Short(message []byte) [sha1Bytes]byte {
	var digest [sha1Bytes]byte
	words := pad(message)
	a, b, c, d, e := uint32(0x67452301), uint32(0xefcdab89), uint32(0x98badcfe), uint32(0x10325476), uint32(0xc3d2e1f0)
	start := [5]uint32{a, b, c, d, e}
	i := 0
	for ; i < 20; i++ {
		next := bits.RotateLeft32(a, 5) + (d ^ (b & (c ^ d))) + e + 0x5a827999 + wordOf(&words, i)
		a, b, c, d, e = next, a, bits.RotateLeft32(b, 30), c, d
	}
	for ; i < 40; i++ {
		next := bits.RotateLeft32(a, 5) + (b ^ c ^ d) + e + 0x6ed9eba1 + wordOf(&words, i)
		a, b, c, d, e = next, a, bits.RotateLeft32(b, 30), c, d
	}
	for ; i < 60; i++ {
		next := bits.RotateLeft32(a, 5) + ((b & c) | (d & (b | c))) + e + 0x8f1bbcdc + wordOf(&words, i)
		a, b, c, d, e = next, a, bits.RotateLeft32(b, 30), c, d
	}
	for ; i < 80; i++ {
		next := bits.RotateLeft32(a, 5) + (b ^ c ^ d) + e + 0xca62c1d6 + wordOf(&words, i)
		a, b, c, d, e = next, a, bits.RotateLeft32(b, 30), c, d
	}
	for j, word := range [5]uint32{a, b, c, d, e} {
		binary.BigEndian.PutUint32(digest[4*j:], start[j]+word)
	}
	return digest
}
