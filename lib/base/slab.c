/*
 * Slab: fixed-size objects for one owner.
 *
 * Loops keep tasks, operations and timer nodes in slabs. Invariant: each of the `object_count` objects is in exactly one place: out, in
 * `free`, or in `remote`. Others only push on `remote` and the owner only takes all of it, so no push can meet a reused head (no ABA).
 */
#include "lib/base/slab.h"

#include "weft/memory.h"

#include <assert.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_ASAN 1
#endif
#endif

#if defined(SLAB_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(ptr, bytes)   ((void)(ptr), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(ptr, bytes) ((void)(ptr), (void)(bytes))
#endif

struct slab_object {
    struct slab_object *next;
};

/* Fills a line, so that the objects behind it start one. */
struct slab_chunk {
    _Alignas(WEFT_CACHE_LINE_BYTES) struct slab_chunk *next;
    size_t bytes;
};

/* Chunks double from the first size to the second: a small program stays small, a large one asks seldom. */
enum { SLAB_CHUNK_BYTES_MIN = 4096, SLAB_CHUNK_BYTES_MAX = 256 * 1024 };

static size_t slab_round(size_t bytes)
{
    if (bytes > WEFT_CACHE_LINE_BYTES)
        return (bytes + WEFT_CACHE_LINE_BYTES - 1) / WEFT_CACHE_LINE_BYTES * WEFT_CACHE_LINE_BYTES;
    size_t rounded_bytes = 16;
    while (rounded_bytes < bytes)
        rounded_bytes *= 2;
    return rounded_bytes;
}

void slab_init(struct slab *slab, size_t object_bytes)
{
    assert(object_bytes <= SIZE_MAX / 4);
    *slab = (struct slab){.object_bytes = slab_round(object_bytes), .chunk_bytes = SLAB_CHUNK_BYTES_MIN};
}

void slab_keep_readable(struct slab *slab)
{
    assert(slab->chunks == NULL);
    slab->is_readable_when_free = true;
}

/* All but the first word, which the lists need, is out of bounds while the object is free. */
static void slab_poison(const struct slab *slab, void *object)
{
    if (!slab->is_readable_when_free)
        ASAN_POISON_MEMORY_REGION((char *)object + sizeof(struct slab_object), slab->object_bytes - sizeof(struct slab_object));
}

static bool slab_grow(struct slab *slab)
{
    size_t least_bytes = sizeof(struct slab_chunk) + slab->object_bytes;
    size_t chunk_bytes = slab->chunk_bytes > least_bytes ? slab->chunk_bytes : least_bytes;
    struct slab_chunk *chunk = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, chunk_bytes);
    if (chunk == NULL)
        return false;
    chunk->next = slab->chunks;
    chunk->bytes = chunk_bytes;
    slab->chunks = chunk;
    slab->fresh = (char *)(chunk + 1);
    slab->fresh_end = slab->fresh + (chunk_bytes - sizeof(*chunk)) / slab->object_bytes * slab->object_bytes;
    if (slab->chunk_bytes < SLAB_CHUNK_BYTES_MAX)
        slab->chunk_bytes *= 2;
    return true;
}

static void *slab_alloc_fresh(struct slab *slab)
{
    if (slab->fresh == slab->fresh_end && !slab_grow(slab))
        return NULL;
    void *object = slab->fresh;
    slab->fresh += slab->object_bytes;
    slab->object_count++;
    return object;
}

static void slab_take_remote(struct slab *slab)
{
    /* A plain look first: the exchange would take the line away from those who push. */
    if (weft_atomic_load_relaxed(&slab->remote) != NULL) {
        /* Pairs with the release in slab_free_remote(): the links, and the last words of who gave the objects back. */
        slab->free = weft_atomic_exchange_acquire(&slab->remote, NULL);
    }
}

void *slab_alloc(struct slab *slab)
{
    if (slab->free == NULL)
        slab_take_remote(slab);
    struct slab_object *object = slab->free;
    if (object == NULL)
        return slab_alloc_fresh(slab);
    slab->free = object->next;
    ASAN_UNPOISON_MEMORY_REGION(object, slab->object_bytes);
    return object;
}

void slab_free(struct slab *slab, void *ptr)
{
    if (ptr == NULL)
        return;
    struct slab_object *object = ptr;
    object->next = slab->free;
    slab->free = object;
    slab_poison(slab, object);
}

void slab_free_remote(struct slab *slab, void *ptr)
{
    if (ptr == NULL)
        return;
    struct slab_object *object = ptr;
    slab_poison(slab, object);
    struct slab_object *head = weft_atomic_load_relaxed(&slab->remote);
    do {
        object->next = head;
        /* Pairs with the acquire in slab_take_remote() and slab_live_count(). */
    } while (!weft_atomic_cas_release(&slab->remote, &head, object));
}

static size_t slab_list_count(const struct slab_object *object)
{
    size_t count = 0;
    for (; object != NULL; object = object->next)
        count++;
    return count;
}

size_t slab_live_count(struct slab *slab)
{
    /* Pairs with the release in slab_free_remote(). Nothing can leave the list behind our back: only the owner takes. */
    const struct slab_object *remote = weft_atomic_load_acquire(&slab->remote);
    return slab->object_count - slab_list_count(slab->free) - slab_list_count(remote);
}

size_t slab_fini(struct slab *slab)
{
    size_t live_count = slab_live_count(slab);
    if (live_count > 0)
        return live_count;
    struct slab_chunk *chunk = slab->chunks;
    while (chunk != NULL) {
        struct slab_chunk *next = chunk->next;
        ASAN_UNPOISON_MEMORY_REGION(chunk, chunk->bytes); /* the table may be an allocator that ASan does not know */
        weft_free(chunk);
        chunk = next;
    }
    slab_init(slab, slab->object_bytes);
    return 0;
}
