/*
 * What does it cost to go to another loop and back?
 *
 * A handle is posted to a loop, whose callback posts one back, again and again. The two threads are bound to a processor each: on one they
 * take turns, which is another question. `raw` is two threads that do it with an eventfd each and blocking reads, the least a sleeping
 * thread can be woken with; `raw_epoll` waits in an epoll for it, as a thread must that waits for sockets too. `parking` loops sleep at once when they have nothing to do, `spinning` ones
 * look for up to 50 µs before. `--rounds N` (7). Prints for each contestant the median time of a round trip over the rounds, the minimum,
 * and the ratio to `raw` in the same round; and the same for the process's processor time.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bench/servers/report.h"
#include "lib/base/clock.h"
#include "lib/base/cpu.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

enum { ROUNDS_DEFAULT = 7, TRIPS = 20000, SPIN_NS = 50000 };

static int cpus[2];
static cpu_set_t all_cpus;

static _Noreturn void give_up(const char *what, int status)
{
    fprintf(stderr, "%s: %d\n", what, status);
    exit(1);
}

static void bind_to(int index)
{
    int status = cpu_bind(pthread_self(), cpus[index]);
    if (status < 0)
        give_up("a processor", status);
}

static void unbind(void)
{
    if (sched_setaffinity(0, sizeof(all_cpus), &all_cpus) < 0)
        give_up("all processors", -errno);
}

/* ---- by hand ---- */

static int there, back;
static int epolls[2] = {-1, -1}; /* to wait for `there` and `back` in; -1: they are read */

static void signal_fd(int fd)
{
    if (write(fd, &(uint64_t){1}, sizeof(uint64_t)) != sizeof(uint64_t))
        give_up("write", -1);
}

/* Edge-triggered: nobody has to read what was signalled. */
static void wait_fd(int fd)
{
    uint64_t count;
    int epoll_fd = epolls[fd == back];
    bool is_well =
        epoll_fd < 0 ? read(fd, &count, sizeof(count)) == sizeof(count) : epoll_wait(epoll_fd, &(struct epoll_event){0}, 1, -1) == 1;
    if (!is_well)
        give_up("a wait", -errno);
}

static void *answer_trips(void *arg)
{
    bind_to(1);
    for (int i = 0; i < TRIPS; i++) {
        wait_fd(there);
        signal_fd(back);
    }
    return arg;
}

static uint64_t eventfd_trips(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, answer_trips, NULL) != 0)
        give_up("a thread", -1);
    bind_to(0);
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < TRIPS; i++) {
        signal_fd(there);
        wait_fd(back);
    }
    uint64_t took_ns = clock_monotonic_ns() - start_ns;
    unbind();
    pthread_join(thread, NULL);
    return took_ns;
}

static uint64_t raw_trips(void)
{
    there = eventfd(0, EFD_CLOEXEC);
    back = eventfd(0, EFD_CLOEXEC);
    uint64_t took_ns = eventfd_trips();
    close(there);
    close(back);
    return took_ns;
}

static int epoll_on(int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        give_up("an epoll", -errno);
    return epoll_fd;
}

static uint64_t raw_epoll_trips(void)
{
    there = eventfd(0, EFD_CLOEXEC);
    back = eventfd(0, EFD_CLOEXEC);
    epolls[0] = epoll_on(there);
    epolls[1] = epoll_on(back);
    uint64_t took_ns = eventfd_trips();
    for (int i = 0; i < 2; i++) {
        close(epolls[i]);
        epolls[i] = -1;
    }
    close(there);
    close(back);
    return took_ns;
}

/* ---- by weft ---- */

struct trips {
    struct weft_loop *loops[2];
    struct weft_future *done;
    uint64_t left;
};

static int arrived(void *arg);

static int leave_for(struct trips *trips, int index)
{
    return weft_loop_call_soon_threadsafe(trips->loops[index], arrived, trips, NULL, NULL);
}

/* Only the loop that has the token touches `trips`; the posts order it. */
static int arrived(void *arg)
{
    struct trips *trips = arg;
    bool is_home = weft_get_running_loop() == trips->loops[0];
    if (is_home && --trips->left == 0)
        return weft_future_set_result(trips->done, NULL);
    return leave_for(trips, is_home ? 1 : 0);
}

static int travel(void *arg, void **result_out)
{
    struct trips *trips = arg;
    (void)result_out;
    trips->left = TRIPS;
    int status = weft_loop_create_future(trips->loops[0], &trips->done);
    if (status == 0)
        status = leave_for(trips, 1);
    if (status == 0)
        status = weft_await(trips->done, NULL);
    weft_future_unref(trips->done);
    return status;
}

static uint64_t weft_trips(int64_t spin_ns)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    struct weft_coro *coro;
    static struct trips trips;
    options.loops = 2;
    options.spin_max_ns = spin_ns;
    options.flags = WEFT_RUNTIME_PIN_THREADS; /* but the main loop's, which is this one */
    int status = weft_runtime_create(&options, &runtime);
    if (status < 0)
        give_up("a runtime", status);
    trips.loops[0] = weft_runtime_loop(runtime, 0);
    trips.loops[1] = weft_runtime_loop(runtime, 1);
    status = weft_fiber_new(travel, &trips, NULL, &coro);
    bind_to(0);
    uint64_t start_ns = clock_monotonic_ns();
    if (status < 0 || (status = weft_runtime_run(runtime, coro, NULL)) < 0)
        give_up("a run", status);
    uint64_t took_ns = clock_monotonic_ns() - start_ns;
    unbind();
    weft_runtime_destroy(runtime);
    return took_ns;
}

static uint64_t parking_trips(void)
{
    return weft_trips(-1);
}

static uint64_t spinning_trips(void)
{
    return weft_trips(SPIN_NS);
}

/* ---- the rounds ---- */

static uint64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint64_t (*trips)(void);
    } contestants[] = {{"raw", raw_trips}, {"raw_epoll", raw_epoll_trips}, {"parking", parking_trips}, {"spinning", spinning_trips}};
    enum { CONTESTANTS = sizeof(contestants) / sizeof(contestants[0]) };
    size_t rounds = argc == 3 && strcmp(argv[1], "--rounds") == 0 ? strtoul(argv[2], NULL, 10) : ROUNDS_DEFAULT;
    rounds = rounds > REPORT_ROUNDS_MAX ? REPORT_ROUNDS_MAX : rounds;
    if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) < 0 || (cpus[0] = cpu_allowed(0)) < 0 || (cpus[1] = cpu_allowed(1)) < 0)
        give_up("processors", -errno);
    if (cpus[0] == cpus[1])
        give_up("two processors are needed", 1);
    static struct report time = {.name = "wake.trip_ns", .contestants = CONTESTANTS},
                         cpu = {.name = "wake.trip_cpu_ns", .contestants = CONTESTANTS};
    time.rounds = cpu.rounds = rounds;
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < CONTESTANTS; i++) {
            uint64_t start_ns = cpu_ns();
            time.value[i][round] = (double)contestants[i].trips() / TRIPS;
            cpu.value[i][round] = (double)(cpu_ns() - start_ns) / TRIPS;
            time.contestant[i] = cpu.contestant[i] = contestants[i].name;
        }
    report_print(&time);
    report_print(&cpu);
    return 0;
}
