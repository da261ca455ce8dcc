/*
 * SHA-1 of one block. Called by the unbalanced trees, for each node.
 */
#include "bench/workloads/sha1.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK_WORDS = 16 };

/* What a block is mixed into. */
enum { A, B, C, D, E, MIX_WORDS };

static inline uint32_t rotate(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static inline uint32_t choose(uint32_t b, uint32_t c, uint32_t d)
{
    return d ^ (b & (c ^ d));
}

static inline uint32_t parity(uint32_t b, uint32_t c, uint32_t d)
{
    return b ^ c ^ d;
}

static inline uint32_t majority(uint32_t b, uint32_t c, uint32_t d)
{
    return (b & c) | (d & (b | c));
}

/* The message, a one bit, zeros, and its length in bits, as words with the highest byte first. */
static void pad(const unsigned char *message, size_t len, uint32_t words_out[BLOCK_WORDS])
{
    unsigned char block[4 * BLOCK_WORDS] = {0};
    memcpy(block, message, len);
    block[len] = 0x80;
    block[4 * BLOCK_WORDS - 2] = (unsigned char)(len * 8 >> 8);
    block[4 * BLOCK_WORDS - 1] = (unsigned char)(len * 8);
    for (int i = 0; i < BLOCK_WORDS; i++) {
        const unsigned char *at = block + 4 * i;
        words_out[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
}

/* The word of step `i`. From the 17th on it is mixed from the 16 before, in whose ring it takes the oldest one's place. */
static inline uint32_t word_of(uint32_t words[BLOCK_WORDS], int i)
{
    uint32_t *word = &words[i % BLOCK_WORDS];
    if (i >= BLOCK_WORDS)
        *word = rotate(words[(i - 3) % BLOCK_WORDS] ^ words[(i - 8) % BLOCK_WORDS] ^ words[(i - 14) % BLOCK_WORDS] ^ *word, 1);
    return *word;
}

/*
 * Step `i`, for the five words in their present roles. Five steps bring each word back to its role, so the roles are written out and no
 * word is moved.
 */
#define STEP(pick, a, b, c, d, e, constant, i)                                                                                             \
    (mix[e] += rotate(mix[a], 5) + pick(mix[b], mix[c], mix[d]) + (constant) + word_of(words, i), mix[b] = rotate(mix[b], 30))

#define TWENTY_STEPS(pick, constant, from)                                                                                                 \
    for (int i = (from); i < (from) + 20; i += 5) {                                                                                        \
        STEP(pick, A, B, C, D, E, constant, i);                                                                                            \
        STEP(pick, E, A, B, C, D, constant, i + 1);                                                                                        \
        STEP(pick, D, E, A, B, C, constant, i + 2);                                                                                        \
        STEP(pick, C, D, E, A, B, constant, i + 3);                                                                                        \
        STEP(pick, B, C, D, E, A, constant, i + 4);                                                                                        \
    }

void sha1_short(const unsigned char *message, size_t len, unsigned char digest_out[SHA1_BYTES])
{
    static const uint32_t start[MIX_WORDS] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint32_t words[BLOCK_WORDS], mix[MIX_WORDS];
    assert(len <= SHA1_SHORT_MAX);
    pad(message, len, words);
    memcpy(mix, start, sizeof(mix));
    TWENTY_STEPS(choose, 0x5a827999, 0)
    TWENTY_STEPS(parity, 0x6ed9eba1, 20)
    TWENTY_STEPS(majority, 0x8f1bbcdc, 40)
    TWENTY_STEPS(parity, 0xca62c1d6, 60)
    for (int i = 0; i < SHA1_BYTES; i++)
        digest_out[i] = (unsigned char)((start[i / 4] + mix[i / 4]) >> (24 - 8 * (i % 4)));
}
