/*
 * Futures of one loop: complete, fail, cancel, promise, chain, callbacks and references, against the states that they should have. After
 * each step the loop runs until nothing is queued, so that what chains hand on has arrived.
 */
#include <errno.h>

#include "lib/loop/loop.h"
#include "tests/fuzz/fuzz.h"
#include "weft/future.h"
#include "weft/status.h"

enum { FUTURES = 6, CALLBACKS = 64, CHAINS = 32, SETTLE_MAX = 1000 };

enum state { PENDING, FINISHED, CANCELLED };

struct model {
    struct weft_future *future;
    enum state state;
    int status;
    void *value;
    const char *message;
    uint32_t refs, promises; /* the target's own */
};

/* A done callback: hung, then removed, or called once. */
struct callback {
    struct model *on;
    bool is_removed;
    int calls;
};

static struct fuzz *input;
static struct weft_loop *loop;
static struct model models[FUTURES];
static struct callback callbacks[CALLBACKS];
static size_t callback_count;
static struct model *chains[CHAINS][2];
static size_t chain_count;

static int on_done(struct weft_future *future, void *arg)
{
    struct model *model = arg;
    CHECK(future == model->future && weft_future_done(future));
    for (struct callback *each = callbacks; each < callbacks + callback_count; each++) {
        if (each->on == model && each->calls == 0 && !each->is_removed) {
            each->calls++; /* the oldest: all of one future look alike */
            return 0;
        }
    }
    CHECK(!"a callback too many");
    return 0;
}

static int on_report(struct weft_loop *of, const struct weft_exception *exception, void *arg)
{
    (void)of, (void)exception, (void)arg;
    return 0;
}

/* What the chains make of it: fixed once nothing changes any more. */
static void expect_end(struct model *model, enum state state, int status, void *value, const char *message)
{
    if (model->state != PENDING)
        return;
    *model = (struct model){model->future, state, status, value, message, model->refs, model->promises};
    for (size_t i = 0; i < chain_count; i++)
        if (chains[i][0] == model)
            expect_end(chains[i][1], state, status, value, message);
        else if (chains[i][1] == model && state == CANCELLED)
            expect_end(chains[i][0], CANCELLED, -ECANCELED, NULL, message);
}

static void check_model(struct model *model)
{
    int status = 99;
    void *value = NULL;
    if (model->future == NULL)
        return;
    CHECK_EQ(weft_future_done(model->future), model->state != PENDING);
    CHECK_EQ(weft_future_cancelled(model->future), model->state == CANCELLED);
    CHECK_EQ(weft_future_result(model->future, &value), model->state == PENDING ? WEFT_EINVALIDSTATE : model->status);
    CHECK(value == (model->state == FINISHED && model->status == 0 ? model->value : NULL));
    int asked = weft_future_exception(model->future, &status);
    CHECK_EQ(asked, model->state == PENDING ? WEFT_EINVALIDSTATE : model->state == CANCELLED ? -ECANCELED : 0);
    CHECK_EQ(status, model->state == FINISHED ? model->status : 99);
    const char *message = weft_future_cancel_message(model->future);
    CHECK(message == (model->state == CANCELLED ? model->message : NULL));
}

static void settle(void)
{
    CHECK_EQ(loop_enter(loop), 0);
    int turns = 0;
    do
        CHECK_EQ(loop_turn(loop, false), 0);
    while (loop_has_work(loop) && turns++ < SETTLE_MAX);
    CHECK(turns < SETTLE_MAX);
    loop_leave(loop);
    for (struct model *each = models; each < models + FUTURES; each++)
        check_model(each);
    for (struct callback *each = callbacks; each < callbacks + callback_count; each++)
        CHECK_EQ(each->calls, each->on->state != PENDING && !each->is_removed);
}

static void renew(struct model *model)
{
    bool is_named = false;
    for (size_t i = 0; i < callback_count; i++)
        is_named = is_named || callbacks[i].on == model;
    for (size_t i = 0; i < chain_count; i++)
        is_named = is_named || chains[i][0] == model || chains[i][1] == model;
    if (is_named || model->promises > 0)
        return;
    while (model->refs > 0) {
        weft_future_unref(model->future);
        model->refs--;
    }
    *model = (struct model){.refs = 1};
    CHECK_EQ(weft_loop_create_future(loop, &model->future), 0);
}

