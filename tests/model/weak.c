/*
 * Weak: memory as C11 has it. Each atomic word keeps all values that were ever stored there, in modification order, and a load may return
 * any that its thread has no reason to know is outdated.
 *
 * A thread's clock `happened` is what happens before its next action; `seen` is that and what coherence and seq_cst fences add. A store keeps
 * both as they were, if it is a release (or follows a fence), and an acquire load that returns it joins them. A load may return no store older
 * than the newest one that its thread has seen stored, or seen read. A read-modify-write returns the newest store always, and hands on what
 * the one before it had released: a release sequence (C11 with the definition of C++20, [intro.races]).
 *
 * Seq_cst: the single total order is the order of this run. A seq_cst load returns nothing older than the last seq_cst store there; and what
 * C++11 says of fences, 29.3 p4 to p6 (C11 7.17.3 p9 to p11), is `fenced`, `floor` and engine->fences_seen.
 *
 * Left out, and so never explored: loads that return values of stores that come later in the run (load buffering, out of thin air), and
 * stores that come earlier in modification order than one that was done before them (both need no case in weft: see README.md).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/engine.h"

enum { WORDS = 1 << 12, NAME = 64 };

struct store {
    uint64_t value;
    uint8_t thread;
    uint32_t tick;
    bool is_seq_cst;
    struct clock happened; /* what an acquire load of it joins */
    struct clock seen;
};

struct glance { /* a load: at `tick`, its thread knew the store number `index` */
    uint32_t tick;
    uint32_t index;
};

struct word {
    uintptr_t address; /* 0: free */
    uint32_t size;
    uint64_t run;
    struct store *stores;
    uint32_t count, max;
    int last_seq_cst;        /* the newest seq_cst store; -1 */
    uint32_t fenced;         /* the newest store before a fence of its thread: bounds seq_cst loads */
    uint32_t floor[THREADS]; /* the newest seq_cst store before a fence of that thread: bounds its loads */
    uint32_t wrote[THREADS]; /* when that thread last stored here */
    uint32_t read[THREADS];  /* … or loaded */
    struct glance *glances[THREADS];
    uint32_t glance_count[THREADS], glance_max[THREADS];
    struct clock trace_writes, trace_all; /* dependencies */
};

struct memory {
    struct word words[WORDS];
    uint16_t used[WORDS];
    uint32_t used_count;
    struct clock trace_seq_cst; /* dependencies among fences and seq_cst accesses */
    struct clock trace_fences;
};

static struct memory *memory;

void weak_reset(void)
{
    for (uint32_t i = 0; i < memory->used_count; i++)
        memory->words[memory->used[i]].address = 0;
    memory->used_count = 0;
    memset(&memory->trace_seq_cst, 0, sizeof(memory->trace_seq_cst));
    memset(&memory->trace_fences, 0, sizeof(memory->trace_fences));
}

void weak_init(void)
{
    memory = calloc(1, sizeof(*memory));
    if (memory == NULL)
        abort();
}

/* ---- words --------------------------------------------------------------------------------------------------------------------------- */

static uint64_t read_plain(uintptr_t address, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)address, size); /* little endian */
    return value;
}

static uint64_t cut(uint64_t value, size_t size)
{
    return size >= 8 ? value : value & ((UINT64_C(1) << (8 * size)) - 1);
}

static void *grow(void *array, uint32_t *max, size_t bytes)
{
    *max = *max == 0 ? 16 : *max * 2;
    array = realloc(array, *max * bytes);
    if (array == NULL)
        abort();
    return array;
}

static struct store *store_add(struct word *word)
{
    if (word->count == word->max)
        word->stores = grow(word->stores, &word->max, sizeof(struct store));
    struct store *store = &word->stores[word->count++];
    memset(store, 0, sizeof(*store));
    return store;
}

static uint32_t slot_of(uintptr_t address)
{
    return (uint32_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 40) % WORDS;
}

static struct word *word_find(uintptr_t address)
{
    for (uint32_t i = slot_of(address);; i = (i + 1) % WORDS) {
        if (memory->words[i].address == address)
            return &memory->words[i];
        if (memory->words[i].address == 0)
            return NULL;
    }
}

static void word_clear(struct word *word)
{
    word->count = 0;
    word->last_seq_cst = -1;
    word->fenced = 0;
    memset(word->floor, 0, sizeof(word->floor));
    memset(word->wrote, 0, sizeof(word->wrote));
    memset(word->read, 0, sizeof(word->read));
    memset(word->glance_count, 0, sizeof(word->glance_count));
    store_add(word)->value = read_plain(word->address, word->size);
}

