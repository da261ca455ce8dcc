/*
 * The stacks of one loop: slabs, guards, and which stacks keep their pages. Called by the fibers of the loop that owns the pool, and by
 * stack_release_remote() from elsewhere.
 *
 * The invariant: each stack of a slab is exactly one of unused (index >= carved_count), cold (in its slab's list, without a page), warm
 * (in its bin's list) or live (nobody's list but perhaps `returned`). A slab is in its bin's `roomy` list if it has an unused or a cold
 * stack, else in `full`.
 */
#include "lib/task/stack.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#include "lib/task/stack_map.h"
#include "weft/atomic.h"
#include "weft/memory.h"

#if !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102 /* Linux 6.13, newer than the headers that we build with */
#endif

#define MADV_NONSENSE 0x7eadbeef

/* Every so many uses a stack is refreshed: a deep call of long ago does not keep its pages for ever. A power of two. */
#define STACK_REFRESH_USES 64

/* An epoch is as long as there are stacks, but not shorter: a load that comes and goes within one trims nothing. */
#define STACK_EPOCH_MIN 1024

/* Tops at the same offset of every page share a few sets of the first-level cache; so they take turns at eight offsets. */
#define STACK_COLOUR_COUNT 8
#define STACK_COLOUR_BYTES 128

struct stack_slab {
    struct stack_slab *next;
    struct stack_slab *prev;
    struct stack_pool *pool;
    char *base;
    size_t stack_count;
    size_t carved_count; /* stacks that were made; those behind are unused */
    size_t busy_count;   /* live and warm ones */
    struct stack *cold;
    struct stack stacks[];
};

struct stack_shape {
    size_t bytes;
    size_t slab_count; /* stacks of a slab: 28 to 34 MiB together, guards included */
    size_t hot_bytes;  /* below the top: kept when a stack is refreshed */
};

/* The records of the small ones, with their head, are 14 KiB, jemalloc's largest small class. 256 would be 16,448 bytes, and get 20,480. */
static const struct stack_shape stack_shapes[STACK_CLASS_COUNT] = {
    [STACK_SMALL] = {(size_t)64 << 10, 223, (size_t)16 << 10},
    [STACK_MEDIUM] = {(size_t)1 << 20, 32, (size_t)64 << 10},
    [STACK_LARGE] = {(size_t)8 << 20, 4, (size_t)64 << 10},
};

static int system_map(size_t bytes, void **addr_out)
{
    void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (addr == MAP_FAILED)
        return -errno;
    *addr_out = addr;
    return 0;
}

static int system_unmap(void *addr, size_t bytes)
{
    return munmap(addr, bytes) == 0 ? 0 : -errno;
}

static int system_advise(void *addr, size_t bytes, int advice)
{
    return madvise(addr, bytes, advice) == 0 ? 0 : -errno;
}

static int system_protect(void *addr, size_t bytes)
{
    return mprotect(addr, bytes, PROT_NONE) == 0 ? 0 : -errno;
}

static const struct stack_system kernel_system = {system_map, system_unmap, system_advise, system_protect};

/* Slabs. */

static size_t slab_bytes(const struct stack_shape *shape, size_t stack_count)
{
    return stack_count * (STACK_GUARD_BYTES + shape->bytes);
}

static void slab_link(struct stack_slab **list, struct stack_slab *slab)
{
    slab->prev = NULL;
    slab->next = *list;
    if (*list != NULL)
        (*list)->prev = slab;
    *list = slab;
}

static void slab_unlink(struct stack_slab **list, struct stack_slab *slab)
{
    if (slab->next != NULL)
        slab->next->prev = slab->prev;
    if (slab->prev != NULL)
        slab->prev->next = slab->next;
    else
        *list = slab->next;
}

static bool slab_has_room(const struct stack_slab *slab)
{
    return slab->cold != NULL || slab->carved_count < slab->stack_count;
}

/* Where address space is short, a slab may still be had with fewer stacks. */
static int slab_map(const struct stack_system *system, const struct stack_shape *shape, size_t *stack_count, void **base_out)
{
    for (size_t count = shape->slab_count; count > 0; count /= 2) {
        if (system->map(slab_bytes(shape, count), base_out) == 0) {
            *stack_count = count;
            return 0;
        }
    }
    return -ENOMEM;
}

