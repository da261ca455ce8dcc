/*
 * SHA-1 (FIPS 180-4) of messages that fit one block: the random numbers of unbalanced trees, and good for nothing else.
 */
#ifndef BENCH_WORKLOADS_SHA1_H
#define BENCH_WORKLOADS_SHA1_H

#include <stddef.h>

enum { SHA1_BYTES = 20, SHA1_SHORT_MAX = 55 };

/* `len` is SHA1_SHORT_MAX at most. */
void sha1_short(const unsigned char *message, size_t len, unsigned char digest_out[SHA1_BYTES]);

#endif
