/*
 * Stack map: a table of fixed size in which each slab has an entry, and whose readers hold nothing.
 *
 * A slab is about 28 MiB of address space, so the table has room for 140 GiB of stacks, and for more than a million of the small ones; what
 * does not fit is merely not found. The invariant: while `base` is a slab's and `version` even, the words beside it are that slab's too.
 * Whoever enters one claims the entry by its base, and is the only one to write there; a reader that finds the same even version before and
 * after has read one slab's words.
 */
#include "lib/task/stack_map.h"

#include "weft/atomic.h"

enum { ENTRIES_MAX = 5120 };

/* Values of `base` that are no address. */
enum { BASE_NONE = 0, BASE_CLAIMED = 1 };

struct entry {
    uintptr_t base;
    uint32_t version; /* odd while the others change: a slab may come where one was, with another shape */
    size_t guard_bytes;
    size_t stack_bytes;
    size_t count;
};

static struct entry entries[ENTRIES_MAX];
static uint32_t entry_end; /* atomic: no entry from here on was ever used */

static void raise_end(uint32_t end)
{
    uint32_t before = weft_atomic_load_relaxed(&entry_end);
    while (before < end && !weft_atomic_cas_relaxed(&entry_end, &before, end))
        ;
}

static struct entry *claim(void)
{
    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        uintptr_t none = BASE_NONE;
        /* Acquire: the words of who was here before are written. Pairs with the release in stack_map_remove(). */
        if (weft_atomic_load_relaxed(&entries[i].base) != BASE_NONE || !weft_atomic_cas_acquire(&entries[i].base, &none, BASE_CLAIMED))
            continue;
        raise_end(i + 1);
        return &entries[i];
    }
    return NULL;
}

void stack_map_add(const void *base, size_t guard_bytes, size_t stack_bytes, size_t count)
{
    struct entry *entry = claim();
    if (entry == NULL)
        return;
    (void)weft_atomic_add_relaxed(&entry->version, 1);
    /* Release, all four: the odd version. Pairs with the acquires in read_entry(). */
    weft_atomic_store_release(&entry->guard_bytes, guard_bytes);
    weft_atomic_store_release(&entry->stack_bytes, stack_bytes);
    weft_atomic_store_release(&entry->count, count);
    weft_atomic_store_release(&entry->base, (uintptr_t)base);
    /* Release: the words above. Pairs with the first acquire in read_entry(). */
    (void)weft_atomic_add_release(&entry->version, 1);
}

void stack_map_remove(const void *base)
{
    uint32_t end = weft_atomic_load_relaxed(&entry_end);
    for (uint32_t i = 0; i < end; i++)
        if (weft_atomic_load_relaxed(&entries[i].base) == (uintptr_t)base) {
            /* Release: what stack_map_add() wrote here. Pairs with the acquire in claim(). */
            weft_atomic_store_release(&entries[i].base, BASE_NONE);
            return;
        }
}

/* False if the entry is nobody's, or changes hands meanwhile. */
static bool read_entry(const struct entry *entry, struct entry *copy_out)
{
    /* Pairs with the last release in stack_map_add(). */
    uint32_t version = weft_atomic_load_acquire(&entry->version);
    /* All four: Pairs with the releases of these words in stack_map_add(). A new one brings its odd version. */
    copy_out->base = weft_atomic_load_acquire(&entry->base);
    copy_out->guard_bytes = weft_atomic_load_acquire(&entry->guard_bytes);
    copy_out->stack_bytes = weft_atomic_load_acquire(&entry->stack_bytes);
    copy_out->count = weft_atomic_load_acquire(&entry->count);
    if (version % 2 != 0 || weft_atomic_load_relaxed(&entry->version) != version)
        return false;
    return copy_out->base > BASE_CLAIMED && copy_out->stack_bytes != 0;
}

bool stack_map_find(uintptr_t addr, struct stack_place *place_out)
{
    uint32_t end = weft_atomic_load_relaxed(&entry_end);
    for (uint32_t i = 0; i < end; i++) {
        struct entry entry;
        if (!read_entry(&entries[i], &entry))
            continue;
        size_t stride = entry.guard_bytes + entry.stack_bytes;
        uintptr_t offset = addr - entry.base;
        if (addr < entry.base || offset / stride >= entry.count)
            continue;
        *place_out = (struct stack_place){.slab = entry.base, .index = offset / stride, .stack_bytes = entry.stack_bytes};
        place_out->low = entry.base + place_out->index * stride + entry.guard_bytes;
        place_out->is_guard = addr < place_out->low;
        return true;
    }
    return false;
}