static int slab_create(struct stack_pool *pool, struct stack_bin *bin, const struct stack_shape *shape)
{
    struct stack_slab *slab = weft_calloc(1, sizeof(*slab) + shape->slab_count * sizeof(slab->stacks[0]));
    if (slab == NULL)
        return -ENOMEM;
    void *base;
    int status = slab_map(pool->system, shape, &slab->stack_count, &base);
    if (status < 0) {
        weft_free(slab);
        return status;
    }
    /* A huge page would make one touched page 2 MiB. A kernel without huge pages refuses, which is as good. */
    (void)pool->system->advise(base, slab_bytes(shape, slab->stack_count), MADV_NOHUGEPAGE);
    slab->base = base;
    slab->pool = pool;
    stack_map_add(base, STACK_GUARD_BYTES, shape->bytes, slab->stack_count);
    bin->stack_count += slab->stack_count;
    slab_link(&bin->roomy, slab);
    return 0;
}

/* `slab` is in no list any more, and none of its stacks is live or warm. */
static void slab_destroy(struct stack_slab *slab, struct stack_bin *bin, const struct stack_shape *shape)
{
    for (size_t i = 0; i < slab->carved_count; i++) {
        struct stack *stack = &slab->stacks[i];
        fiber_shadow_destroy(stack->tsan_fiber);
        fiber_shadow_unregister(stack->low, stack->bytes, stack->shadow_id);
    }
    bin->stack_count -= slab->stack_count;
    stack_map_remove(slab->base);
    (void)slab->pool->system->unmap(slab->base, slab_bytes(shape, slab->stack_count));
    weft_free(slab);
}

/* Guards. */

/* Who takes an advice that does not exist takes any and does nothing: qemu's user mode does. Its yes to a guard means no guard. */
static void marks_probe(struct stack_pool *pool, void *guard)
{
    if (pool->marks_probed)
        return;
    pool->marks_probed = true;
    pool->marks_fail = pool->system->advise(guard, STACK_GUARD_BYTES, MADV_NONSENSE) == 0;
}

static int guard_install(struct stack_pool *pool, void *guard, enum stack_guard *kind_out)
{
    marks_probe(pool, guard);
    if (!pool->marks_fail) {
        int status = pool->system->advise(guard, STACK_GUARD_BYTES, MADV_GUARD_INSTALL);
        if (status == 0) {
            *kind_out = STACK_GUARD_MARKED;
            return 0;
        }
        pool->marks_fail = status == -EINVAL;
    }
    int status = pool->system->protect(guard, STACK_GUARD_BYTES);
    if (status < 0 && !pool->allow_unguarded)
        return -ENOMEM;
    *kind_out = status < 0 ? STACK_GUARD_NONE : STACK_GUARD_PROTECTED;
    return 0;
}

enum stack_guard stack_guard_kind(const struct stack *stack)
{
    return (enum stack_guard)stack->guard;
}

const char *stack_guard_name(enum stack_guard guard)
{
    static const char *const names[] = {"marked", "protected", "none"};
    return names[guard];
}

bool stack_guard_contains(const struct stack *stack, const void *addr)
{
    return stack->guard != STACK_GUARD_NONE && (uintptr_t)stack->low - (uintptr_t)addr - 1 < STACK_GUARD_BYTES;
}

/* Warm stacks: a list by age. */

static void warm_push(struct stack_bin *bin, struct stack *stack)
{
    stack->prev = NULL;
    stack->next = bin->warm_newest;
    if (stack->next != NULL)
        stack->next->prev = stack;
    else
        bin->warm_oldest = stack;
    bin->warm_newest = stack;
    bin->warm_count++;
}

static struct stack *warm_pop_newest(struct stack_bin *bin)
{
    struct stack *stack = bin->warm_newest;
    bin->warm_newest = stack->next;
    if (stack->next != NULL)
        stack->next->prev = NULL;
    else
        bin->warm_oldest = NULL;
    if (--bin->warm_count < bin->warm_min)
        bin->warm_min = bin->warm_count;
    return stack;
}

