/*
 * Run: the threads of a model, one step at a time. A step is one atomic operation and the plain code behind it.
 *
 * Each thread is a context on a stack of its own. Before an operation it says what it is about to do (run_step) and goes on when the search
 * picks it. The invariant: exactly one thread runs, its thread-local data is in place, and every other one waits in run_step() with its
 * next operation known, or is done.
 */
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/model/engine.h"

enum { STACK_BYTES = 256 * 1024, STEPS_MAX = 2000 };

static struct engine before_init; /* constructors run before main */
struct engine *engine = &before_init;

/* What is put back before each run: static data, and thread-local data. */
struct image {
    char *begin;
    size_t bytes;
    char *copy;
};

static struct image statics, locals;

/* From the linker: where static data begins and ends. */
extern char __data_start[], _end[];

static int find_locals(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct image *image = arg;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            image->begin = info->dlpi_tls_data;
            image->bytes = info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* the first is the program itself */
}

void *model_locals(size_t *bytes_out)
{
    *bytes_out = locals.bytes;
    return locals.begin;
}

static char *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

void *model_kept(size_t bytes)
{
    return map(bytes);
}

static void image_take(struct image *image)
{
    image->copy = map(image->bytes + 1);
    memcpy(image->copy, image->begin, image->bytes);
}

void run_init(void)
{
    engine = (struct engine *)(void *)map(sizeof(*engine));
    engine->nodes = (struct node *)(void *)map(NODES_MAX * sizeof(struct node));
    engine->events = (struct event *)(void *)map(EVENTS_MAX * sizeof(struct event));
    (void)dl_iterate_phdr(find_locals, &locals);
    for (unsigned i = 0; i < THREADS; i++) {
        engine->threads[i].stack = map(STACK_BYTES);
        engine->threads[i].locals = map(locals.bytes + 1);
    }
    shadow_init();
    weak_init();
    report_init();
}

void run_remember(void)
{
    statics.begin = __data_start;
    statics.bytes = (size_t)(_end - __data_start);
    image_take(&locals);
    image_take(&statics); /* the last: of this file's too */
}

/* Sites stay as they are. They lie among the static data, in a section of their own. */
static void statics_restore(void)
{
    extern struct model_site __start_model_sites[], __stop_model_sites[];
    char *begin = (char *)__start_model_sites, *end = (char *)__stop_model_sites;
    if (begin < statics.begin || end > statics.begin + statics.bytes) {
        memcpy(statics.begin, statics.copy, statics.bytes);
        return;
    }
    memcpy(statics.begin, statics.copy, (size_t)(begin - statics.begin));
    memcpy(end, statics.copy + (end - statics.begin), (size_t)(statics.begin + statics.bytes - end));
}

/* ---- leaving ------------------------------------------------------------------------------------------------------------------------- */

struct model_thread *run_self(void)
{
    return &engine->threads[engine->current];
}

void run_leave(enum run_end end)
{
    engine->end = end;
    engine->is_active = false;
    if (engine->current == 0)
        longjmp(engine->leave_point, 1);
    engine->current = 0;
    fiber_context_exit_to(&engine->main_context);
}

void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(engine->failure, sizeof(engine->failure), format, args);
    va_end(args);
    run_leave(RUN_FAILED);
}

unsigned model_thread(void)
{
    return engine->current;
}

/* ---- taking turns -------------------------------------------------------------------------------------------------------------------- */

static bool is_enabled(const struct model_thread *thread)
{
    switch (thread->wait) {
    case WAIT_NONE:
        return true;
    case WAIT_TOKEN:
        return thread->token->is_set != 0;
    case WAIT_PAUSE:
        return thread->was_stale || engine->writes - thread->writes > thread->writes_seen;
    }
    return true;
}

static uint8_t enabled_set(void)
{
    uint8_t set = 0;
    for (unsigned i = 1; i < engine->thread_count; i++)
        if (!engine->threads[i].is_done && is_enabled(&engine->threads[i]))
            set |= (uint8_t)(1u << i);
    return set;
}

