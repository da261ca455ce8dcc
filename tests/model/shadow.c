/*
 * Shadow: who touched which plain byte last, and the memory that a model allocates.
 *
 * Two accesses race if they touch a byte in common, one of them writes, they are not both atomic, and neither happens before the other
 * (C11 5.1.2.4 p25). For each eight bytes there are records of who wrote and who read when, one for each set of bytes that was accessed
 * as one. Blocks are never given out twice in a run: a touch of one that is freed is found for as long as the run lasts, and so is one
 * beside a block, in the gap between them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/engine.h"
#include "tests/model/world.h"

enum { HEAP_BYTES = 8 << 20, GAP_BYTES = 32, ALIGN_BYTES = 64, BLOCKS_MAX = 1 << 14, CELLS = 1 << 16, RECORDS = 4 };

struct record {
    uint8_t bytes; /* a bit for each; 0: unused */
    uint8_t writer;
    uint32_t wrote;
    uint32_t read[THREADS];
};

struct cell {
    uintptr_t address; /* / 8 */
    uint64_t run;
    struct record records[RECORDS];
};

struct block {
    char *begin;
    size_t bytes;
    bool is_free;
};

struct shadow {
    uint64_t run;
    char *heap;
    size_t heap_used;
    struct block blocks[BLOCKS_MAX];
    uint32_t block_count;
    size_t live_count;
    struct cell cells[CELLS];
};

static struct shadow *shadow;
static uintptr_t locals_begin, locals_end;

void shadow_init(void)
{
    size_t bytes;
    locals_begin = (uintptr_t)model_locals(&bytes);
    locals_end = locals_begin + bytes;
    shadow = calloc(1, sizeof(*shadow));
    if (shadow == NULL || posix_memalign((void **)&shadow->heap, 4096, HEAP_BYTES) != 0)
        abort();
}

void shadow_reset(void)
{
    shadow->run++;
    shadow->heap_used = 0;
    shadow->block_count = 0;
    shadow->live_count = 0;
}

size_t shadow_live_count(void)
{
    return shadow->live_count;
}

/* ---- blocks -------------------------------------------------------------------------------------------------------------------------- */

static bool is_in_heap(uintptr_t address)
{
    return address >= (uintptr_t)shadow->heap && address < (uintptr_t)shadow->heap + HEAP_BYTES;
}