static struct stack *warm_pop_oldest(struct stack_bin *bin)
{
    struct stack *stack = bin->warm_oldest;
    bin->warm_oldest = stack->prev;
    if (stack->prev != NULL)
        stack->prev->next = NULL;
    else
        bin->warm_newest = NULL;
    if (--bin->warm_count < bin->warm_min)
        bin->warm_min = bin->warm_count;
    return stack;
}

/* Cold and unused stacks: in their slab, so that a slab without a busy stack can go whole. */

/* Drop the pages below the `keep_bytes` at the top. */
static void stack_drop_pages(const struct stack_system *system, const struct stack *stack, size_t keep_bytes)
{
    (void)system->advise(stack->low, stack_shapes[stack->stack_class].bytes - keep_bytes, MADV_DONTNEED);
}

static int slab_carve(struct stack_slab *slab, enum stack_class stack_class, struct stack **stack_out)
{
    const struct stack_shape *shape = &stack_shapes[stack_class];
    size_t index = slab->carved_count;
    struct stack *stack = &slab->stacks[index];
    char *guard = slab->base + slab_bytes(shape, index);
    enum stack_guard kind;
    int status = guard_install(slab->pool, guard, &kind);
    if (status < 0)
        return status;
    slab->carved_count++;
    stack->low = guard + STACK_GUARD_BYTES;
    stack->bytes = shape->bytes - index % STACK_COLOUR_COUNT * STACK_COLOUR_BYTES;
    stack->slab = slab;
    stack->stack_class = (uint8_t)stack_class;
    stack->guard = (uint8_t)kind;
    stack->tsan_fiber = fiber_shadow_create();
    stack->shadow_id = fiber_shadow_register(stack->low, stack->bytes);
    *stack_out = stack;
    return 0;
}

static int slab_take(struct stack_slab *slab, enum stack_class stack_class, struct stack **stack_out)
{
    if (slab->cold != NULL) {
        *stack_out = slab->cold;
        slab->cold = slab->cold->next;
    } else {
        int status = slab_carve(slab, stack_class, stack_out);
        if (status < 0)
            return status;
    }
    slab->busy_count++;
    return 0;
}

static int cold_take(struct stack_pool *pool, enum stack_class stack_class, struct stack **stack_out)
{
    struct stack_bin *bin = &pool->bins[stack_class];
    if (bin->roomy == NULL) {
        int status = slab_create(pool, bin, &stack_shapes[stack_class]);
        if (status < 0)
            return status;
    }
    struct stack_slab *slab = bin->roomy;
    int status = slab_take(slab, stack_class, stack_out);
    if (status == 0 && !slab_has_room(slab)) {
        slab_unlink(&bin->roomy, slab);
        slab_link(&bin->full, slab);
    }
    return status;
}

/* One roomy slab is kept even if nothing of it is in use: the next fiber would map it again. */
static void cold_put(struct stack_pool *pool, struct stack *stack)
{
    struct stack_slab *slab = stack->slab;
    struct stack_bin *bin = &pool->bins[stack->stack_class];
    stack_drop_pages(pool->system, stack, 0);
    if (!slab_has_room(slab)) {
        slab_unlink(&bin->full, slab);
        slab_link(&bin->roomy, slab);
    }
    stack->next = slab->cold;
    slab->cold = stack;
    bool is_only = bin->roomy == slab && slab->next == NULL;
    if (--slab->busy_count == 0 && !is_only) {
        slab_unlink(&bin->roomy, slab);
        slab_destroy(slab, bin, &stack_shapes[stack->stack_class]);
    }
}

/* Releases count the time: what was not needed in one epoch goes cold in the next, one with each release. */
static void bin_age(struct stack_pool *pool, struct stack_bin *bin)
{
    size_t epoch_length = bin->stack_count > STACK_EPOCH_MIN ? bin->stack_count : STACK_EPOCH_MIN;
    if (++bin->epoch_count >= epoch_length) {
        bin->surplus_count = bin->warm_min;
        bin->warm_min = bin->warm_count;
        bin->epoch_count = 0;
    }
    if (bin->surplus_count > 0 && bin->warm_count > 0) {
        bin->surplus_count--;
        cold_put(pool, warm_pop_oldest(bin));
    }
}