static void complete(struct model *model, uint32_t how)
{
    static const char *const messages[] = {NULL, "why", "because"};
    int status = -(int)fuzz_below(input, 200);
    int expected = model->state == PENDING ? 0 : WEFT_EINVALIDSTATE;
    if (how == 0) {
        CHECK_EQ(weft_future_set_result(model->future, model), expected);
        expect_end(model, FINISHED, 0, model, NULL);
    } else if (how == 1) {
        CHECK_EQ(weft_future_set_exception(model->future, status), status == 0 ? -EINVAL : expected);
        if (status < 0)
            expect_end(model, FINISHED, status, NULL, NULL);
    } else {
        const char *message = messages[-status % 3];
        CHECK_EQ(weft_future_cancel(model->future, message), model->state == PENDING);
        expect_end(model, CANCELLED, -ECANCELED, NULL, message);
    }
}

static void promise(struct model *model, bool is_taken)
{
    if (is_taken) {
        CHECK(weft_future_promise(model->future) == model->future);
        model->promises++;
    } else if (model->promises > 0) {
        weft_future_unpromise(model->future);
        if (--model->promises == 0)
            expect_end(model, FINISHED, WEFT_EBROKENPROMISE, NULL, NULL);
    }
}

static void hang(struct model *model)
{
    if (callback_count == CALLBACKS)
        return;
    callbacks[callback_count++] = (struct callback){.on = model};
    CHECK_EQ(weft_future_add_done_callback(model->future, on_done, model, NULL), 0);
}

static void unhang(struct model *model)
{
    int expected = 0;
    for (struct callback *each = callbacks; each < callbacks + callback_count; each++) {
        if (each->on == model && model->state == PENDING && !each->is_removed) {
            each->is_removed = true;
            expected++;
        }
    }
    CHECK_EQ(weft_future_remove_done_callback(model->future, on_done, model), expected);
}

static void chain(struct model *source, struct model *destination)
{
    int expected = source == destination ? -EINVAL : 0;
    if (chain_count == CHAINS)
        return;
    CHECK_EQ(weft_future_chain(source->future, destination->future), expected);
    if (expected < 0)
        return;
    chains[chain_count][0] = source;
    chains[chain_count++][1] = destination;
    if (destination->state == CANCELLED)
        expect_end(source, CANCELLED, -ECANCELED, NULL, destination->message);
    if (source->state != PENDING)
        expect_end(destination, source->state, source->status, source->value, source->message);
}

static void act(void)
{
    uint32_t what = fuzz_below(input, 10);
    struct model *model = &models[fuzz_below(input, FUTURES)];
    if (what < 3)
        complete(model, what);
    else if (what < 5)
        promise(model, what == 3);
    else if (what == 5)
        hang(model);
    else if (what == 6)
        unhang(model);
    else if (what == 7)
        chain(model, &models[fuzz_below(input, FUTURES)]);
    else if (what == 8)
        renew(model);
    else
        CHECK_EQ(weft_future_wait(model->future, 0, NULL), model->state == PENDING ? -ETIMEDOUT : model->status);
    settle();
}

void fuzz_target(struct fuzz *fuzz)
{
    input = fuzz;
    callback_count = chain_count = 0;
    CHECK_EQ(weft_loop_new(weft_loop_kind_sim(), 0, &loop), 0);
    CHECK_EQ(weft_loop_set_exception_handler(loop, on_report, NULL), 0);
    memset(models, 0, sizeof(models));
    for (size_t i = 0; i < FUTURES; i++)
        renew(&models[i]);
    while (fuzz_has_more(fuzz))
        act();
    for (struct model *each = models; each < models + FUTURES; each++) {
        while (each->promises > 0)
            promise(each, false);
        complete(each, 0); /* chains hold their ends until one is done */
        settle();
    }
    for (struct model *each = models; each < models + FUTURES; each++)
        weft_future_unref(each->future);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}
