/*
 * Tags: blocks of slots with a free list through them. A block stays where it is, so growing copies nothing but the list of blocks, and what was
 * never used costs nothing. A free slot keeps its generation, which is never that of a tag given out before.
 */
#include "lib/poll/tags.h"

#include <errno.h>

#include "weft/memory.h"
#include "weft/operation.h"

enum { BLOCKS_MIN = 8 };

static struct tag_slot *slot_at(const struct tags *tags, uint32_t index)
{
    return &tags->blocks[index / TAGS_BLOCK_SLOTS][index % TAGS_BLOCK_SLOTS];
}

/* Make room for the next block in their list. */
static int blocks_reserve(struct tags *tags)
{
    uint32_t used = tags->count / TAGS_BLOCK_SLOTS;
    if (used < tags->blocks_max)
        return 0;
    uint32_t blocks_max = tags->blocks_max == 0 ? BLOCKS_MIN : tags->blocks_max * 2;
    struct tag_slot **blocks = weft_realloc(tags->blocks, blocks_max * sizeof(struct tag_slot *));
    if (blocks == NULL)
        return -ENOMEM;
    tags->blocks = blocks;
    tags->blocks_max = blocks_max;
    return 0;
}

static int block_add(struct tags *tags)
{
    int status = blocks_reserve(tags);
    if (status < 0)
        return status;
    struct tag_slot *block = weft_malloc(TAGS_BLOCK_SLOTS * sizeof(*block));
    if (block == NULL)
        return -ENOMEM;
    tags->blocks[tags->count / TAGS_BLOCK_SLOTS] = block;
    return 0;
}

/* The list of the free ones is empty: begin one that was never used. */
static int slot_begin(struct tags *tags)
{
    int status = tags->count % TAGS_BLOCK_SLOTS == 0 ? block_add(tags) : 0;
    if (status < 0)
        return status;
    *slot_at(tags, tags->count) = (struct tag_slot){NULL, 1, tags->count + 1};
    tags->first_free = tags->count++;
    return 0;
}

int tags_add(struct tags *tags, struct weft_file *file)
{
    int status = tags->first_free == tags->count ? slot_begin(tags) : 0;
    if (status < 0)
        return status;
    file->slot = tags->first_free;
    struct tag_slot *slot = slot_at(tags, file->slot);
    tags->first_free = slot->next_free;
    slot->file = file;
    file->generation = slot->generation;
    return 0;
}

void tags_remove(struct tags *tags, struct weft_file *file)
{
    struct tag_slot *slot = slot_at(tags, file->slot);
    slot->file = NULL;
    slot->generation++;
    slot->next_free = tags->first_free;
    tags->first_free = file->slot;
}

uint64_t tags_of(const struct weft_file *file)
{
    return (uint64_t)file->generation << 32 | file->slot;
}

void tags_fini(struct tags *tags)
{
    for (uint32_t first = 0; first < tags->count; first += TAGS_BLOCK_SLOTS)
        weft_free(tags->blocks[first / TAGS_BLOCK_SLOTS]);
    weft_free(tags->blocks);
    *tags = (struct tags){NULL, 0, 0, 0};
}
