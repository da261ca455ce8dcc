/*
 * Slots: the lock-free table behind the registry of all tasks: ids that are safe to hold for ever, and walks that stop nobody.
 *
 * An object that registers gets a slot and an id, generation and index of the slot. The id never becomes another object's: a slot
 * counts its generation up at each use, and after the last one it is retired (16 bytes for each 4,294,967,295 registrations). Slots
 * are type-stable: their memory is never given back while the table lives, so that a stale id may be looked up at any time. A pin
 * keeps the registration references of a whole page of slots alive for a moment: pin, take references of your own, unpin. Never call out,
 * suspend or wait in between: the last unpin of a page is what releases the objects that were unregistered in it meanwhile.
 *
 * Life cycle: SLOTS_INIT or slots_init → register, unregister, pin, walk from any thread → slots_cache_flush by each owner of a cache
 * → slots_fini.
 *
 *     static void drop(void *object) { task_unref(object); }
 *     static struct slots tasks = SLOTS_INIT(drop);
 *
 *     slots_register(&tasks, &my_cache, task, &id);        the table now holds one reference
 *     struct task *task = slots_pin(&tasks, id);           elsewhere, any time later
 *     if (task != NULL) {
 *         task_ref(task);
 *         slots_unpin(&tasks, NULL, id);
 *     }
 *     slots_unregister(&tasks, &my_cache, id);             drop() runs here, or in the last unpin
 *
 * A SLOT'S STATE WORD
 *
 *     63 ........ 32  31    30     29 ...... 0
 *     [ generation ][live][dying][    next   ]
 *
 *     generation   of the registration that has, or last had, the slot; counted up by register, so 0 is never live
 *     live         set by register; cleared by the one unregister that wins
 *     dying        set by that unregister, if the page is pinned; cleared by the last unpin, which then recycles the slot
 *     next         while dying: where in the page the next dying slot is, plus one
 *
 *     live: registered · dying: unregistered, perhaps still looked at · neither: free, in a cache, or on the list
 *
 * A PAGE'S WORD
 *
 *     63 ...... 32  31 ...... 0
 *     [   dying   ][   pins   ]
 *
 *     pins         who look at the page; counted up by pin and walk, down by unpin
 *     dying        where in the page the first dying slot is, plus one; 0 whenever there are no pins
 *
 * Whoever pins a page and then finds a slot live may use its object until he unpins, since whoever clears `live` looks at the pins after
 * that: in the one order of all four accesses (they are seq_cst) one of the two sees the other. Seeing pins he leaves the object to the
 * last of them. So a walk pays its two locked instructions for a page, not for an object, and who ends a registration the one that he
 * needs anyway. Pins that overlap for ever would keep what ended in the page, 64 objects at most.
 *
 * The other word of a slot holds the object while it is registered, and the links of the free list while it is free.
 *
 * FREE SLOTS lie in the callers' caches, and beyond those on one list of blocks (a Treiber stack; its head carries a tag that each
 * pop counts up, against ABA; the slots being type-stable, reading the link of a block that is just being popped is harmless). A loop
 * that registers and unregisters at any rate touches the shared list once in 64 times at most, mostly never.
 *
 * ck_stack and ck_epoch could serve here, but our model checker and ThreadSanitizer see weft/atomic.h, not concurrencykit's assembly;
 * and with type-stable slots there is nothing to reclaim under readers, so that no epoch is needed at all.
 */
#ifndef LIB_LOCKFREE_SLOTS_H
#define LIB_LOCKFREE_SLOTS_H

#include "weft/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The model checker runs the same code with 2 instead of 1024 and 64. Blocks divide the first segment. */
#ifndef SLOTS_FIRST_SEGMENT
#define SLOTS_FIRST_SEGMENT 1024u
#define SLOTS_BLOCK         64u
#endif

#define SLOTS_PAGE     SLOTS_BLOCK /* slots that lie together and are pinned together: what a walk looks at in one go */
#define SLOTS_AHEAD    12u         /* objects whose lines are on their way during a walk: as many as a core can wait for */
#define SLOTS_SEGMENTS 22u         /* segment i has SLOTS_FIRST_SEGMENT << i slots; an index plus one fits in 32 bits */
#define SLOTS_MAX      (SLOTS_FIRST_SEGMENT * ((UINT64_C(1) << SLOTS_SEGMENTS) - 1))

#define SLOTS_STATE_NEXT       UINT64_C(0x3fffffff)
#define SLOTS_STATE_DYING      (UINT64_C(1) << 30)
#define SLOTS_STATE_LIVE       (UINT64_C(1) << 31)
#define SLOTS_STATE_GENERATION 32 /* the shift */

struct slot {
    uint64_t state;   /* the first word above */
    uint64_t content; /* registered: the object. Free: index plus one of the next slot, and above it of the next block's first */
};

struct slots_page {
    uint64_t pins __attribute__((aligned(16))); /* the second word above */
    struct slot slots[SLOTS_PAGE];
};

