/*
 * Slab: objects of one size for one owner thread, given back by anybody.
 *
 * slab_init() → slab_alloc() and slab_free() by the owner, slab_free_remote() by others → slab_fini(), which says how many objects were
 * never given back. The owner's calls are plain loads and stores; another thread's free is one compare-and-swap, and the owner takes
 * all such objects back with one exchange when its own list is empty.
 *
 *     slab_init(&tasks, sizeof(struct task));
 *     struct task *task = slab_alloc(&tasks);
 *     slab_free(&tasks, task);
 *     size_t leaked_count = slab_fini(&tasks);
 *
 *     owner's list   free ──▶ [ ] ──▶ [ ]         chunks ──▶ [chunk | object object object · · ·] ──▶ [chunk | …]
 *     others' list remote ──▶ [ ] ──▶ [ ] ──▶ [ ]                                 fresh ─┘
 *
 * Memory goes back to the table only in slab_fini(): the slab is as large as its owner's worst moment. The first word of a free object
 * belongs to the slab. The owner may change: whoever hands the slab over orders that as any hand-over of plain memory.
 */
#ifndef LIB_BASE_SLAB_H
#define LIB_BASE_SLAB_H

#include "weft/atomic.h"

#include <stdbool.h>
#include <stddef.h>

struct slab_object;
struct slab_chunk;

struct slab {
    struct slab_object *free; /* the owner's, ready to be given out */
    char *fresh;              /* the newest chunk's objects that nobody had yet */
    char *fresh_end;
    struct slab_chunk *chunks; /* newest first */
    size_t object_bytes;       /* rounded: an object of up to a line never straddles two, a larger one starts a line */
    size_t object_count;       /* given out at least once */
    size_t chunk_bytes;        /* of the next chunk */
    bool is_readable_when_free;
    /* Padding, not alignment: whoever embeds a slab shall be free to come from plain weft_malloc(). */
    char line_before[WEFT_CACHE_LINE_BYTES];
    struct slab_object *remote; /* others', a stack; on a line that the owner seldom touches */
    char line_after[WEFT_CACHE_LINE_BYTES - sizeof(void *)];
};

/*
 * Make an empty slab of objects of `object_bytes` bytes, aligned to the next power of two up to a cache line. Allocates nothing.
 *
 * thread:  the one that becomes the owner
 */
void slab_init(struct slab *slab, size_t object_bytes);

/*
 * Let threads that come late read objects that were given back (generations in type-stable memory): AddressSanitizer will not mind.
 *
 * thread:  the owner, before the first slab_alloc()
 */
void slab_keep_readable(struct slab *slab);

/*
 * Take an object out of the slab. Its bytes are undefined; apart from its first word, a reused object has its last user's.
 *
 * thread:  the owner
 * memory:  until slab_free() or slab_free_remote()
 * returns: NULL when out of memory
 */
void *slab_alloc(struct slab *slab);

/*
 * Give `object` back; it is the next one to be given out. NULL is fine. Allocates nothing.
 *
 * thread:  the owner
 */
void slab_free(struct slab *slab, void *object);

/*
 * Give `object` back from a thread that does not own the slab. What the thread wrote before is seen by the object's next user.
 * NULL is fine. Allocates nothing and never waits.
 *
 * thread:  any, the owner too
 * memory:  the slab must outlive the call: its owner calls slab_fini() only after it knows that others are done
 */
void slab_free_remote(struct slab *slab, void *object);

/*
 * How many objects are out. Walks the free lists: for tests and shutdown, not for a hot path.
 *
 * thread:  the owner; what others give back meanwhile may or may not be counted
 */
size_t slab_live_count(struct slab *slab);

/*
 * Free all memory, if no object is out. Otherwise leave everything as it is, since somebody would use freed memory; call it again later.
 *
 * thread:  the owner, while nobody else uses the slab
 * returns: the number of objects that are out: 0 if the slab is gone
 */
size_t slab_fini(struct slab *slab);

#endif
