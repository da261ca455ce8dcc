/*
 * What does a server pay for one HTTP/1.1 response, plain and 16 pipelined?
 *
 * A bare epoll server and weft's, both with Debian's http_parser and the same answer, driven by the same wrk in turn, `--rounds N` times
 * (5) of `--seconds N` each (1). Prints for each figure and server the median, the minimum, and the ratio to `raw` in the same round. Times
 * are the server's processor time, all of its threads, kernel included; the rates are what wrk got on the same machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/servers/report.h"
#include "bench/servers/server.h"

enum { ROUNDS_DEFAULT = 5, SECONDS_DEFAULT = 1, CONTESTANTS = 2, CONNECTIONS = 64, DEPTH = 16 };

static const struct server *const servers[CONTESTANTS] = {&server_raw_http, &server_protocol_http};

/* The same request so many times in one write. */
static const char script[] = "init = function(args)\n"
                             "  local one, all = wrk.format(nil), {}\n"
                             "  for i = 1, tonumber(args[1]) do all[i] = one end\n"
                             "  requests = table.concat(all)\n"
                             "end\n"
                             "request = function() return requests end\n"
                             "done = function(summary)\n"
                             "  local errors = summary.errors\n"
                             "  io.write(string.format('bench %d %d %d\\n', summary.requests, summary.duration,\n"
                             "    errors.connect + errors.read + errors.write + errors.status + errors.timeout))\n"
                             "end\n";

struct question {
    const char *name;
    int depth;
    bool all_loops;
};

struct answer {
    double requests, seconds, errors;
};

/* wrk finds the script under a name of ours, which has no other. */
static int script_open(void)
{
    int fd = memfd_create("bench.lua", 0);
    if (fd < 0 || write(fd, script, sizeof(script) - 1) != (ssize_t)sizeof(script) - 1) {
        perror("the script for wrk");
        exit(1);
    }
    return fd;
}

static struct answer wrk_run(uint16_t port, int depth, unsigned seconds, int script_fd)
{
    struct answer answer = {0, 0, 0};
    char line[256];
    snprintf(line, sizeof(line), "wrk -t1 -c%d -d%us -s /proc/%d/fd/%d http://127.0.0.1:%u/ -- %d", CONNECTIONS, seconds, (int)getpid(),
             script_fd, port, depth);
    FILE *pipe = popen(line, "re");
    while (pipe != NULL && fgets(line, sizeof(line), pipe) != NULL)
        if (sscanf(line, "bench %lf %lf %lf", &answer.requests, &answer.seconds, &answer.errors) == 3)
            answer.seconds /= 1e6;
    if (pipe == NULL || pclose(pipe) != 0 || answer.requests == 0 || answer.errors > 0) {
        fprintf(stderr, "wrk: %.0f requests, %.0f errors\n", answer.requests, answer.errors);
        exit(1);
    }
    return answer;
}

static void ask(const struct question *question, size_t rounds, unsigned seconds)
{
    static struct report cpu, rate;
    static char names[2][64];
    struct serving how = {.loops = question->all_loops ? (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) : 1};
    how.loops = how.loops > SERVING_LOOPS_MAX ? SERVING_LOOPS_MAX : how.loops;
    snprintf(names[0], sizeof(names[0]), "http.cpu_us.%s", question->name);
    snprintf(names[1], sizeof(names[1]), "http.per_second.%s", question->name);
    cpu = (struct report){.name = names[0], .rounds = rounds, .contestants = CONTESTANTS};
    rate = (struct report){.name = names[1], .rounds = rounds, .contestants = CONTESTANTS};
    int script_fd = script_open();
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < CONTESTANTS; i++) {
            struct child child;
            child_start(&child, servers[i], &how);
            struct usage before = child_usage(&child);
            struct answer answer = wrk_run(child.port, question->depth, seconds, script_fd);
            cpu.value[i][round] = (double)usage_since(child_usage(&child), before).cpu_ns / 1e3 / answer.requests;
            rate.value[i][round] = answer.requests / answer.seconds;
            cpu.contestant[i] = rate.contestant[i] = servers[i]->name;
            child_stop(&child);
        }
    close(script_fd);
    report_print(&cpu);
    report_print(&rate);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct question questions[] = {
        {"plain.one_loop", 1, false},
        {"plain.all_loops", 1, true},
        {"pipelined.one_loop", DEPTH, false},
        {"pipelined.all_loops", DEPTH, true},
    };
    size_t rounds = ROUNDS_DEFAULT;
    unsigned seconds = SECONDS_DEFAULT;
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = (unsigned)strtoul(argv[i + 1], NULL, 10);
    rounds = rounds > REPORT_ROUNDS_MAX ? REPORT_ROUNDS_MAX : rounds;
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        ask(&questions[i], rounds, seconds);
    return 0;
}
