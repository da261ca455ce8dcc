/*
 * Signal stack: sigaltstack(), mapped, guarded and taken back as the thread ends.
 *
 * Whoever installs a handler with SA_ONSTACK has the threads that it cares for call in here. The invariant: a thread whose key is set runs
 * handlers on a mapping of ours or of its owner's, which is not unmapped before the kernel has let go of it.
 */
#include "lib/base/signal_stack.h"

#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/thread_key.h"

#if !defined(AT_MINSIGSTKSZ)
#define AT_MINSIGSTKSZ 51 /* what the kernel stores of the registers; older kernels do not say */
#endif

/* For the handler and those that it chains to. Enough is what one's own handler may have been given on purpose. */
enum { STACK_BYTES = 64 << 10, ENOUGH_BYTES = 8 << 10 };

/* At the top of the mapping, above the stack. */
struct signal_stack {
    void *mapping;
    size_t mapping_bytes;
    stack_t stack;
    stack_t before;
};

static uint64_t key_made;
static char somebody_elses; /* the value of a thread that had one */

static size_t frame_bytes(void)
{
    size_t bytes = (size_t)getauxval(AT_MINSIGSTKSZ);
    return bytes < (size_t)MINSIGSTKSZ ? (size_t)MINSIGSTKSZ : bytes;
}

static void take_back(void *value)
{
    if (value == &somebody_elses)
        return;
    struct signal_stack *self = value;
    stack_t present;
    bool is_known = sigaltstack(NULL, &present) == 0;
    if (is_known && (present.ss_flags & SS_ONSTACK) != 0)
        return; /* a thread that ends inside a handler: the mapping stays */
    if (is_known && present.ss_sp == self->stack.ss_sp && sigaltstack(&self->before, NULL) != 0)
        return;
    (void)munmap(self->mapping, self->mapping_bytes);
}

/* Room for the stack, its guard below and its record above. */
static struct signal_stack *map_stack(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = STACK_BYTES + frame_bytes() + sizeof(struct signal_stack) + page_bytes;
    bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    char *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    (void)mprotect(mapping, page_bytes, PROT_NONE); /* a mapping the fewer is no reason to go without */
    size_t record_at = (bytes - sizeof(struct signal_stack)) / 64 * 64;
    struct signal_stack *self = (struct signal_stack *)(void *)(mapping + record_at);
    self->mapping = mapping;
    self->mapping_bytes = bytes;
    self->stack = (stack_t){.ss_sp = mapping + page_bytes, .ss_size = record_at - page_bytes};
    return self;
}

static bool give_stack(pthread_key_t key)
{
    struct signal_stack *self = map_stack();
    if (self == NULL)
        return false;
    if (pthread_setspecific(key, self) == 0) {
        if (sigaltstack(&self->stack, &self->before) == 0)
            return true;
        (void)pthread_setspecific(key, NULL);
    }
    (void)munmap(self->mapping, self->mapping_bytes);
    return false;
}

bool signal_stack_ensure(void)
{
    pthread_key_t key;
    if (!thread_key_get(&key_made, take_back, &key))
        return false;
    if (pthread_getspecific(key) != NULL)
        return true;
    stack_t present;
    if (sigaltstack(NULL, &present) != 0)
        return false;
    if ((present.ss_flags & SS_DISABLE) == 0 && present.ss_size >= frame_bytes() + ENOUGH_BYTES)
        return pthread_setspecific(key, &somebody_elses) == 0;
    return give_stack(key);
}