static bool all_done(void)
{
    for (unsigned i = 1; i < engine->thread_count; i++)
        if (!engine->threads[i].is_done)
            return false;
    return true;
}

/* None spins. */
static bool all_asleep(void)
{
    for (unsigned i = 1; i < engine->thread_count; i++)
        if (!engine->threads[i].is_done && engine->threads[i].wait != WAIT_TOKEN)
            return false;
    return true;
}

static void fail_stuck(void)
{
    char text[512] = "";
    size_t used = 0;
    for (unsigned i = 1; i < engine->thread_count && used < sizeof(text); i++)
        if (!engine->threads[i].is_done)
            used += (size_t)snprintf(text + used, sizeof(text) - used, " thread %u %s;", i,
                                     engine->threads[i].wait == WAIT_PAUSE ? "spins" : "sleeps");
    model_fail("lost wake-up: nobody can go on:%s", text);
}

static void locals_swap(unsigned from, unsigned to)
{
    memcpy(engine->threads[from].locals, locals.begin, locals.bytes);
    memcpy(locals.begin, engine->threads[to].locals, locals.bytes);
}

/* Let the next thread take its step; returns when it is the caller's turn again. */
static void take_turns(void)
{
    uint8_t enabled = enabled_set();
    unsigned before = engine->current;
    if (enabled == 0) {
        if (!all_done() && !(engine->model->may_sleep && all_asleep()))
            fail_stuck();
        run_leave(RUN_PASSED);
    }
    if (++engine->steps > (engine->model->steps_max != 0 ? engine->model->steps_max : STEPS_MAX))
        model_fail("too many steps: it may go on like this for ever");
    unsigned next = search_choose_thread(enabled);
    if (next == CHOOSE_NONE)
        run_leave(RUN_PRUNED);
    engine->step_events = engine->event_count;
    if (next == before)
        return;
    locals_swap(before, next);
    engine->current = next;
    struct model_thread *thread = &engine->threads[before];
    if (thread->is_done)
        fiber_context_exit_to(&engine->threads[next].context);
    fiber_context_switch(&thread->context, &engine->threads[next].context);
}

void run_step(const struct operation *operation)
{
    if (!engine->is_running)
        return;
    struct model_thread *thread = run_self();
    thread->pending = *operation;
    take_turns();
    thread->wait = WAIT_NONE;
}

/* ---- a run --------------------------------------------------------------------------------------------------------------------------- */

static void thread_main(void *arg)
{
    void (*body)(void) = *(void (*const *)(void))arg;
    body();
    struct model_thread *thread = run_self();
    if (thread->late.site != NULL) {
        struct model_site *site = thread->late.site;
        thread->late.site = NULL;
        weak_store(site, thread->late.address, thread->late.size, thread->late.value, site->order);
    }
    thread->is_done = true;
    thread->pending = (struct operation){.address = 0};
    take_turns();
    abort();
}

static void thread_reset(struct model_thread *thread)
{
    char *stack = thread->stack, *own = thread->locals;
    memset(thread, 0, sizeof(*thread));
    thread->stack = stack;
    thread->locals = own;
    memcpy(own, locals.copy, locals.bytes);
}

static void threads_start(void)
{
    engine->thread_count = 1;
    for (unsigned i = 0; i < MODEL_THREADS_MAX && engine->model->threads[i] != NULL; i++) {
        struct model_thread *thread = &engine->threads[i + 1];
        thread_reset(thread);
        thread->happened = engine->threads[0].happened;
        thread->seen = engine->threads[0].seen;
        clock_tick(thread, i + 1);
        fiber_context_init(&thread->context, thread->stack, STACK_BYTES, thread_main, (void *)(uintptr_t)&engine->model->threads[i]);
        engine->thread_count++;
    }
}

static void threads_join(void)
{
    for (unsigned i = 1; i < engine->thread_count; i++) {
        clock_join(&engine->threads[0].happened, &engine->threads[i].happened);
        clock_join(&engine->threads[0].seen, &engine->threads[i].seen);
    }
}