struct slots {
    uint64_t free_head __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* tag:32 | index plus one of the first block's first slot */
    uint64_t fresh __attribute__((aligned(WEFT_CACHE_LINE_BYTES)));     /* slots below this index have been handed out once */
    struct slots_page *segments[SLOTS_SEGMENTS] __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* each is set once */
    void (*release)(void *object);
};

/* Free slots of one thread, which alone touches them. All zero is an empty one. */
struct slots_cache {
    uint32_t count;
    uint32_t index[2 * SLOTS_BLOCK];
};

/* What a walk found. */
struct slots_entry {
    uint64_t id;
    void *object;
};

/* A count of everything, for tests: total == live + dying + retired + listed + what lies in caches. */
struct slots_census {
    uint64_t total;   /* handed out once or more */
    uint64_t live;    /* registered */
    uint64_t dying;   /* unregistered in a pinned page */
    uint64_t retired; /* their generations are used up */
    uint64_t listed;  /* on the shared free list */
    uint64_t pins;
};

/* A static table; `release_fn` drops the reference that the table held on an object. */
#define SLOTS_INIT(release_fn)                                                                                                             \
    {                                                                                                                                      \
        .release = (release_fn)                                                                                                            \
    }

/*
 * Make `slots` an empty table whose unregistered objects go to `release`. Allocates nothing yet.
 *
 * thread:  before the table is shared
 */
void slots_init(struct slots *slots, void (*release)(void *object));

/*
 * Free the slots' memory. Objects that are still registered are not released.
 *
 * thread:  after everybody else is done with the table
 */
void slots_fini(struct slots *slots);

/*
 * Give `object` a slot. From here on walks see it and `*id_out` finds it. An id is never 0 and never given twice. It is stored before the
 * object can be seen, so that it may be a part of that.
 *
 * thread:  any; the owner of `cache`, which may be NULL for a thread that has none
 * memory:  the table takes over one reference on `object`, to be given to `release`; may allocate a segment
 * returns: 0; -ENOMEM; WEFT_EFULL when four billion are registered or retired
 */
int slots_register(struct slots *slots, struct slots_cache *cache, void *object, uint64_t *id_out);

/*
 * End the registration `id`. Idempotent: an id that has ended, or never was, changes nothing. `release` gets the object before this
 * returns, unless somebody has its page pinned: then in the last unpin.
 *
 * thread:  any; the owner of `cache`, or NULL
 * memory:  allocates nothing
 * returns: true if this call ended it
 */
bool slots_unregister(struct slots *slots, struct slots_cache *cache, uint64_t id);

/* What has become of a registration that was to end. */
enum slots_end {
    SLOTS_NONE,   /* it had ended before, or never was */
    SLOTS_BACK,   /* ended, and the reference that the table held is the caller's */
    SLOTS_PINNED, /* ended, and `release` gets the object in the last unpin */
};

/*
 * The same for one who can use the reference himself, with one of his own for instance: `release` is not called in here.
 *
 * thread:  any; the owner of `cache`, or NULL
 * memory:  allocates nothing
 */
enum slots_end slots_take_back(struct slots *slots, struct slots_cache *cache, uint64_t id);

/*
 * Look up `id` and pin its page. For the time of a few instructions: see above.
 *
 * thread:  any
 * memory:  the object cannot be released before slots_unpin()
 * returns: the object, or NULL if the registration has ended or never was
 */
void *slots_pin(struct slots *slots, uint64_t id);

/*
 * Undo one pin, of the page that `id` is in. The last one calls `release` for each object that was unregistered in it meanwhile.
 *
 * thread:  any; the owner of `cache`, or NULL
 */
void slots_unpin(struct slots *slots, struct slots_cache *cache, uint64_t id);

/*
 * Go on with a walk over all that is registered: pin the next page in which there is something, and store what it is in `entries`.
 * `*cursor` is 0 to begin with. One slots_unpin() with the id of any of the entries unpins the page. Every registration that was there
 * before the walk began and still is when it ends is seen; one that came or went meanwhile may be or not; none is seen twice. The first
 * SLOTS_AHEAD objects are on their way into the cache then; the caller sees to the rest as he comes to them.
 *
 * thread:  any; the owner of `cache`, or NULL
 * returns: how many entries there are; 0, and nothing is pinned, when the walk has ended
 */
size_t slots_walk(struct slots *slots, struct slots_cache *cache, uint64_t *cursor, struct slots_entry entries[SLOTS_PAGE]);

/*
 * Give all of `cache` back to the table; the cache is empty then. Allocates nothing.
 *
 * thread:  the owner of `cache`
 */
void slots_cache_flush(struct slots *slots, struct slots_cache *cache);

/*
 * How many are registered, read slot by slot: exact only while nothing changes. Takes time in proportion to the table.
 *
 * thread:  any
 */
uint64_t slots_count(struct slots *slots);

/*
 * Count everything, so that a test can show that no slot is lost and none is in two places.
 *
 * thread:  any, while no other call runs
 */
struct slots_census slots_census(struct slots *slots);

#ifdef __cplusplus
}
#endif

#endif
