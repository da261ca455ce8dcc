/*
 * The demo: a web server on one loop for each processor, while tasks of all loops complete futures for each other, and while a computation
 * runs through the same loops.
 *
 * Read it from here: site.c makes the loops and their servers, http.c is a protocol, traffic.c has fibers of two loops talk, compute.c forks
 * and joins, computing.c does so again and again, load.c waits for a child process in the executor, signals.c hears Ctrl-C. The main fiber
 * below is what holds them together.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/demo/http.h"
#include "tools/demo/options.h"
#include "tools/demo/results.h"
#include "tools/demo/signals.h"
#include "tools/demo/site.h"
#include "tools/demo/table.h"
#include "tools/demo/traffic.h"
#include "weft/fiber.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/status.h"
#include "weft/task.h"

#define LOAD_PAUSE_NS  100000   /* a loop completes up to 10,000 futures a second for others while wrk runs */
#define SERVE_PAUSE_NS 10000000 /* and 100 while it only serves, which costs next to nothing */
#define EXIT_INTERRUPT 130

struct demo {
    struct options options;
    struct site site;
    struct traffic traffic;
    struct results results;
};

/* ---- the main fiber ------------------------------------------------------------------------------------------------------------- */

/* Does not return before a signal comes. */
static int serve(struct demo *demo)
{
    int status = traffic_start(&demo->traffic, &demo->site, SERVE_PAUSE_NS);
    if (status < 0)
        return status;
    printf("weft serves on %u %s at http://127.0.0.1:%u/ until Ctrl-C\n", demo->site.count, demo->site.count == 1 ? "loop" : "loops",
           demo->site.port);
    fflush(stdout);
    while (status == 0)
        status = weft_sleep(INT64_MAX);
    return status;
}

/* Put load on the site while tasks of its loops complete each other's futures. */
static int measure_load(struct demo *demo, struct measurement *measurement, bool is_first)
{
    int status = traffic_start(&demo->traffic, &demo->site, LOAD_PAUSE_NS);
    if (status == 0)
        status = measurement_begin(measurement, &demo->options, &demo->site);
    if (status == 0 && is_first)
        table_print_title(measurement, stdout);
    if (status == 0)
        status = measurement_end(measurement, &demo->site);
    traffic_stop(&demo->traffic);
    return status;
}

/* The same while the loops also compute. */
static int measure_load_and_compute(struct demo *demo)
{
    int status = computing_start(&demo->results.work, &demo->site);
    if (status == 0)
        status = measure_load(demo, &demo->results.computing, false);
    int stopped = computing_stop(&demo->results.work);
    return status < 0 ? status : stopped;
}

static int measure(struct demo *demo)
{
    int status = measure_load(demo, &demo->results.serving, true);
    if (status == 0)
        status = speeds_measure(demo->results.speeds, &demo->site);
    if (status == 0)
        status = measure_load_and_compute(demo);
    return status;
}

/* A signal cancels this task: whatever it waits for returns -ECANCELED, and the way out is the same as after a full measurement. */
static int demo_run(void *arg, void **result_out)
{
    (void)result_out;
    struct demo *demo = arg;
    struct weft_task *self;
    weft_current_task(&self);
    weft_task_set_name(self, "main");
    int status = signals_open(self);
    if (status == 0)
        status = demo->options.is_serving ? serve(demo) : measure(demo);
    traffic_stop(&demo->traffic);
    site_stop(&demo->site);
    signals_close();
    return status;
}

/* ---- around it ------------------------------------------------------------------------------------------------------------------ */

/* What no one else takes note of: the library itself prints nothing. */
static int report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)arg;
    fprintf(stderr, "demo: loop %u: %s: %s\n", weft_loop_index(loop), exception->message, weft_status_text(exception->status));
    return 0;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Bazel runs us elsewhere, and says where the user is. */
static FILE *open_for_user(const char *name)
{
    char path[PATH_MAX];
    const char *folder = getenv("BUILD_WORKING_DIRECTORY");
    bool is_relative = name[0] != '/' && folder != NULL;
    int len = is_relative ? snprintf(path, sizeof(path), "%s/%s", folder, name) : snprintf(path, sizeof(path), "%s", name);
    if ((size_t)len >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return fopen(path, "w");
}

static int json_write(const char *name, const char *line)
{
    FILE *out = open_for_user(name);
    int is_bad = out == NULL || fprintf(out, "%s\n", line) < 0;
    if (out != NULL && fclose(out) != 0)
        is_bad = 1;
    if (is_bad)
        fprintf(stderr, "demo: cannot write %s: %s\n", name, strerror(errno));
    return is_bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int demo_tell(const struct demo *demo)
{
    char *line = table_json(&demo->results);
    if (line == NULL) {
        fprintf(stderr, "demo: %s\n", weft_status_text(-ENOMEM));
        return EXIT_FAILURE;
    }
    table_print(&demo->results, stdout, isatty(STDOUT_FILENO));
    puts(line);
    int code = demo->options.json != NULL ? json_write(demo->options.json, line) : EXIT_SUCCESS;
    free(line);
    bool has_served = demo->results.serving.load.requests > 0 && demo->results.computing.load.requests > 0;
    return has_served ? code : EXIT_FAILURE;
}

static int demo_end(const struct demo *demo, int status)
{
    if (status == 0)
        return demo_tell(demo);
    if (status == -ECANCELED) {
        puts("stopped");
        return demo->options.is_serving ? EXIT_SUCCESS : EXIT_INTERRUPT;
    }
    if (status == -ENOENT)
        fputs("demo: wrk is not installed: apt-get install wrk\n", stderr);
    else if (status == -EADDRINUSE || status == -EACCES)
        fprintf(stderr, "demo: port %u: %s\n", demo->options.port, weft_status_text(status));
    else
        fprintf(stderr, "demo: %s\n", weft_status_text(status));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct demo demo = {0};
    int code = options_read(&demo.options, argc, argv);
    if (code >= 0)
        return code;
    raise_descriptor_limit();
    weft_set_report_sink(report, NULL);
    http_init();
    int status = site_open(&demo.site, demo.options.loops, demo.options.port);
    if (status == 0) {
        struct weft_coro *coro;
        status = weft_fiber_new(demo_run, &demo, NULL, &coro);
        if (status == 0)
            status = weft_runtime_run(demo.site.runtime, coro, NULL);
        site_close(&demo.site);
    }
    code = demo_end(&demo, status);
    measurement_free(&demo.results.serving);
    measurement_free(&demo.results.computing);
    return code;
}
