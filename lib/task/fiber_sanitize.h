/*
 * What sanitizers and valgrind must be told about stacks that the operating system does not know. Called by fiber_switch.h around each
 * switch and by stack.c as stacks come and go. In a build without any of these tools every call is empty and `struct fiber_shadow` has
 * no size. The invariant: at any time the tool's idea of the present stack is the stack that runs.
 */
#ifndef LIB_TASK_FIBER_SANITIZE_H
#define LIB_TASK_FIBER_SANITIZE_H

#include <stddef.h>
#include <stdint.h>

#if defined(WEFT_ATOMIC_MODEL)
/* The model checker takes the place of a sanitizer, and has stacks of its own. */
#elif defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#elif __has_feature(memory_sanitizer)
#define FIBER_MSAN 1
#endif
#endif

#if defined(FIBER_ASAN)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#elif defined(FIBER_TSAN)
#include <sanitizer/tsan_interface.h>
#elif defined(FIBER_MSAN)
#include <sanitizer/msan_interface.h>
#endif

#if defined(WEFT_VALGRIND)
#include <valgrind/valgrind.h>
#endif

/*
 * Between telling the tool and switching, no function may return: TSan would take the call from the other stack's list of calls, one
 * too many each time. So the hooks are inlined in every build.
 */
#define FIBER_HOOK __attribute__((always_inline)) static inline

/* What a tool keeps for one context. */
struct fiber_shadow {
#if defined(FIBER_ASAN)
    const void *low;
    size_t bytes;
    void *fake_stack; /* ASan's, while the context does not run */
    void (*entry)(void *arg);
    void *arg;
#elif defined(FIBER_TSAN)
    void *fiber; /* TSan's: the stack's (see fiber_shadow_create()), or the thread's own */
#endif
};

#if defined(FIBER_ASAN)

static inline void fiber_shadow_init_thread(struct fiber_shadow *shadow)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &low, &bytes);
        pthread_attr_destroy(&attr);
    }
    shadow->low = low;
    shadow->bytes = bytes;
    shadow->fake_stack = NULL;
}

FIBER_HOOK void fiber_shadow_switch(struct fiber_shadow *from, const struct fiber_shadow *to)
{
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->bytes);
}

/* Without a place to save it, ASan frees the fake stack of the context that is left. */
FIBER_HOOK void fiber_shadow_exit_to(const struct fiber_shadow *to)
{
    __sanitizer_start_switch_fiber(NULL, to->low, to->bytes);
}

FIBER_HOOK void fiber_shadow_arrive(struct fiber_shadow *self)
{
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
}

/* The first arrival on a stack has no switch to return from, so it is told here. */
static inline void fiber_shadow_enter(void *arg)
{
    struct fiber_shadow *shadow = (struct fiber_shadow *)arg;
    fiber_shadow_arrive(shadow);
    shadow->entry(shadow->arg);
}

#else

static inline void fiber_shadow_init_thread(struct fiber_shadow *shadow)
{
#if defined(FIBER_TSAN)
    shadow->fiber = __tsan_get_current_fiber();
#else
    (void)shadow;
#endif
}

FIBER_HOOK void fiber_shadow_exit_to(const struct fiber_shadow *to)
{
#if defined(FIBER_TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#elif defined(FIBER_MSAN)
    __msan_unpoison_param(1); /* a fiber's entry is called from assembly, which does not say that its argument has a value */
    (void)to;
#else
    (void)to;
#endif
}

/* The present fiber is asked for anew: for a loop that is closed inside another loop's fiber, that one stands for the thread. */
FIBER_HOOK void fiber_shadow_switch(struct fiber_shadow *from, const struct fiber_shadow *to)
{
    fiber_shadow_init_thread(from);
    fiber_shadow_exit_to(to);
}

FIBER_HOOK void fiber_shadow_arrive(struct fiber_shadow *self)
{
    (void)self;
}

#endif

/* A TSan fiber: kept with its stack, since making one is slow. NULL in other builds. */
static inline void *fiber_shadow_create(void)
{
#if defined(FIBER_TSAN)
    return __tsan_create_fiber(0);
#else
    return NULL;
#endif
}

static inline void fiber_shadow_destroy(void *fiber)
{
#if defined(FIBER_TSAN)
    if (fiber != NULL)
        __tsan_destroy_fiber(fiber);
#else
    (void)fiber;
#endif
}

/*
 * A stack is mapped for the first time, or about to be unmapped. LSan looks for pointers there as long as it is: it sees the stack
 * that runs by itself, but not those that are parked.
 */
static inline uintptr_t fiber_shadow_register(void *low, size_t bytes)
{
#if defined(FIBER_ASAN)
    __lsan_register_root_region(low, bytes);
#endif
#if defined(WEFT_VALGRIND)
    return VALGRIND_STACK_REGISTER(low, (char *)low + bytes - 1);
#else
    (void)low, (void)bytes;
    return 0;
#endif
}

static inline void fiber_shadow_unregister(void *low, size_t bytes, uintptr_t id)
{
#if defined(FIBER_ASAN)
    __lsan_unregister_root_region(low, bytes);
    __asan_unpoison_memory_region(low, bytes);
#endif
#if defined(WEFT_VALGRIND)
    VALGRIND_STACK_DEREGISTER(id);
#endif
    (void)low, (void)bytes, (void)id;
}

/* A stack is free: whoever touches it is reported, and what LSan still finds there counts for nothing. */
static inline void fiber_shadow_poison(void *low, size_t bytes)
{
#if defined(FIBER_ASAN)
    __asan_poison_memory_region(low, bytes);
#else
    (void)low, (void)bytes;
#endif
}

/* A stack is in use again. Frames that were left and never returned from had left their red zones behind. */
static inline void fiber_shadow_unpoison(void *low, size_t bytes)
{
#if defined(FIBER_ASAN)
    __asan_unpoison_memory_region(low, bytes);
#else
    (void)low, (void)bytes;
#endif
}

#endif
