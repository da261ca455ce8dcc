/*
 * Queues: ring, inbox, injector and job stack on one thread, against arrays. What threads do to them at the same time is tests/model's.
 */
#include <stdlib.h>

#include "lib/lockfree/inbox.h"
#include "lib/lockfree/injector.h"
#include "lib/lockfree/job_stack.h"
#include "lib/lockfree/ring.h"
#include "tests/fuzz/fuzz.h"

enum { WORKS = 2048, JOBS = 8 };

static struct weft_work works[WORKS];
static size_t work_count;

/* A queue of numbers, oldest first. */
struct model {
    struct weft_work *works[WORKS];
    size_t first, last;
};

static size_t model_count(const struct model *model)
{
    return model->last - model->first;
}

static void model_push(struct model *model, struct weft_work *work)
{
    CHECK(model_count(model) < WORKS);
    model->works[model->last++ % WORKS] = work;
}

static struct weft_work *model_pop(struct model *model)
{
    return model_count(model) == 0 ? NULL : model->works[model->first++ % WORKS];
}

/* A chain of up to `max` new works: how many; the last ones of the store make it shorter. */
static size_t chain(size_t max, struct weft_work **first_out, struct weft_work **last_out)
{
    size_t count = max < WORKS - work_count ? max : WORKS - work_count;
    *first_out = &works[work_count];
    for (size_t i = 0; i < count; i++, work_count++)
        works[work_count].next = i + 1 < count ? &works[work_count + 1] : NULL;
    *last_out = &works[work_count - (count > 0)];
    return count;
}

/* The list is what the model says comes next. */
static void check_list(struct weft_work_list *list, struct model *model, size_t count)
{
    CHECK_EQ(list->count, count);
    for (; count > 0; count--)
        CHECK(weft_work_list_pop(list) == model_pop(model));
    CHECK(weft_work_list_is_empty(list) && weft_work_list_pop(list) == NULL);
}

/* ---- rings -------------------------------------------------------------------------------------------------------------------- */

static struct ring rings[2];
static struct model ring_models[2];

static void ring_fill(size_t which, size_t count)
{
    struct weft_work *first, *last;
    for (count = chain(count, &first, &last); count > 0; count--, first++) {
        bool has_room = model_count(&ring_models[which]) < RING_CAPACITY;
        CHECK_EQ(ring_push(&rings[which], first), has_room);
        if (has_room)
            model_push(&ring_models[which], first);
    }
}

static void ring_act(struct fuzz *fuzz)
{
    size_t which = fuzz_below(fuzz, 2), count = model_count(&ring_models[which]);
    struct weft_work_list list = {NULL, NULL, 0};
    switch (fuzz_below(fuzz, 4)) {
    case 0:
        ring_fill(which, fuzz_byte(fuzz));
        break;
    case 1:
        CHECK(ring_pop(&rings[which]) == model_pop(&ring_models[which]));
        break;
    case 2:
        CHECK_EQ(ring_take_half(&rings[which], &list), (count + 1) / 2);
        check_list(&list, &ring_models[which], (count + 1) / 2);
        break;
    default: {
        size_t room = RING_CAPACITY - model_count(&ring_models[!which]);
        size_t moved = ring_steal(&rings[which], &rings[!which]);
        CHECK(moved == (count + 1) / 2 || (moved <= room && room < (count + 1) / 2));
        for (; moved > 0; moved--)
            model_push(&ring_models[!which], model_pop(&ring_models[which]));
    }
    }
    CHECK_EQ(ring_count(&rings[which]), model_count(&ring_models[which]));
    CHECK_EQ(ring_room(&rings[which]), RING_CAPACITY - model_count(&ring_models[which]));
}

/* ---- inbox -------------------------------------------------------------------------------------------------------------------- */

static struct inbox inbox;
static struct model inbox_model;
static bool is_parked, is_closed;

static void inbox_check_push(size_t count)
{
    struct weft_work *first, *last;
    if (chain(count, &first, &last) == 0)
        return;
    enum inbox_push_result expected = is_closed ? INBOX_CLOSED : is_parked ? INBOX_PUSHED_WAKE : INBOX_PUSHED;
    CHECK_EQ(inbox_push(&inbox, first, last), expected);
    for (struct weft_work *work = first; work <= last; work++)
        if (is_closed)
            CHECK(work->next == (work == last ? NULL : work + 1));
        else
            model_push(&inbox_model, work);
    is_parked = false;
}

static void inbox_check_batch(struct inbox_batch batch)
{
    struct weft_work_list list = {batch.first, batch.last, batch.count};
    check_list(&list, &inbox_model, model_count(&inbox_model));
}