/* The block that begins at or before `address`. They lie in order. */
static struct block *block_before(uintptr_t address)
{
    uint32_t low = 0, high = shadow->block_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if ((uintptr_t)shadow->blocks[middle].begin <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &shadow->blocks[low - 1];
}

static void check_block(uintptr_t address, size_t size)
{
    if (address < 4096)
        model_fail("a NULL pointer is followed, by thread %u", engine->current);
    if (!is_in_heap(address))
        return;
    const struct block *block = block_before(address);
    if (block == NULL || address + size > (uintptr_t)block->begin + block->bytes)
        model_fail("%zu bytes outside of any block are touched, by thread %u", size, engine->current);
    if (block->is_free)
        model_fail("use after free: byte %zu of a block of %zu, by thread %u", (size_t)(address - (uintptr_t)block->begin), block->bytes,
                   engine->current);
}

static void *allocate(size_t align, size_t bytes)
{
    align = align < ALIGN_BYTES ? ALIGN_BYTES : align;
    size_t begin = (shadow->heap_used + GAP_BYTES + align - 1) / align * align;
    if (begin + bytes > HEAP_BYTES || shadow->block_count == BLOCKS_MAX)
        model_fail("the model's heap is used up");
    shadow->heap_used = begin + bytes;
    shadow->blocks[shadow->block_count++] = (struct block){shadow->heap + begin, bytes, false};
    shadow->live_count++;
    memset(shadow->heap + begin, 0xa5, bytes);
    return shadow->heap + begin;
}

void *model_malloc(size_t bytes)
{
    return allocate(1, bytes);
}

void *model_aligned_alloc(size_t align, size_t bytes)
{
    return allocate(align, bytes);
}

void *model_calloc(size_t count, size_t bytes)
{
    void *block = allocate(1, count * bytes);
    memset(block, 0, count * bytes);
    if (engine->is_running)
        shadow_access((uintptr_t)block, count * bytes, true); /* who comes by without an order may not find the zeros */
    return block;
}

void model_free(void *ptr)
{
    if (ptr == NULL)
        return;
    struct block *block = is_in_heap((uintptr_t)ptr) ? block_before((uintptr_t)ptr) : NULL;
    if (block == NULL || block->begin != (char *)ptr)
        model_fail("what was never allocated is freed, by thread %u", engine->current);
    if (block->is_free)
        model_fail("double free of a block of %zu bytes, by thread %u", block->bytes, engine->current);
    shadow_access((uintptr_t)ptr, block->bytes, true); /* whoever touched it must have done so before */
    block->is_free = true;
    shadow->live_count--;
}

void *model_realloc(void *ptr, size_t bytes)
{
    void *fresh = allocate(1, bytes);
    if (ptr == NULL)
        return fresh;
    struct block *block = block_before((uintptr_t)ptr);
    memcpy(fresh, ptr, block->bytes < bytes ? block->bytes : bytes);
    model_free(ptr);
    return fresh;
}

/* ---- races --------------------------------------------------------------------------------------------------------------------------- */

static struct cell *cell_get(uintptr_t address)
{
    uint32_t i = (uint32_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 44) % CELLS;
    for (uint32_t tried = 0; tried < CELLS; tried++, i = (i + 1) % CELLS) {
        struct cell *cell = &shadow->cells[i];
        if (cell->run == shadow->run && cell->address == address)
            return cell;
        if (cell->run == shadow->run)
            continue;
        memset(cell, 0, sizeof(*cell));
        cell->run = shadow->run;
        cell->address = address;
        return cell;
    }
    model_fail("too much plain memory is touched");
}

static void fail_race(uintptr_t address, unsigned other, bool is_write, const char *what)
{
    model_fail("data race: thread %u %s %#zx, which thread %u %s without order between them", engine->current,
               is_write ? "writes" : "reads", (size_t)address, other, what);
}

static void check_record(const struct record *record, uintptr_t address, bool is_write)
{
    const struct model_thread *self = run_self();
    if (record->writer != engine->current && record->wrote > self->happened.ticks[record->writer])
        fail_race(address, record->writer, is_write, "wrote");
    for (unsigned i = 0; is_write && i < engine->thread_count; i++)
        if (i != engine->current && record->read[i] > self->happened.ticks[i])
            fail_race(address, i, is_write, "read");
}

/* The record of exactly `bytes`, made if there is none: of the parts, if it cannot be had. */
static struct record *record_get(struct cell *cell, uint8_t bytes)
{
    for (unsigned i = 0; i < RECORDS; i++)
        if (cell->records[i].bytes == bytes)
            return &cell->records[i];
    for (unsigned i = 0; i < RECORDS; i++)
        if (cell->records[i].bytes == 0) {
            cell->records[i].bytes = bytes;
            return &cell->records[i];
        }
    return &cell->records[bytes % RECORDS]; /* its past is forgotten: a race may be missed, none is made up */
}

static void access_cell(uintptr_t granule, uint8_t bytes, bool is_write, bool is_atomic)
{
    struct cell *cell = cell_get(granule);
    unsigned current = engine->current;
    for (unsigned i = 0; i < RECORDS; i++)
        if ((cell->records[i].bytes & bytes) != 0)
            check_record(&cell->records[i], granule * 8, is_write);
    if (is_atomic)
        return;
    struct record *record = record_get(cell, bytes);
    uint32_t tick = run_self()->happened.ticks[current];
    if (record->bytes != bytes)
        *record = (struct record){.bytes = bytes};
    if (is_write) {
        record->writer = (uint8_t)current;
        record->wrote = tick;
    } else {
        record->read[current] = tick;
    }
}

static void access_range(uintptr_t address, size_t size, bool is_write, bool is_atomic)
{
    for (uintptr_t granule = address / 8; granule <= (address + size - 1) / 8; granule++) {
        uintptr_t low = granule * 8 < address ? address - granule * 8 : 0;
        uintptr_t high = granule * 8 + 8 > address + size ? address + size - granule * 8 : 8;
        access_cell(granule, (uint8_t)((0xffu << low) & (0xffu >> (8 - high))), is_write, is_atomic);
    }
}

static bool is_nobodys(uintptr_t address)
{
    return (address >= locals_begin && address < locals_end) || address == (uintptr_t)&errno; /* the C library's, but thread-local too */
}

void shadow_access(uintptr_t address, size_t size, bool is_write)
{
    if (!engine->is_active || size == 0 || is_nobodys(address))
        return;
    check_block(address, size);
    access_range(address, size, is_write, false);
    if (weak_races(address, size, is_write))
        model_fail("data race: thread %u %s %#zx plainly, where another uses atomics, without order between them", engine->current,
                   is_write ? "writes" : "reads", (size_t)address);
    if (is_write)
        weak_forget(address, size);
}

void shadow_atomic(uintptr_t address, size_t size, bool is_write)
{
    check_block(address, size);
    access_range(address, size, is_write, true);
}