static struct word *word_get(uintptr_t address, size_t size)
{
    uint32_t i = slot_of(address);
    while (memory->words[i].address != 0 && memory->words[i].address != address)
        i = (i + 1) % WORDS;
    struct word *word = &memory->words[i];
    if (word->address == 0) {
        if (memory->used_count > WORDS / 2)
            model_fail("too many atomic words");
        memory->used[memory->used_count++] = (uint16_t)i;
        word->address = address;
        word->size = (uint32_t)size;
        memset(&word->trace_writes, 0, sizeof(word->trace_writes));
        memset(&word->trace_all, 0, sizeof(word->trace_all));
        word_clear(word);
    }
    if (word->size != size)
        model_fail("an atomic word of %u bytes is used as one of %zu", word->size, size);
    return word;
}

void weak_forget(uintptr_t address, size_t size)
{
    for (uintptr_t each = address & ~(uintptr_t)7; each < address + size; each++) {
        struct word *word = word_find(each);
        if (word != NULL && each + word->size > address)
            word->count = 0; /* read anew when it is used next */
    }
}

bool weak_is_atomic(uintptr_t address, size_t size)
{
    for (uintptr_t each = address & ~(uintptr_t)7; each < address + size; each++) {
        struct word *word = word_find(each);
        if (word != NULL && word->count > 0 && each + word->size > address)
            return true;
    }
    return false;
}

bool weak_races(uintptr_t address, size_t size, bool is_write)
{
    const struct model_thread *self = run_self();
    for (uintptr_t each = address & ~(uintptr_t)7; each < address + size; each++) {
        const struct word *word = word_find(each);
        if (word == NULL || word->count == 0 || each + word->size <= address)
            continue;
        for (unsigned i = 0; i < engine->thread_count; i++)
            if (i != engine->current && (word->wrote[i] > self->happened.ticks[i] || (is_write && word->read[i] > self->happened.ticks[i])))
                return true;
    }
    return false;
}

/* ---- what a thread knows ------------------------------------------------------------------------------------------------------------- */

static uint32_t newest_glance(const struct word *word, unsigned thread, uint32_t tick)
{
    const struct glance *glances = word->glances[thread];
    for (uint32_t i = word->glance_count[thread]; i > 0; i--)
        if (glances[i - 1].tick <= tick)
            return glances[i - 1].index;
    return 0;
}

/* The oldest store that the running thread may still read. */
static uint32_t oldest_visible(const struct word *word, bool is_seq_cst)
{
    const struct model_thread *self = run_self();
    uint32_t oldest = word->floor[engine->current];
    for (uint32_t i = word->count; i-- > oldest + 1;)
        if (word->stores[i].tick <= self->seen.ticks[word->stores[i].thread]) {
            oldest = i;
            break;
        }
    for (unsigned i = 0; i < engine->thread_count; i++) {
        uint32_t index = newest_glance(word, i, self->seen.ticks[i]);
        oldest = oldest < index ? index : oldest;
    }
    if (is_seq_cst && word->last_seq_cst > (int)oldest)
        oldest = (uint32_t)word->last_seq_cst;
    if (is_seq_cst && word->fenced > oldest)
        oldest = word->fenced;
    return oldest;
}

static void note_glance(struct word *word, uint32_t index)
{
    unsigned current = engine->current;
    uint32_t *count = &word->glance_count[current];
    if (*count == word->glance_max[current])
        word->glances[current] = grow(word->glances[current], &word->glance_max[current], sizeof(struct glance));
    word->glances[current][(*count)++] = (struct glance){run_self()->happened.ticks[current], index};
    word->read[current] = run_self()->happened.ticks[current];
}

static bool acquires(enum model_order order)
{
    return order == MODEL_ACQUIRE || order == MODEL_ACQ_REL || order == MODEL_SEQ_CST;
}

static bool releases(enum model_order order)
{
    return order == MODEL_RELEASE || order == MODEL_ACQ_REL || order == MODEL_SEQ_CST;
}

static void synchronise(const struct store *store, enum model_order order)
{
    struct model_thread *self = run_self();
    if (acquires(order)) {
        clock_join(&self->happened, &store->happened);
        clock_join(&self->seen, &store->seen);
        clock_join(&self->seen, &store->happened);
    } else {
        clock_join(&self->acquirable, &store->happened);
        clock_join(&self->acquirable_seen, &store->seen);
    }
}

/* ---- events -------------------------------------------------------------------------------------------------------------------------- */