static void inbox_act(struct fuzz *fuzz)
{
    switch (fuzz_below(fuzz, 6)) {
    case 0:
        inbox_check_push(fuzz_below(fuzz, 9));
        break;
    case 1:
        inbox_check_batch(inbox_take(&inbox));
        break;
    case 2:
        if (!is_parked)
            CHECK_EQ(is_parked = inbox_park(&inbox), !is_closed && model_count(&inbox_model) == 0);
        break;
    case 3:
        CHECK_EQ(inbox_unpark(&inbox), is_parked);
        is_parked = false;
        break;
    case 4:
        CHECK_EQ(inbox_poke(&inbox), is_parked);
        is_parked = false;
        break;
    default:
        if (!is_parked && fuzz_byte(fuzz) == 'x') {
            inbox_check_batch(inbox_close(&inbox));
            is_closed = true;
        }
    }
    CHECK_EQ(inbox_is_parked(&inbox), is_parked);
    CHECK_EQ(inbox_is_empty(&inbox), model_count(&inbox_model) == 0);
}

/* ---- injector ----------------------------------------------------------------------------------------------------------------- */

static struct injector injector;
static struct model injector_model;
static bool is_injector_closed;

static void injector_act(struct fuzz *fuzz)
{
    struct weft_work_list list = {NULL, NULL, 0};
    struct weft_work *first, *last;
    uint32_t what = fuzz_below(fuzz, 8);
    size_t count = model_count(&injector_model), max = fuzz_below(fuzz, 9);
    if (what < 4 && chain(max, &first, &last) > 0) {
        CHECK_EQ(injector_push(&injector, first, last), !is_injector_closed);
        for (struct weft_work *work = first; work <= last && !is_injector_closed; work++)
            model_push(&injector_model, work);
    } else if (what < 7 && max > 0 && !is_injector_closed) {
        CHECK_EQ(injector_take(&injector, max, &list), count < max ? count : max);
        check_list(&list, &injector_model, count < max ? count : max);
    } else if (what == 7 && max == 8 && !is_injector_closed) {
        injector_close(&injector, &list);
        check_list(&list, &injector_model, count);
        is_injector_closed = true;
    }
    CHECK_EQ(injector_is_empty(&injector), model_count(&injector_model) == 0);
}

/* ---- job stack ------------------------------------------------------------------------------------------------------------------ */

static struct weft_job slots[JOBS];
static struct weft_job_stack stack;
static uint32_t top, split, tail, inlined; /* as the invariant of job_stack.c has them */

/* As WEFT_FORK. */
static void job_fork(void)
{
    if (top == JOBS) {
        job_stack_add_inline(&stack);
        inlined++;
    } else {
        stack.top++;
        top++;
    }
}

/* As WEFT_JOIN: of the newest, which ran inline, or is private, or public, or stolen. */
static void job_join(void)
{
    bool was_inline = job_stack_join_inline(&stack);
    CHECK_EQ(was_inline, inlined > 0);
    inlined -= was_inline;
    if (was_inline || top == 0)
        return;
    if (split == top) {
        bool is_back = job_stack_take_back(&stack);
        CHECK_EQ(is_back, tail < top);
        if (!is_back) {
            job_stack_pop_stolen(&stack);
            top = split = tail = top - 1;
            return;
        }
        split = tail + (top - 1 - tail) / 2;
    }
    stack.top--;
    top--;
}

static void job_act(struct fuzz *fuzz)
{
    struct weft_job *stolen;
    uint32_t what = fuzz_below(fuzz, 6);
    if (what <= 1) {
        job_fork();
    } else if (what == 2) {
        job_join();
    } else if (what == 3 && inlined == 0) {
        uint32_t count = fuzz_below(fuzz, JOBS);
        count = count < top - split ? count : top - split;
        job_stack_publish(&stack, count);
        split += count;
    } else if (what == 4) {
        stolen = job_stack_steal(&stack);
        CHECK(stolen == (tail < split ? &slots[tail] : NULL));
        tail += stolen != NULL;
    } else if (what == 5) {
        job_stack_ask(&stack);
        CHECK(job_stack_hear(&stack) && !job_stack_hear(&stack));
    }
    CHECK_EQ(job_stack_count(&stack), top);
    CHECK_EQ(job_stack_public_count(&stack), split - tail);
    CHECK_EQ(job_stack_private_count(&stack), top - split);
    CHECK(inlined > 0 ? stack.top - 1 < stack.split : stack.split == &slots[split]);
}

void fuzz_target(struct fuzz *fuzz)
{
    static void (*const queues[])(struct fuzz *) = {ring_act, inbox_act, injector_act, job_act};
    work_count = 0;
    memset(ring_models, 0, sizeof(ring_models));
    ring_init(&rings[0], 0);
    ring_init(&rings[1], UINT32_MAX - 1);
    inbox_init(&inbox);
    injector_init(&injector);
    job_stack_init(&stack, slots, JOBS);
    inbox_model.first = inbox_model.last = injector_model.first = injector_model.last = 0;
    is_parked = is_closed = is_injector_closed = false;
    top = split = tail = inlined = 0;
    while (fuzz_has_more(fuzz))
        queues[fuzz_below(fuzz, 4)](fuzz);
}