/* TSan's fiber is renewed too: it counts calls that were left and not returned from, and has room for some 60,000. */
static void stack_refresh(struct stack_pool *pool, struct stack *stack)
{
    stack_drop_pages(pool->system, stack, stack_shapes[stack->stack_class].hot_bytes);
    fiber_shadow_destroy(stack->tsan_fiber);
    stack->tsan_fiber = fiber_shadow_create();
}

static struct stack_pool *stack_pool_of(const struct stack *stack)
{
    return stack->slab->pool;
}

/* Take home what other threads released. */
static void pool_collect(struct stack_pool *pool)
{
    if (weft_atomic_load_relaxed(&pool->returned) == NULL)
        return;
    /* Pairs with the release in stack_release_remote(): whoever released is done with the stack. */
    struct stack *stack = weft_atomic_exchange_acquire(&pool->returned, NULL);
    while (stack != NULL) {
        struct stack *next = stack->next;
        stack_release(pool, stack);
        stack = next;
    }
}

void stack_pool_init(struct stack_pool *pool, const struct stack_options *options)
{
    *pool = (struct stack_pool){.system = &kernel_system};
    if (options == NULL)
        return;
    pool->allow_unguarded = options->allow_unguarded;
    if (options->system != NULL)
        pool->system = options->system;
}

static void bin_destroy_idle(struct stack_bin *bin, struct stack_slab **list, const struct stack_shape *shape)
{
    struct stack_slab *next;
    for (struct stack_slab *slab = *list; slab != NULL; slab = next) {
        next = slab->next;
        if (slab->busy_count > 0)
            continue;
        slab_unlink(list, slab);
        slab_destroy(slab, bin, shape);
    }
}

size_t stack_pool_fini(struct stack_pool *pool)
{
    if (pool == NULL)
        return 0;
    (void)stack_pool_trim(pool, SIZE_MAX);
    for (int i = 0; i < STACK_CLASS_COUNT; i++)
        bin_destroy_idle(&pool->bins[i], &pool->bins[i].roomy, &stack_shapes[i]);
    return stack_pool_live_count(pool);
}

int stack_acquire(struct stack_pool *pool, enum stack_class stack_class, struct stack **stack_out)
{
    assert((unsigned)stack_class < STACK_CLASS_COUNT);
    struct stack_bin *bin = &pool->bins[stack_class];
    struct stack *stack;
    if (bin->warm_newest == NULL)
        pool_collect(pool);
    if (bin->warm_newest != NULL) {
        stack = warm_pop_newest(bin);
    } else {
        int status = cold_take(pool, stack_class, &stack);
        if (status < 0)
            return status;
    }
    fiber_shadow_unpoison(stack->low, stack->bytes);
    stack->is_live = true;
    bin->live_count++;
    *stack_out = stack;
    return 0;
}

void stack_release(struct stack_pool *pool, struct stack *stack)
{
    struct stack_bin *bin = &pool->bins[stack->stack_class];
    assert(stack->is_live && stack_pool_of(stack) == pool);
    stack->is_live = false;
    bin->live_count--;
    fiber_shadow_poison(stack->low, stack->bytes);
    if (++stack->use_count % STACK_REFRESH_USES == 0)
        stack_refresh(pool, stack);
    warm_push(bin, stack);
    bin_age(pool, bin);
}

void stack_release_remote(struct stack *stack)
{
    struct stack_pool *pool = stack_pool_of(stack);
    stack->next = weft_atomic_load_relaxed(&pool->returned);
    /* Pairs with the acquire in pool_collect(). That takes the whole chain, so a head that came back is still right. */
    while (!weft_atomic_cas_release(&pool->returned, &stack->next, stack))
        ;
}

size_t stack_pool_trim(struct stack_pool *pool, size_t count_max)
{
    size_t count = 0;
    pool_collect(pool);
    for (int i = 0; i < STACK_CLASS_COUNT; i++) {
        struct stack_bin *bin = &pool->bins[i];
        for (; bin->warm_count > 0 && count < count_max; count++)
            cold_put(pool, warm_pop_oldest(bin));
    }
    return count;
}

size_t stack_pool_live_count(struct stack_pool *pool)
{
    size_t count = 0;
    pool_collect(pool);
    for (int i = 0; i < STACK_CLASS_COUNT; i++)
        count += pool->bins[i].live_count;
    return count;
}