/* Write down what was done, after it was; the dependencies on what others did come first. */
static void note(const struct event *done, struct word *word)
{
    struct model_thread *self = run_self();
    if (!engine->is_running)
        return;
    if (engine->event_count == EVENTS_MAX)
        model_fail("too many events");
    struct event *event = &engine->events[engine->event_count];
    *event = *done;
    event->thread = (uint8_t)engine->current;
    event->node = (int)engine->node_count - 1;
    struct clock past = self->trace;
    const struct operation *operation = &event->operation;
    if (word != NULL)
        clock_join(&self->trace, operation->is_write ? &word->trace_all : &word->trace_writes);
    if (operation->is_fence)
        clock_join(&self->trace, &memory->trace_seq_cst);
    else if (operation->is_seq_cst)
        clock_join(&self->trace, &memory->trace_fences);
    self->trace.ticks[engine->current] = engine->event_count + 1;
    event->trace = self->trace;
    search_note_race(event, &past);
    if (word != NULL)
        clock_join(&word->trace_all, &self->trace);
    if (word != NULL && operation->is_write)
        clock_join(&word->trace_writes, &self->trace);
    if (operation->is_fence)
        clock_join(&memory->trace_fences, &self->trace);
    if (operation->is_fence || operation->is_seq_cst)
        clock_join(&memory->trace_seq_cst, &self->trace);
    engine->event_count++;
}

static struct operation operation_on(const struct word *word, bool is_write, enum model_order order)
{
    return (struct operation){.address = word->address, .size = word->size, .is_write = is_write, .is_seq_cst = order == MODEL_SEQ_CST};
}

/* ---- loads --------------------------------------------------------------------------------------------------------------------------- */

/* A spin may go round again if anything that it has looked at in this round was outdated, or is by now: not only what came last. */
static void note_freshness(const struct word *word, uint32_t index)
{
    struct model_thread *self = run_self();
    if (!self->has_looked)
        self->writes_seen = engine->writes - self->writes;
    self->has_looked = true;
    self->was_stale |= index + 1 < word->count;
}

static uint64_t load_index(struct model_site *site, struct word *word, uint32_t index, enum model_order order)
{
    const struct store *store = &word->stores[index];
    struct event event = {.operation = operation_on(word, false, order), .site = site, .before = store->value};
    event.old_by = (uint8_t)(word->count - 1 - index);
    note(&event, word);
    note_glance(word, index);
    note_freshness(word, index);
    synchronise(store, order);
    return store->value;
}

uint64_t weak_load(struct model_site *site, uintptr_t address, size_t size, enum model_order order)
{
    struct word *word = word_get(address, size);
    if (word->count == 0)
        word_clear(word);
    uint32_t oldest = oldest_visible(word, order == MODEL_SEQ_CST);
    uint32_t choices = word->count - oldest;
    choices = choices < VALUES_MAX ? choices : VALUES_MAX;
    unsigned chosen = choices > 1 && engine->is_running ? search_choose_value(choices, true) : 0;
    clock_tick(run_self(), engine->current);
    uint64_t value = load_index(site, word, word->count - 1 - chosen, order);
    clock_tick(run_self(), engine->current);
    return value;
}

/* ---- stores -------------------------------------------------------------------------------------------------------------------------- */

/* The store that `order` makes, which hands on what `before` (may be NULL) released. */
static void put(struct word *word, uint64_t value, enum model_order order, const struct store *before)
{
    struct model_thread *self = run_self();
    struct store kept = {.value = 0};
    if (before != NULL)
        kept = *before; /* the array may move */
    struct store *store = store_add(word);
    store->value = cut(value, word->size);
    store->thread = (uint8_t)engine->current;
    store->tick = self->happened.ticks[engine->current];
    store->is_seq_cst = order == MODEL_SEQ_CST;
    store->happened = releases(order) ? self->happened : self->released;
    store->seen = releases(order) ? self->seen : self->released_seen;
    if (before != NULL) {
        clock_join(&store->happened, &kept.happened);
        clock_join(&store->seen, &kept.seen);
    }
    word->wrote[engine->current] = store->tick;
    if (store->is_seq_cst)
        word->last_seq_cst = (int)word->count - 1;
    /* What stays as it was lets nobody go on: two that try a lock by exchanges would else wake each other for ever. */
    if (engine->is_running && store->value != word->stores[word->count - 2].value) {
        engine->writes++;
        self->writes++;
    }
    memcpy((void *)word->address, &store->value, word->size);
}

void weak_store(struct model_site *site, uintptr_t address, size_t size, uint64_t value, enum model_order order)
{
    struct word *word = word_get(address, size);
    if (word->count == 0)
        word_clear(word);
    struct event event = {.operation = operation_on(word, true, order), .site = site, .value = cut(value, size)};
    event.before = word->stores[word->count - 1].value;
    clock_tick(run_self(), engine->current);
    note(&event, word);
    put(word, value, order, NULL);
    clock_tick(run_self(), engine->current);
}

/* ---- read-modify-writes -------------------------------------------------------------------------------------------------------------- */

