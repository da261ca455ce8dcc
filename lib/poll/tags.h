/*
 * Tags: what a kernel is given instead of a pointer, so that an event for a file that is gone is recognised.
 *
 * A tag is 64 bits: generation << 32 | index. Removing a file moves the generation of its slot on, so no old tag finds the next file in it.
 * All calls come from the thread of one poller; only tags_add() may allocate.
 */
#ifndef LIB_POLL_TAGS_H
#define LIB_POLL_TAGS_H

#include <stddef.h>
#include <stdint.h>

struct weft_file;

struct tag_slot {
    struct weft_file *file; /* NULL while free */
    uint32_t generation;
    uint32_t next_free;
};

enum { TAGS_BLOCK_SLOTS = 256 };

struct tags {
    struct tag_slot **blocks;
    uint32_t blocks_max; /* how many the list has room for */
    uint32_t count;      /* slots that were ever used: as many blocks are there as that takes */
    uint32_t first_free; /* an index; `count` when none is free */
};

/* Give `file` a slot. 0; -ENOMEM. */
int tags_add(struct tags *tags, struct weft_file *file);

/* Take the slot of `file` back. */
void tags_remove(struct tags *tags, struct weft_file *file);

/* The tag of `file`, which has a slot. */
uint64_t tags_of(const struct weft_file *file);

/* The file that `tag` was given for; NULL if it is gone. */
static inline struct weft_file *tags_find(const struct tags *tags, uint64_t tag)
{
    uint32_t index = (uint32_t)tag;
    if (index >= tags->count)
        return NULL;
    const struct tag_slot *slot = &tags->blocks[index / TAGS_BLOCK_SLOTS][index % TAGS_BLOCK_SLOTS];
    return slot->generation == (uint32_t)(tag >> 32) ? slot->file : NULL;
}

/* Release the table. */
void tags_fini(struct tags *tags);

#endif
