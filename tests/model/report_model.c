/*
 * Models of the exception handler's two words, which are read by any thread that reports and written by the loop's.
 *
 * lib/loop/report.c is real. A handler and its argument belong together: what a report calls must be a pair that was set, whole.
 */
#include "lib/loop/loop.h"
#include "tests/model/checker.h"

struct argument {
    unsigned tag; /* plain: what it leads to is seen by whoever gets it */
};

static struct weft_loop loop;
static struct argument arguments[3];
static unsigned calls;        /* atomic: of the default handler's sink */
static unsigned last_tags[4]; /* by each thread */

int loop_check(const struct weft_loop *checked)
{
    (void)checked;
    return 0;
}

static int handle(void *arg, unsigned tag)
{
    const struct argument *argument = arg;
    MODEL_CHECK(argument != NULL && argument->tag == tag);
    MODEL_CHECK(last_tags[model_thread()] <= tag); /* never back */
    last_tags[model_thread()] = tag;
    return 0;
}

static int handle_1(struct weft_loop *of, const struct weft_exception *exception, void *arg)
{
    (void)of, (void)exception;
    return handle(arg, 1);
}

static int handle_2(struct weft_loop *of, const struct weft_exception *exception, void *arg)
{
    (void)of, (void)exception;
    return handle(arg, 2);
}

static int sink(struct weft_loop *of, const struct weft_exception *exception, void *arg)
{
    (void)of, (void)exception, (void)arg;
    MODEL_CHECK(last_tags[model_thread()] == 0);
    (void)weft_atomic_add_relaxed(&calls, 1);
    return 0;
}

static void setup(void)
{
    weft_set_report_sink(sink, NULL);
    loop.exception_version = UINT32_MAX - 1; /* it wraps */
}

static void setup_one(void)
{
    setup();
    arguments[1].tag = 1;
    MODEL_CHECK(weft_loop_set_exception_handler(&loop, handle_1, &arguments[1]) == 0);
}

static void set(unsigned tag, weft_exception_handler_fn *handler)
{
    arguments[tag].tag = tag;
    MODEL_CHECK(weft_loop_set_exception_handler(&loop, handler, &arguments[tag]) == 0);
}

static void set_1(void)
{
    set(1, handle_1);
}

static void set_2(void)
{
    set(2, handle_2);
}

static void set_both(void)
{
    set_1();
    set_2();
}

static void report(void)
{
    struct weft_exception exception = {.size = sizeof(exception), .message = "a message"};
    weft_loop_call_exception_handler(&loop, &exception);
}

static void report_twice(void)
{
    report();
    report();
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Writes the pair and then says that it is about to. */
static void write_first(void)
{
    arguments[2].tag = 2;
    weft_atomic_store_release(&loop.exception_handler, handle_2);
    weft_atomic_store_release(&loop.exception_arg, &arguments[2]);
    weft_atomic_store_release(&loop.exception_version, loop.exception_version + 2);
}

static const struct model models[] = {
    {.name = "first",
     .about = "a report beside the first setting of a handler goes to the default one or to the new pair",
     .setup = setup,
     .threads = {set_1, report_twice}},
    {.name = "change",
     .about = "a report beside a change of handler calls the old pair or the new one, and never the old after the new",
     .setup = setup_one,
     .threads = {set_2, report_twice}},
    {.name = "two_changes",
     .about = "with two changes, over a version that wraps, no mixed pair is called",
     .setup = setup,
     .threads = {set_both, report}},
    {.name = "two_reports",
     .about = "with two who report beside a change, each calls a pair that was set",
     .setup = setup_one,
     .threads = {set_2, report, report}},
};

static const struct model_equivalent equivalent[] = {
    {"report.c:set_handler:store_release#1>late",
     "the handler is stored after its argument then: either brings the odd version to who reads it, in whichever order they come"},
    {NULL, NULL},
};

static const struct model broken[] = {
    {.name = "version_swapped",
     .about = "a writer that announces the pair after it has written it",
     .setup = setup_one,
     .threads = {write_first, report}},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/loop/report.c"},
                                             .equivalent = equivalent};
    return model_main(&suite, argc, argv);
}