static uint64_t updated(enum model_kind kind, uint64_t value, uint64_t operand)
{
    switch (kind) {
    case MODEL_ADD:
        return value + operand;
    case MODEL_SUB:
        return value - operand;
    case MODEL_OR:
        return value | operand;
    case MODEL_AND:
        return value & operand;
    default:
        return operand;
    }
}

static uint64_t modify(struct model_site *site, const char *what, struct word *word, uint64_t value, enum model_order order)
{
    uint32_t newest = word->count - 1;
    uint64_t before = word->stores[newest].value;
    struct event event = {.operation = operation_on(word, true, order), .site = site, .what = what, .before = before, .value = value};
    clock_tick(run_self(), engine->current);
    note(&event, word);
    note_glance(word, newest);
    synchronise(&word->stores[newest], order);
    put(word, value, order, &word->stores[newest]);
    note_freshness(word, newest + 1);
    clock_tick(run_self(), engine->current);
    return before;
}

uint64_t weak_update(struct model_site *site, uintptr_t address, size_t size, uint64_t operand)
{
    struct word *word = word_get(address, size);
    if (word->count == 0)
        word_clear(word);
    uint64_t value = cut(updated(site->kind, word->stores[word->count - 1].value, operand), size);
    return modify(site, NULL, word, value, site->order);
}

uint64_t weak_exchange_own(const char *what, uintptr_t address, size_t size, uint64_t value)
{
    struct word *word = word_get(address, size);
    if (word->count == 0)
        word_clear(word);
    return modify(NULL, what, word, value, MODEL_ACQ_REL);
}

uint64_t weak_look_own(const char *what, uintptr_t address, size_t size, bool is_write)
{
    struct word *word = word_get(address, size);
    if (word->count == 0)
        word_clear(word);
    uint64_t value = word->stores[word->count - 1].value;
    struct event event = {.operation = operation_on(word, is_write, MODEL_RELAXED), .what = what, .before = value, .value = value};
    clock_tick(run_self(), engine->current);
    note(&event, word);
    note_freshness(word, word->count - 1);
    clock_tick(run_self(), engine->current);
    return value;
}

void weak_know_newest(uintptr_t address, size_t size)
{
    struct word *word = word_get(address, size);
    note_glance(word, word->count - 1);
}

/*
 * A strong compare-and-swap succeeds on the newest value only. It fails on the newest, or on any older one that its thread may still see,
 * if that is not the expected one.
 */
bool weak_cas(struct model_site *site, uintptr_t address, size_t size, uint64_t *expected, uint64_t desired)
{
    struct word *word = word_get(address, size);
    if (word->count == 0)
        word_clear(word);
    uint32_t choices[VALUES_MAX], count = 0;
    uint32_t oldest = oldest_visible(word, site->failure == MODEL_SEQ_CST);
    choices[count++] = word->count - 1;
    for (uint32_t i = word->count - 1; i-- > oldest && count < VALUES_MAX;)
        if (word->stores[i].value != *expected)
            choices[count++] = i;
    uint32_t index = choices[count > 1 && engine->is_running ? search_choose_value(count, true) : 0];
    if (index == word->count - 1 && word->stores[index].value == *expected) {
        (void)modify(site, NULL, word, cut(desired, size), site->order);
        return true;
    }
    clock_tick(run_self(), engine->current);
    *expected = load_index(site, word, index, site->failure);
    clock_tick(run_self(), engine->current);
    return false;
}

/* ---- fences -------------------------------------------------------------------------------------------------------------------------- */

static void fence_words(void)
{
    const struct model_thread *self = run_self();
    for (uint32_t i = 0; i < memory->used_count; i++) {
        struct word *word = &memory->words[memory->used[i]];
        if (word->count == 0)
            continue;
        for (uint32_t index = word->count; index-- > word->fenced + 1;)
            if (word->stores[index].tick <= self->seen.ticks[word->stores[index].thread]) {
                word->fenced = index;
                break;
            }
        if (word->last_seq_cst > (int)word->floor[engine->current])
            word->floor[engine->current] = (uint32_t)word->last_seq_cst;
    }
}

void weak_fence(struct model_site *site)
{
    struct model_thread *self = run_self();
    struct event event = {.operation = {.is_seq_cst = true, .is_fence = true}, .site = site};
    clock_tick(self, engine->current);
    note(&event, NULL);
    clock_join(&self->happened, &self->acquirable);
    clock_join(&self->seen, &self->acquirable_seen);
    clock_join(&self->seen, &self->acquirable);
    clock_join(&self->seen, &engine->fences_seen);
    clock_join(&engine->fences_seen, &self->seen);
    fence_words();
    self->released = self->happened;
    self->released_seen = self->seen;
    clock_tick(self, engine->current);
}
