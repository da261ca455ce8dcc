/*
 * Exhaustion: a server whose process has no descriptor left, while connections come.
 *
 * It must not spin, and must serve those that waited within RECOVERY_MAX_NS once there are descriptors again. The time to recover is
 * measured ROUNDS times and the best one counts: the machine may be busy with others.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/soak/meter.h"
#include "tests/soak/soak.h"
#include "weft/fiber.h"
#include "weft/memory.h"
#include "weft/runtime.h"
#include "weft/server.h"
#include "weft/transport.h"
#include "weft/work.h"

enum {
    LOOPS = 2,
    CLIENTS = 16,
    ROUNDS = 3,
    FILLERS_MAX = 1024,
    EXHAUSTED_NS = 500000000,
    RECOVERY_MAX_NS = 100000000,
    CPU_PERCENT_MAX = 5,
    PAUSE_MIN_NS = 50000000, /* between two attempts to accept, of one listener */
    DEADLINE_NS = 2000000000,
};

struct exhaustion {
    struct weft_runtime *runtime;
    uint16_t port;
    int64_t sessions;   /* atomic: open ones */
    uint32_t failures;  /* atomic: reports of failed accepts */
    uint32_t surprises; /* atomic: other reports */
    int clients[CLIENTS];
    int fillers[FILLERS_MAX];
    int filler_count;
    uint64_t cpu_ns;      /* used in the last round's exhausted time */
    uint64_t recovery_ns; /* of the last round */
};

/* ---- the server: an echo -------------------------------------------------------------------------------------------------------- */

struct echo {
    struct weft_protocol protocol;
    struct weft_transport *transport;
    struct exhaustion *exhaustion;
};

static int echo_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    weft_container_of(protocol, struct echo, protocol)->transport = transport;
    return 0;
}

static int echo_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    return weft_transport_write(weft_container_of(protocol, struct echo, protocol)->transport, data, len);
}

static int echo_lost(struct weft_protocol *protocol, int status)
{
    struct echo *echo = weft_container_of(protocol, struct echo, protocol);
    (void)status;
    (void)weft_atomic_sub_relaxed(&echo->exhaustion->sessions, 1);
    weft_free(echo);
    return 0;
}

static int echo_new(void *arg, struct weft_protocol **protocol_out)
{
    static const struct weft_protocol_ops ops = {
        .size = sizeof(ops), .connection_made = echo_made, .data_received = echo_received, .connection_lost = echo_lost};
    struct echo *echo = weft_calloc(1, sizeof(*echo));
    if (echo == NULL)
        return -ENOMEM;
    echo->protocol.ops = &ops;
    echo->exhaustion = arg;
    (void)weft_atomic_add_relaxed(&echo->exhaustion->sessions, 1);
    *protocol_out = &echo->protocol;
    return 0;
}

static int reported(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    struct exhaustion *exhaustion = arg;
    (void)loop;
    (void)weft_atomic_add_relaxed(exception->status == -EMFILE ? &exhaustion->failures : &exhaustion->surprises, 1);
    return 0;
}

static int listen_on(struct exhaustion *exhaustion, struct weft_loop *loop)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    options.host = "127.0.0.1";
    options.port = exhaustion->port;
    options.flags = WEFT_SERVER_REUSE_PORT;
    int status = weft_loop_set_exception_handler(loop, reported, exhaustion);
    if (status == 0)
        status = weft_loop_create_server(loop, echo_new, exhaustion, &options, &server);
    if (status < 0)
        return status;
    exhaustion->port = (uint16_t)weft_server_get_port(server);
    weft_server_unref(server);
    return 0;
}

/* ---- the clients: plain sockets ------------------------------------------------------------------------------------------------- */

/* Connections complete in the backlog, whether or not anybody accepts them. */
static bool clients_connect(struct exhaustion *exhaustion)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(exhaustion->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < CLIENTS; i++)
        if (connect(exhaustion->clients[i], (struct sockaddr *)&address, sizeof(address)) < 0 ||
            send(exhaustion->clients[i], "x", 1, 0) != 1)
            return false;
    return true;
}

static int clients_answered(const struct exhaustion *exhaustion)
{
    char byte;
    int count = 0;
    for (int i = 0; i < CLIENTS; i++)
        count += recv(exhaustion->clients[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
    return count;
}

/* ---- a round -------------------------------------------------------------------------------------------------------------------- */

/* Lower the limit to what is open, and fill the holes below. The fillers are of no use to anybody. */
static void descriptors_exhaust(struct exhaustion *exhaustion, rlim_t limit_max)
{
    int highest = fcntl(exhaustion->clients[0], F_DUPFD_CLOEXEC, 0);
    close(highest);
    for (int i = 0; i < CLIENTS; i++)
        highest = exhaustion->clients[i] > highest ? exhaustion->clients[i] : highest;
    (void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)highest + 1, limit_max});
    exhaustion->filler_count = 0;
    for (int fd = 0; fd >= 0 && exhaustion->filler_count < FILLERS_MAX;)
        if ((fd = fcntl(exhaustion->clients[0], F_DUPFD_CLOEXEC, 0)) >= 0)
            exhaustion->fillers[exhaustion->filler_count++] = fd;
}

