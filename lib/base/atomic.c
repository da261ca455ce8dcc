/*
 * Atomics: the word that stands in for the fence under ThreadSanitizer.
 *
 * weft_atomic_fence_seq_cst() of <weft/atomic.h> adds zero to it there, since the tool models no fence. Nobody reads it otherwise, and
 * native builds never touch it. It has a cache line of its own, as every fence of the program meets on it.
 */
#include "weft/atomic.h"

_Alignas(WEFT_CACHE_LINE_BYTES) uint32_t weft_atomic_fence_word;
