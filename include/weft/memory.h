/*
 * Memory: the one table through which all of weft's memory comes.
 *
 * By default the table is the program's own malloc and friends, so what is linked decides: libc's, or jemalloc where it replaces them.
 * A program that wants another allocator puts its table in place once, before the first other call into weft; it stays until the end:
 *
 *     static const struct weft_memory counted = {
 *         .size = sizeof(counted), .malloc = my_malloc, .realloc = my_realloc, .aligned_alloc = my_aligned_alloc, .free = my_free,
 *     };
 *
 *     int status = weft_memory_set(&counted);
 *
 * Running out of memory is an operating error: the calls below return NULL and whoever called them returns -ENOMEM.
 */
#ifndef WEFT_MEMORY_H
#define WEFT_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The slots have the contracts of the C library's functions of the same names. weft never asks a slot for zero bytes, asks
 * aligned_alloc only for powers of two and multiples of them, and gives everything to `free`.
 *
 * thread:  any, also several at once
 */
struct weft_memory {
    size_t size; /* sizeof(struct weft_memory) where the table was compiled */
    void *(*malloc)(size_t bytes);
    void *(*calloc)(size_t count, size_t bytes); /* may be NULL: malloc and clear */
    void *(*realloc)(void *ptr, size_t bytes);
    void *(*aligned_alloc)(size_t align_bytes, size_t bytes);
    void (*free)(void *ptr);
};

/*
 * Put `memory` in place of the present table; NULL brings the default back.
 *
 * Memory that the old table gave is freed through the new one: unless both share a heap, none may be left.
 *
 * thread:  before start / after stop
 * memory:  the table is copied
 * returns: 0; WEFT_EPROTOCOL if the table is too short or a slot other than calloc is NULL, and then the old one stays
 */
int weft_memory_set(const struct weft_memory *memory);

/*
 * Allocate `bytes` bytes, aligned for every plain type. Zero bytes are one byte, so that NULL always means out of memory.
 *
 * thread:  any
 * memory:  the caller's, until weft_free()
 * returns: NULL when out of memory
 */
void *weft_malloc(size_t bytes);

/*
 * Allocate `count` objects of `bytes` bytes each, all zero. A product that overflows is out of memory.
 *
 * thread:  any
 * memory:  the caller's, until weft_free()
 * returns: NULL when out of memory
 */
void *weft_calloc(size_t count, size_t bytes);

/*
 * Make the memory at `ptr` `bytes` long, elsewhere if need be; NULL allocates. Zero bytes are one byte: nothing is freed here.
 *
 * thread:  any
 * memory:  on success the result replaces `ptr`; on failure `ptr` is as it was
 * returns: NULL when out of memory
 */
void *weft_realloc(void *ptr, size_t bytes);

/*
 * Allocate `bytes` bytes at a multiple of `align_bytes`, a power of two. The length is rounded up to a multiple of it.
 *
 * thread:  any
 * memory:  the caller's, until weft_free(); weft_realloc() would lose the alignment
 * returns: NULL when out of memory
 */
void *weft_aligned_alloc(size_t align_bytes, size_t bytes);

/*
 * Free what one of the calls above returned, or NULL.
 *
 * thread:  any, also another one than allocated it
 * memory:  `ptr` is gone
 */
void weft_free(void *ptr);

#ifdef __cplusplus
}
#endif

#endif