static void descriptors_relieve(struct exhaustion *exhaustion, const struct rlimit *limit)
{
    (void)setrlimit(RLIMIT_NOFILE, limit);
    for (int i = 0; i < exhaustion->filler_count; i++)
        close(exhaustion->fillers[i]);
}

static int wait_for_answers(struct exhaustion *exhaustion)
{
    uint64_t start_ns = clock_monotonic_ns();
    int status = 0;
    while (status == 0 && clients_answered(exhaustion) < CLIENTS && clock_monotonic_ns() - start_ns < DEADLINE_NS)
        status = weft_sleep(1000000);
    exhaustion->recovery_ns = clock_monotonic_ns() - start_ns;
    return status;
}

static int wait_for_ends(struct exhaustion *exhaustion)
{
    uint64_t start_ns = clock_monotonic_ns();
    int status = 0;
    while (status == 0 && weft_atomic_load_relaxed(&exhaustion->sessions) > 0 && clock_monotonic_ns() - start_ns < DEADLINE_NS)
        status = weft_sleep(1000000);
    return status;
}

static int exhaustion_round(void *arg, void **result_out)
{
    struct exhaustion *exhaustion = arg;
    struct rlimit limit;
    (void)result_out;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < CLIENTS; i++)
        exhaustion->clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    descriptors_exhaust(exhaustion, limit.rlim_max);
    bool is_connected = clients_connect(exhaustion);
    uint64_t start_ns = meter_cpu_ns();
    int status = weft_sleep(EXHAUSTED_NS);
    exhaustion->cpu_ns = meter_cpu_ns() - start_ns;
    int early = clients_answered(exhaustion);
    descriptors_relieve(exhaustion, &limit);
    if (status == 0)
        status = wait_for_answers(exhaustion);
    for (int i = 0; i < CLIENTS; i++)
        close(exhaustion->clients[i]);
    if (status == 0)
        status = wait_for_ends(exhaustion);
    return !is_connected || early > 0 ? -EIO : status;
}

static int exhaustion_run(struct exhaustion *exhaustion)
{
    struct weft_coro *coro;
    int status = weft_fiber_new(exhaustion_round, exhaustion, NULL, &coro);
    return status < 0 ? status : weft_runtime_run(exhaustion->runtime, coro, NULL);
}

static void check_rounds(struct exhaustion *exhaustion)
{
    uint64_t recovery_ns = UINT64_MAX, cpu_ns = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        int status = exhaustion_run(exhaustion);
        soak_check(status == 0, "a round without descriptors ends with %d", status);
        recovery_ns = exhaustion->recovery_ns < recovery_ns ? exhaustion->recovery_ns : recovery_ns;
        cpu_ns = exhaustion->cpu_ns < cpu_ns ? exhaustion->cpu_ns : cpu_ns;
    }
    uint32_t attempts_max = ROUNDS * LOOPS * (EXHAUSTED_NS / PAUSE_MIN_NS + 2);
    printf("without descriptors: %.1f %% of a processor, %u accepts failed, served again after %.1f ms\n",
           (double)cpu_ns * 100 / EXHAUSTED_NS, exhaustion->failures, (double)recovery_ns / 1e6);
    soak_check(recovery_ns <= RECOVERY_MAX_NS, "recovered after %.1f ms", (double)recovery_ns / 1e6);
    soak_check(cpu_ns <= (uint64_t)EXHAUSTED_NS * CPU_PERCENT_MAX / 100, "%.1f ms of processor time while exhausted", (double)cpu_ns / 1e6);
    soak_check(exhaustion->failures > 0 && exhaustion->failures <= attempts_max, "%u failed accepts, at most %u", exhaustion->failures,
               attempts_max);
    soak_check(exhaustion->surprises == 0, "%u other reports", exhaustion->surprises);
    soak_check(exhaustion->sessions == 0, "%lld sessions left", (long long)exhaustion->sessions);
}

void exhaustion_check(void)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    static struct exhaustion exhaustion;
    options.loops = LOOPS;
    int status = weft_runtime_create(&options, &exhaustion.runtime);
    for (uint32_t i = 0; i < LOOPS && status == 0; i++)
        status = listen_on(&exhaustion, weft_runtime_loop(exhaustion.runtime, i));
    soak_check(status == 0, "a runtime to exhaust: %d", status);
    if (status == 0)
        check_rounds(&exhaustion);
    weft_runtime_destroy(exhaustion.runtime);
}
