/*
 * Hooks: where compiled code comes into the checker: the operations of atomic_model.h, the calls that -fsanitize=thread puts before each
 * plain load and store, failed assertions, memory.
 *
 * Outside of a run everything is done at once and plainly.
 */
#include <assert.h>
#include <string.h>

#include "tests/model/engine.h"
#include "tests/model/world.h"

/* ---- atomics ------------------------------------------------------------------------------------------------------------------------- */

/* A store that was held back comes behind the first atomic operation after it, as a step of its own. */
static void store_late(void)
{
    struct model_thread *self = run_self();
    struct model_site *site = self->late.site;
    if (site == NULL)
        return;
    struct operation operation = {.address = self->late.address, .size = (uint32_t)self->late.size, .is_write = true};
    operation.is_seq_cst = site->order == MODEL_SEQ_CST;
    self->late.site = NULL;
    run_step(&operation);
    uint64_t writes = self->writes;
    weak_store(site, operation.address, operation.size, self->late.value, site->order);
    self->writes = writes; /* news to this thread too, if it spins */
}

static void begin(struct model_site *site, const volatile void *ptr, size_t size, bool is_write, bool is_seq_cst)
{
    uintptr_t address = (uintptr_t)ptr;
    struct operation operation = {.address = address, .size = (uint32_t)size, .is_write = is_write, .is_seq_cst = is_seq_cst};
    run_step(&operation);
    site->hits++;
    shadow_atomic(address, size, is_write);
}

uint64_t model_load(struct model_site *site, const volatile void *ptr, size_t size)
{
    uint64_t value = 0;
    if (!engine->is_active) {
        memcpy(&value, (const void *)(uintptr_t)ptr, size);
        return value;
    }
    begin(site, ptr, size, false, site->order == MODEL_SEQ_CST);
    value = weak_load(site, (uintptr_t)ptr, size, site->order);
    store_late();
    return value;
}

void model_store(struct model_site *site, volatile void *ptr, size_t size, uint64_t value)
{
    if (!engine->is_active) {
        memcpy((void *)(uintptr_t)ptr, &value, size);
        return;
    }
    struct model_thread *self = run_self();
    if (site->is_late && engine->is_running && self->late.site == NULL) {
        site->hits++;
        self->late.site = site;
        self->late.address = (uintptr_t)ptr;
        self->late.size = size;
        self->late.value = value;
        return;
    }
    begin(site, ptr, size, true, site->order == MODEL_SEQ_CST);
    weak_store(site, (uintptr_t)ptr, size, value, site->order);
    store_late();
}

uint64_t model_update(struct model_site *site, volatile void *ptr, size_t size, uint64_t operand)
{
    if (!engine->is_active)
        model_fail("a read-modify-write outside of a run");
    begin(site, ptr, size, true, site->order == MODEL_SEQ_CST);
    uint64_t before = weak_update(site, (uintptr_t)ptr, size, operand);
    store_late();
    return before;
}

bool model_cas(struct model_site *site, volatile void *ptr, size_t size, void *expected, uint64_t desired)
{
    if (!engine->is_active)
        model_fail("a compare-and-swap outside of a run");
    uint64_t wanted = 0;
    memcpy(&wanted, expected, size);
    begin(site, ptr, size, true, site->order == MODEL_SEQ_CST);
    bool is_done = weak_cas(site, (uintptr_t)ptr, size, &wanted, desired);
    if (!is_done)
        memcpy(expected, &wanted, size);
    store_late();
    return is_done;
}

void model_fence(struct model_site *site)
{
    static const struct operation fence = {.is_seq_cst = true, .is_fence = true};
    if (!engine->is_active)
        return;
    if (site->order == MODEL_RELAXED) {
        site->hits++;
        return;
    }
    run_step(&fence);
    site->hits++;
    weak_fence(site);
    store_late();
}

/* ---- plain accesses ------------------------------------------------------------------------------------------------------------------- */

#define HOOKS(size)                                                                                                                        \
    void __tsan_read##size(void *address);                                                                                                 \
    void __tsan_read##size(void *address)                                                                                                  \
    {                                                                                                                                      \
        shadow_access((uintptr_t)address, size, false);                                                                                    \
    }                                                                                                                                      \
    void __tsan_write##size(void *address);                                                                                                \
    void __tsan_write##size(void *address)                                                                                                 \
    {                                                                                                                                      \
        shadow_access((uintptr_t)address, size, true);                                                                                     \
    }                                                                                                                                      \
    void __tsan_unaligned_read##size(void *address);                                                                                       \
    void __tsan_unaligned_read##size(void *address)                                                                                        \
    {                                                                                                                                      \
        shadow_access((uintptr_t)address, size, false);                                                                                    \
    }                                                                                                                                      \
    void __tsan_unaligned_write##size(void *address);                                                                                      \
    void __tsan_unaligned_write##size(void *address)                                                                                       \
    {                                                                                                                                      \
        shadow_access((uintptr_t)address, size, true);                                                                                     \
    }

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void *address, size_t size);
void __tsan_read_range(void *address, size_t size)
{
    shadow_access((uintptr_t)address, size, false);
}

void __tsan_write_range(void *address, size_t size);
void __tsan_write_range(void *address, size_t size)
{
    shadow_access((uintptr_t)address, size, true);
}

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

void *model_memcpy(void *to, const void *from, size_t size)
{
    shadow_access((uintptr_t)from, size, false);
    shadow_access((uintptr_t)to, size, true);
    return memcpy(to, from, size);
}

void *model_memmove(void *to, const void *from, size_t size)
{
    shadow_access((uintptr_t)from, size, false);
    shadow_access((uintptr_t)to, size, true);
    return memmove(to, from, size);
}

void *model_memset(void *to, int byte, size_t size)
{
    shadow_access((uintptr_t)to, size, true);
    return memset(to, byte, size);
}

/* ---- the C library -------------------------------------------------------------------------------------------------------------------- */

/* What assert() calls. */
void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    model_fail("%s:%u: %s: assertion failed: %s", file, line, function, assertion);
}
