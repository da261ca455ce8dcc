/*
 * Load: starts wrk with a script of ours that tells what it measured as `name number` lines, and reads them. Called by main.c.
 *
 * Reading blocks, so a thread of the executor does it. The child is reaped by the fiber alone, after that thread is done, so that its pid
 * names it for as long as somebody may want to end it.
 */
#include "tools/demo/load.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/loop.h"

extern char **environ;

static const char script[] = "done = function(summary, latency)\n"
                             "  local function tell(name, value) io.write(string.format('weft-%s %.0f\\n', name, value)) end\n"
                             "  local errors = summary.errors\n"
                             "  tell('requests', summary.requests)\n"
                             "  tell('duration', summary.duration)\n"
                             "  tell('errors', errors.connect + errors.read + errors.write + errors.status)\n"
                             "  tell('timeouts', errors.timeout)\n"
                             "  tell('p50', latency:percentile(50))\n"
                             "  tell('p90', latency:percentile(90))\n"
                             "  tell('p99', latency:percentile(99))\n"
                             "  tell('p999', latency:percentile(99.9))\n"
                             "  tell('max', latency.max)\n"
                             "end\n";

/* ---- the child ---------------------------------------------------------------------------------------------------------------- */

/* A file without a name that the child inherits, and finds under /proc/self/fd. */
static int script_open(void)
{
    int fd = memfd_create("report.lua", 0);
    if (fd < 0)
        return -errno;
    if (write(fd, script, sizeof(script) - 1) == (ssize_t)sizeof(script) - 1)
        return fd;
    close(fd);
    return -EIO;
}

/* Its own process group: a Ctrl-C at the terminal is for us alone, and we end it by its pid. */
static int child_spawn(struct load *load, char *const *argv, int output_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    int error = posix_spawnp(&load->pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -error;
}

static int child_start(struct load *load, int script_fd, int output_fd)
{
    char threads[16], connections[16], duration[16], path[32], url[64];
    snprintf(threads, sizeof(threads), "-t%u", load->threads);
    snprintf(connections, sizeof(connections), "-c%u", load->connections);
    snprintf(duration, sizeof(duration), "-d%us", load->seconds);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", script_fd);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/plaintext", load->port);
    char *argv[] = {"wrk", threads, connections, duration, "-s", path, url, NULL};
    return child_spawn(load, argv, output_fd);
}

int load_start(struct load *load)
{
    int fds[2];
    int script_fd = script_open();
    if (script_fd < 0)
        return script_fd;
    if (pipe2(fds, O_CLOEXEC) < 0) {
        close(script_fd);
        return -EMFILE;
    }
    int status = child_start(load, script_fd, fds[1]);
    close(script_fd);
    close(fds[1]);
    if (status == 0 && (load->output = fdopen(fds[0], "r")) != NULL)
        return 0;
    close(fds[0]);
    return status < 0 ? status : -ENOMEM;
}

void load_stop(struct load *load)
{
    kill(load->pid, SIGINT);
}

/* ---- what it says --------------------------------------------------------------------------------------------------------------- */

static uint64_t *load_field(struct load *load, const char *name)
{
    const struct {
        const char *name;
        uint64_t *field;
    } fields[] = {
        {"requests", &load->requests}, {"duration", &load->duration_us}, {"errors", &load->errors},
        {"timeouts", &load->timeouts}, {"p50", &load->p50_us},           {"p90", &load->p90_us},
        {"p99", &load->p99_us},        {"p999", &load->p999_us},         {"max", &load->max_us},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (strcmp(name, fields[i].name) == 0)
            return fields[i].field;
    return NULL;
}

/* Read until the child closes its end. A weft_executor_fn. */
static int load_read(void *arg, void **result_out)
{
    (void)result_out;
    struct load *load = arg;
    char line[256], name[16];
    unsigned long long value;
    while (fgets(line, sizeof(line), load->output) != NULL) {
        if (sscanf(line, "weft-%15s %llu", name, &value) != 2)
            continue;
        uint64_t *field = load_field(load, name);
        if (field != NULL)
            *field = value;
    }
    return 0;
}

/* A job that runs cannot be stopped from outside, so `reading` is waited for in any case: ending the child ends it. */
static int load_await(struct load *load, struct weft_future *reading)
{
    int status = weft_await_flags(reading, WEFT_AWAIT_DETACH, NULL);
    if (status < 0) {
        load_stop(load);
        weft_await(reading, NULL);
    }
    return status;
}

static int load_reap(struct load *load)
{
    int how;
    while (waitpid(load->pid, &how, 0) < 0 && errno == EINTR)
        continue;
    fclose(load->output);
    bool is_well = WIFEXITED(how) && WEXITSTATUS(how) == 0 && load->duration_us > 0;
    return is_well ? 0 : -EPROTO;
}

int load_wait(struct load *load)
{
    struct weft_future *reading;
    int status = weft_loop_run_in_executor(weft_get_running_loop(), load_read, load, &reading);
    if (status == 0) {
        status = load_await(load, reading);
        weft_future_unref(reading);
    } else {
        load_stop(load);
    }
    int reaped = load_reap(load);
    return status < 0 ? status : reaped;
}
