/*
 * Tags: an array with a free list through it. A free slot keeps its generation, which is never that of a tag given out before.
 */
#include "lib/poll/tags.h"

#include <errno.h>
#include <stddef.h>

#include "weft/memory.h"
#include "weft/operation.h"

enum { TAGS_MIN = 64 };

static int tags_grow(struct tags *tags)
{
    uint32_t count_max = tags->count_max == 0 ? TAGS_MIN : tags->count_max * 2;
    struct tag_slot *entries = weft_realloc(tags->entries, count_max * sizeof(*entries));
    if (entries == NULL)
        return -ENOMEM;
    tags->entries = entries;
    tags->count_max = count_max;
    return 0;
}

/* A slot that was never used: until now nobody has touched its memory. */
static int tags_begin_slot(struct tags *tags)
{
    int status = tags->count == tags->count_max ? tags_grow(tags) : 0;
    if (status < 0)
        return status;
    tags->entries[tags->count] = (struct tag_slot){NULL, 1, tags->count + 1};
    tags->first_free = tags->count++;
    return 0;
}

int tags_add(struct tags *tags, struct weft_file *file)
{
    int status = tags->first_free == tags->count ? tags_begin_slot(tags) : 0;
    if (status < 0)
        return status;
    file->slot = tags->first_free;
    struct tag_slot *slot = &tags->entries[file->slot];
    tags->first_free = slot->next_free;
    slot->file = file;
    file->generation = slot->generation;
    return 0;
}

void tags_remove(struct tags *tags, struct weft_file *file)
{
    struct tag_slot *slot = &tags->entries[file->slot];
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
    weft_free(tags->entries);
    *tags = (struct tags){NULL, 0, 0, 0};
}