/* The first step of all: from main into whichever thread begins. */
static void threads_run(void)
{
    memcpy(engine->threads[0].locals, locals.begin, locals.bytes);
    engine->is_running = true;
    uint8_t enabled = enabled_set();
    unsigned first = search_choose_thread(enabled);
    memcpy(locals.begin, engine->threads[first].locals, locals.bytes);
    engine->current = first;
    fiber_context_switch(&engine->main_context, &engine->threads[first].context);
    engine->is_running = false;
    engine->current = 0;
    memcpy(locals.begin, engine->threads[0].locals, locals.bytes);
}

static void run_reset(void)
{
    statics_restore();
    memcpy(locals.begin, locals.copy, locals.bytes);
    engine->node_count = 0;
    engine->current = 0;
    engine->thread_count = 1;
    engine->is_running = false;
    engine->sleep = 0;
    engine->steps = engine->preemptions = engine->stale = 0;
    engine->writes = 0;
    engine->event_count = engine->step_events = 0;
    engine->failure[0] = '\0';
    engine->end = RUN_PASSED;
    memset(&engine->fences_seen, 0, sizeof(engine->fences_seen));
    thread_reset(&engine->threads[0]);
    clock_tick(&engine->threads[0], 0);
    shadow_reset();
    weak_reset();
}

static void check_leaks(void)
{
    size_t live = shadow_live_count();
    if (live > 0 && !engine->model->may_leak)
        model_fail("%zu blocks of memory were never freed", live);
}

enum run_end run_once(void)
{
    run_reset();
    engine->runs++;
    if (setjmp(engine->leave_point) != 0)
        return engine->end;
    engine->is_active = true;
    if (engine->model->setup != NULL)
        engine->model->setup();
    clock_tick(&engine->threads[0], 0);
    threads_start();
    threads_run();
    if (engine->end != RUN_PASSED)
        return engine->end;
    engine->is_active = true;
    threads_join();
    if (engine->model->check != NULL)
        engine->model->check();
    check_leaks();
    engine->is_active = false;
    return RUN_PASSED;
}

/* ---- tokens -------------------------------------------------------------------------------------------------------------------------- */

static struct operation token_operation(const struct model_token *token)
{
    return (struct operation){.address = (uintptr_t)&token->is_set, .size = sizeof(token->is_set), .is_write = true};
}

void model_wait(struct model_token *token)
{
    struct operation operation = token_operation(token);
    if (!engine->is_running && token->is_set == 0)
        model_fail("nobody is there who could wake this");
    run_self()->wait = WAIT_TOKEN;
    run_self()->token = token;
    run_step(&operation);
    (void)weak_exchange_own("wait", operation.address, operation.size, 0);
}

bool model_wait_timeout(struct model_token *token)
{
    struct operation operation = token_operation(token);
    run_step(&operation);
    return weak_exchange_own("wait with a timeout", operation.address, operation.size, 0) != 0;
}

void model_signal(struct model_token *token)
{
    struct operation operation = token_operation(token);
    run_step(&operation);
    (void)weak_exchange_own("signal", operation.address, operation.size, 1);
}

bool model_is_signalled(struct model_token *token)
{
    struct operation operation = token_operation(token);
    run_step(&operation);
    return weak_exchange_own("look at a token", operation.address, operation.size, token->is_set) != 0;
}

unsigned model_choose(unsigned count)
{
    return count <= 1 ? 0 : search_choose_value(count, false);
}

void model_pause(void)
{
    static const struct operation nothing = {.address = 0};
    struct model_thread *thread = run_self();
    if (!engine->is_active)
        return;
    if (!engine->is_running)
        model_fail("a spin in setup or check would never end");
    thread->wait = WAIT_PAUSE;
    run_step(&nothing);
    /* Stores become visible in the end: whoever spins sees all that was written until now, though it may not have happened before. */
    for (unsigned i = 0; i < engine->thread_count; i++)
        if (thread->seen.ticks[i] < engine->threads[i].happened.ticks[i])
            thread->seen.ticks[i] = engine->threads[i].happened.ticks[i];
    thread->writes_seen = engine->writes - thread->writes;
    thread->has_looked = thread->was_stale = false;
}
