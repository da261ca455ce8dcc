/*
 * Fuzz: what all targets have in common. A target is one function, which reads its input byte by byte and CHECKs what it finds.
 *
 *     void fuzz_target(struct fuzz *fuzz)
 *     {
 *         while (fuzz_has_more(fuzz))
 *             switch (fuzz_below(fuzz, 2)) { ... }
 *     }
 *
 * Everything it makes it gives back: fuzz.c counts. An input that has ended reads as zeroes.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/test.h"

struct fuzz {
    const uint8_t *at, *end;
};

/* The target. */
void fuzz_target(struct fuzz *fuzz);

/* libFuzzer's entry point, which calls it; driver.c calls this for each file of the corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline bool fuzz_has_more(const struct fuzz *fuzz)
{
    return fuzz->at < fuzz->end;
}

static inline uint8_t fuzz_byte(struct fuzz *fuzz)
{
    return fuzz_has_more(fuzz) ? *fuzz->at++ : 0;
}

/* Below `count`, which is at most 256. What a person can type means what one expects: 'a' is 0, 'b' is 1, and '0' is 0. */
static inline uint32_t fuzz_below(struct fuzz *fuzz, uint32_t count)
{
    uint8_t byte = fuzz_byte(fuzz);
    if (byte >= 'a' && byte <= 'z')
        return (uint32_t)(byte - 'a') % count;
    return (byte >= '0' && byte <= '9' ? (uint32_t)(byte - '0') : byte) % count;
}

/* Fill `out`. */
static inline void fuzz_fill(struct fuzz *fuzz, void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = fuzz_byte(fuzz);
}

/* A string of what comes before the next newline, cut to `size`; its length. */
static inline size_t fuzz_line(struct fuzz *fuzz, char *out, size_t size)
{
    size_t len = 0;
    for (uint8_t byte; fuzz_has_more(fuzz) && (byte = fuzz_byte(fuzz)) != '\n' && byte != '\0';)
        if (len + 1 < size)
            out[len++] = (char)byte;
    out[len] = '\0';
    return len;
}

#endif
