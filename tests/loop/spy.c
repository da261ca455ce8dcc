/*
 * Spy: the watched poller and the fixture of the tests of lib/loop.
 */
#include "tests/loop/spy.h"

#include "weft/poller.h"

struct spy spy;
static uint64_t report_count;

static int spy_wait(struct weft_poller *poller, int64_t timeout_ns, struct weft_work_list *ready_out)
{
    spy.wait_count++;
    spy.timeout_ns = timeout_ns;
    if (spy.wait_status < 0)
        return spy.wait_status;
    if (spy.io == NULL)
        return weft_poller_epoll_ops()->wait(poller, timeout_ns, ready_out);
    weft_work_list_push(ready_out, spy.io);
    return 1;
}

static uint64_t spy_now(struct weft_poller *poller)
{
    if (spy.on_now != NULL && spy.loop != NULL)
        spy.on_now(spy.loop);
    return weft_poller_epoll_ops()->now(poller);
}

static const struct weft_poller_ops spy_ops = {.size = sizeof(spy_ops), .wait = spy_wait, .now = spy_now};
static const struct weft_loop_kind spy_kind = {.size = sizeof(spy_kind), .name = "spy", .poller = &spy_ops};

static int count_report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)exception, (void)arg;
    report_count++;
    return 0;
}

void spy_count_memory(void)
{
    static bool is_counting;
    if (!is_counting)
        oom_install();
    is_counting = true;
}

static struct weft_loop *loop_of(const struct weft_loop_kind *kind)
{
    struct weft_loop *loop;
    spy_count_memory();
    CHECK_EQ(weft_loop_new(kind, 0, &loop), 0);
    CHECK_EQ(weft_loop_set_exception_handler(loop, count_report, NULL), 0);
    spy.loop = loop;
    return loop;
}

struct weft_loop *spy_loop(void)
{
    return loop_of(&spy_kind);
}

struct weft_loop *spy_sim_loop(void)
{
    return loop_of(weft_loop_kind_sim());
}

void spy_drop(struct weft_loop *loop)
{
    spy.on_now = NULL;
    spy.io = NULL;
    spy.wait_status = 0;
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

int spy_turns(struct weft_loop *loop, int count)
{
    int status = loop_enter(loop);
    for (int i = 0; i < count && status == 0; i++)
        status = loop_turn(loop, false);
    loop_leave(loop);
    return status;
}

uint64_t spy_reports(void)
{
    return report_count;
}

static void nothing_is_left(void)
{
    CHECK_EQ(oom_live(), 0);
}

TEST_FINI(nothing_is_left)
