/*
 * Sim: time, scripts and faults of a simulated world.
 */
#include "tests/poll/scene.h"

#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "tests/support/oom.h"
#include "weft/memory.h"

static struct weft_poller *poller_open(struct weft_sim *world)
{
    const struct weft_poller_ops *ops = weft_poller_sim_ops();
    struct weft_poller_options options = {sizeof(options), 0, world};
    struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
    CHECK_EQ(weft_poller_init(poller, ops, &options), 0);
    return poller;
}

/* A scene without the conformance suite's frame: a world made to order. */
static void open_scene(struct scene *scene, const struct sim_options *options, size_t capacity)
{
    *scene = (struct scene){.backend = BACKEND_sim, .world = sim_world_create(options)};
    scene->poller = poller_open(scene->world);
    CHECK_EQ(sim_pair(scene->world, &scene->near, &scene->far, capacity), 0);
}

static void close_scene(struct scene *scene)
{
    scene_close(scene, &scene->near);
    scene_close(scene, &scene->far);
    CHECK_EQ(sim_world_count(scene->world), 0);
    scene->poller->ops->fini(scene->poller);
    weft_free(scene->poller);
    sim_world_destroy(scene->world);
}

static char sink[4096];

static int recv_submit(struct scene *scene, struct record *record)
{
    weft_operation_recv(&record->operation, &scene->near, sink, sizeof(sink), record_call);
    return scene_submit(scene, record);
}

Test(sim, moves_the_clock_to_the_end_of_a_timeout, .timeout = 5)
{
    struct scene scene;
    open_scene(&scene, NULL, 0);
    CHECK_EQ(scene.poller->ops->now(scene.poller), SIM_START_NS);
    CHECK_EQ(scene_turn(&scene, INT64_C(86400000000000)), 0);
    CHECK_EQ(scene.poller->ops->now(scene.poller), SIM_START_NS + UINT64_C(86400000000000));
    close_scene(&scene);
}

Test(sim, moves_the_clock_to_the_arrival_of_bytes, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, &(struct sim_options){.size = sizeof(struct sim_options), .latency_min_ns = 5000}, 0);
    CHECK_EQ(recv_submit(&scene, &record), -EINPROGRESS);
    scene_send(&scene, &scene.far, "late");
    scene_await(&scene, &record, 1);
    CHECK_EQ(record.result, 4);
    CHECK_EQ(sim_world_now(scene.world), SIM_START_NS + 5000);
    close_scene(&scene);
}

Test(sim, leaves_the_clock_to_the_driver_where_pollers_share_a_world, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, &(struct sim_options){.size = sizeof(struct sim_options), .latency_min_ns = 5000}, 0);
    struct weft_poller *other = poller_open(scene.world);
    struct scene far = {.backend = BACKEND_sim, .world = scene.world, .poller = other};
    CHECK_EQ(recv_submit(&scene, &record), -EINPROGRESS);
    scene_send(&far, &scene.far, "x");
    CHECK_EQ(scene_turn(&scene, -1), 0);
    CHECK_EQ(scene_turn(&far, -1), 0);
    CHECK_EQ(sim_world_now(scene.world), SIM_START_NS);
    CHECK_EQ(sim_world_next(scene.world), SIM_START_NS + 5000);
    sim_world_advance(scene.world, SIM_START_NS + 4999);
    CHECK_EQ(scene_turn(&scene, -1), 0);
    sim_world_advance(scene.world, sim_world_next(scene.world));
    CHECK_EQ(scene_turn(&scene, -1), 1);
    CHECK_EQ(record.result, 1);
    scene_close(&far, &scene.far);
    other->ops->fini(other);
    weft_free(other);
    close_scene(&scene);
}

/* Scripts */

static void script(struct scene *scene, struct sim_step step)
{
    CHECK_EQ(sim_script(scene->world, &scene->near, &step), 0);
}

Test(script, makes_a_read_short, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    script(&scene, (struct sim_step){.kind = WEFT_OP_RECV, .nth = 2, .bytes_max = 2});
    weft_operation_recv(&record.operation, &scene.near, NULL, 4, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(&scene, &record), -EINPROGRESS);
    scene_send(&scene, &scene.far, "abcdefghijk");
    scene_await(&scene, &record, 4);
    CHECK_EQ(record.results[0], 4);
    CHECK_EQ(record.results[1], 2);
    CHECK_EQ(record.results[2], 4);
    CHECK_EQ(record.results[3], 1);
    CHECK_EQ(memcmp(record.bytes, "abcdefghijk", 11), 0);
    close_scene(&scene);
}

Test(script, makes_a_read_fail_although_nothing_was_sent, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    weft_operation_recv(&record.operation, &scene.near, NULL, 0, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(&scene, &record), -EINPROGRESS);
    CHECK_EQ(scene_turn(&scene, 1000), 0);
    script(&scene, (struct sim_step){.kind = WEFT_OP_RECV, .nth = 1, .error = -ECONNRESET});
    scene_await(&scene, &record, 1);
    CHECK_EQ(record.result, -ECONNRESET);
    CHECK_EQ(record.flags, 0);
    close_scene(&scene);
}

Test(script, makes_the_next_read_fail_after_a_good_one, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    script(&scene, (struct sim_step){.kind = WEFT_OP_RECV, .nth = 2, .error = -ETIMEDOUT});
    weft_operation_recv(&record.operation, &scene.near, NULL, 0, record_call);
    record.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(&scene, &record), -EINPROGRESS);
    scene_send(&scene, &scene.far, "x");
    scene_await(&scene, &record, 2);
    CHECK_EQ(record.results[0], 1);
    CHECK_EQ(record.result, -ETIMEDOUT);
    close_scene(&scene);
}

Test(script, makes_a_read_wait, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    script(&scene, (struct sim_step){.kind = WEFT_OP_RECV, .nth = 1, .delay_ns = 7000});
    scene_send(&scene, &scene.far, "x");
    CHECK_EQ(recv_submit(&scene, &record), -EINPROGRESS);
    scene_await(&scene, &record, 1);
    CHECK_EQ(record.result, 1);
    CHECK_EQ(sim_world_now(scene.world), SIM_START_NS + 7000);
    close_scene(&scene);
}

Test(script, makes_a_send_short_and_a_later_one_fail, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    script(&scene, (struct sim_step){.kind = WEFT_OP_SEND, .nth = 1, .bytes_max = 3});
    script(&scene, (struct sim_step){.kind = WEFT_OP_SEND, .nth = 3, .error = -EPIPE});
    weft_operation_send(&record.operation, &scene.near, "abcdef", 6, record_call);
    CHECK_EQ(scene_submit(&scene, &record), 3);
    CHECK_EQ(scene_submit(&scene, &record), 6);
    CHECK_EQ(scene_submit(&scene, &record), -EPIPE);
    CHECK_EQ(scene_submit(&scene, &record), 6);
    close_scene(&scene);
}

Test(script, makes_an_accept_fail_and_keeps_the_connection, .timeout = 5)
{
    struct scene scene;
    struct scene_address address;
    struct weft_file listener, client;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    scene_listen(&scene, &listener, &address);
    CHECK_EQ(sim_script(scene.world, &listener, &(struct sim_step){.kind = WEFT_OP_ACCEPT, .nth = 1, .error = -EMFILE}), 0);
    CHECK_EQ(sim_connect(scene.world, &client, scene_sockaddr(&address), address.len), 0);
    weft_operation_accept(&record.operation, &listener, NULL, NULL, record_call);
    CHECK_EQ(scene_submit(&scene, &record), -EMFILE);
    int fd = scene_submit(&scene, &record);
    CHECK(fd >= WEFT_FD_VIRTUAL);
    CHECK_EQ(sim_close(scene.world, fd), 0);
    CHECK_EQ(sim_close(scene.world, fd), -EBADF);
    scene_close(&scene, &listener);
    scene_close(&scene, &client);
    close_scene(&scene);
}

/* Connections */

Test(sim, connect_waits_for_room_in_the_backlog, .timeout = 5)
{
    struct scene scene;
    struct scene_address address = {.len = 2};
    struct weft_file listener, first, second;
    struct record connecting = {0};
    struct record accepting = {0};
    open_scene(&scene, NULL, 0);
    CHECK_EQ(sim_listen(scene.world, &listener, scene_sockaddr(&address), address.len, 1), 0);
    CHECK_EQ(sim_listen(scene.world, &second, scene_sockaddr(&address), address.len, 1), -EADDRINUSE);
    CHECK_EQ(sim_listen(scene.world, &second, NULL, 0, 1), -EINVAL);
    CHECK_EQ(sim_connect(scene.world, &first, scene_sockaddr(&address), address.len), 0);
    CHECK_EQ(sim_connect(scene.world, &second, scene_sockaddr(&address), address.len), -EAGAIN);
    CHECK_EQ(sim_socket(scene.world, &second), 0);
    weft_operation_connect(&connecting.operation, &second, scene_sockaddr(&address), address.len, record_call);
    CHECK_EQ(scene_submit(&scene, &connecting), -EINPROGRESS);
    scene_turn(&scene, 1000);
    CHECK_EQ(connecting.calls, 0);
    weft_operation_accept(&accepting.operation, &listener, NULL, NULL, record_call);
    CHECK_EQ(sim_close(scene.world, scene_submit(&scene, &accepting)), 0);
    scene_await(&scene, &connecting, 1);
    CHECK_EQ(connecting.result, 0);
    scene_close(&scene, &listener); /* With a connection in its backlog. */
    CHECK_EQ(scene_recv(&scene, &second, sink, 1), 0);
    scene_close(&scene, &first);
    scene_close(&scene, &second);
    CHECK_EQ(sim_connect(scene.world, &second, scene_sockaddr(&address), address.len), -ECONNREFUSED);
    close_scene(&scene);
}

Test(sim, takes_time_for_a_connect, .timeout = 5)
{
    struct scene scene;
    struct scene_address address;
    struct weft_file listener, client;
    struct record record = {0};
    open_scene(&scene, &(struct sim_options){.size = sizeof(struct sim_options), .latency_min_ns = 300}, 0);
    scene_listen(&scene, &listener, &address);
    scene_socket(&scene, &client);
    weft_operation_connect(&record.operation, &client, scene_sockaddr(&address), address.len, record_call);
    CHECK_EQ(scene_submit(&scene, &record), -EINPROGRESS);
    scene_await(&scene, &record, 1);
    CHECK_EQ(record.result, 0);
    CHECK_EQ(sim_world_now(scene.world), SIM_START_NS + 300);
    scene_close(&scene, &client);
    scene_close(&scene, &listener);
    close_scene(&scene);
}

Test(sim, reset_is_found_behind_what_had_arrived, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    scene_send(&scene, &scene.far, "abc");
    sim_reset(scene.world, &scene.near);
    CHECK_EQ(recv_submit(&scene, &record), 3);
    CHECK_EQ(recv_submit(&scene, &record), -ECONNRESET);
    weft_operation_send(&record.operation, &scene.far, "x", 1, record_call);
    CHECK_EQ(scene_submit(&scene, &record), -ECONNRESET);
    close_scene(&scene);
}

Test(sim, cut_holds_back_bytes_and_the_end_until_it_heals, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    CHECK_EQ(recv_submit(&scene, &record), -EINPROGRESS);
    sim_cut(scene.world, &scene.near);
    scene_send(&scene, &scene.far, "abc");
    scene_shutdown(&scene, &scene.far);
    scene_turn(&scene, 1000000);
    CHECK_EQ(record.calls, 0);
    sim_heal(scene.world, &scene.near);
    scene_await(&scene, &record, 1);
    CHECK_EQ(record.result, 3);
    CHECK_EQ(recv_submit(&scene, &record), 0);
    close_scene(&scene);
}

/* Everything at once: what is sent arrives, in order, and equal seeds take the same time over it. */

enum { PATTERN_BYTES = 20000 };

struct transfer {
    struct scene *scene;
    struct record sender;
    unsigned char out[PATTERN_BYTES];
    unsigned char in[PATTERN_BYTES];
    size_t sent;
    size_t got;
};

static void transfer_send(struct transfer *transfer)
{
    size_t left = PATTERN_BYTES - transfer->sent;
    int count;
    do {
        weft_operation_send(&transfer->sender.operation, &transfer->scene->far, transfer->out + transfer->sent, left < 700 ? left : 700,
                            record_call);
        count = scene_submit(transfer->scene, &transfer->sender);
        transfer->sent += count > 0 ? (size_t)count : 0;
        left = PATTERN_BYTES - transfer->sent;
    } while (count > 0 && left > 0);
    CHECK(count > 0 || count == -EINPROGRESS);
}

static void transfer_go_on(struct record *record)
{
    struct transfer *transfer = record->arg;
    CHECK(record->result > 0);
    transfer->sent += (size_t)record->result;
    if (transfer->sent < PATTERN_BYTES)
        transfer_send(transfer);
}

static int transfer_received(struct weft_operation *operation, int result, unsigned flags)
{
    struct record *record = weft_container_of(operation, struct record, operation);
    struct transfer *transfer = record->arg;
    record->calls++;
    record->flags = flags;
    if (result > 0) {
        CHECK(transfer->got + (size_t)result <= PATTERN_BYTES);
        memcpy(transfer->in + transfer->got, operation->lent, (size_t)result);
        transfer->got += (size_t)result;
    }
    return 0;
}

static uint64_t transfer_run(uint64_t seed)
{
    static struct transfer transfer;
    struct scene scene;
    struct sim_options options = {.size = sizeof(options), .seed = seed, .latency_max_ns = 10000, .short_read_permille = 300};
    open_scene(&scene, &options, 1000);
    transfer = (struct transfer){.scene = &scene, .sender = {.then = transfer_go_on, .arg = &transfer}};
    for (size_t i = 0; i < PATTERN_BYTES; i++)
        transfer.out[i] = (unsigned char)(i * 31 + i / 251);
    struct record receiver = {.arg = &transfer};
    weft_operation_recv(&receiver.operation, &scene.near, NULL, 500, transfer_received);
    receiver.operation.flags |= WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(&scene, &receiver), -EINPROGRESS);
    transfer_send(&transfer);
    while (transfer.got < PATTERN_BYTES) {
        CHECK(sim_world_next(scene.world) != SIM_NEVER_NS || scene.poller->pending_count > 0);
        scene_turn(&scene, 1000000000);
        CHECK(sim_world_now(scene.world) < SIM_START_NS + 1000000000); /* Stuck: nothing more will come. */
    }
    CHECK_EQ(memcmp(transfer.in, transfer.out, PATTERN_BYTES), 0);
    uint64_t end_ns = sim_world_now(scene.world) * 1000 + (uint64_t)receiver.calls;
    close_scene(&scene);
    return end_ns;
}

Test(sim, moves_every_byte_in_order_whatever_the_seed, .timeout = 5)
{
    for (uint64_t seed = 0; seed < 200; seed++)
        transfer_run(seed);
}

Test(sim, does_the_same_for_the_same_seed, .timeout = 5)
{
    uint64_t first = transfer_run(7);
    CHECK_EQ(transfer_run(7), first);
    CHECK(transfer_run(8) != first);
}

Test(sim, resets_some_connections_when_told_to, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    int status = 1;
    open_scene(&scene, &(struct sim_options){.size = sizeof(struct sim_options), .reset_permille = 100}, 0);
    for (int i = 0; i < 1000 && status == 1; i++) {
        weft_operation_send(&record.operation, &scene.near, "x", 1, record_call);
        status = scene_submit(&scene, &record);
    }
    CHECK_EQ(status, -ECONNRESET);
    close_scene(&scene);
}

/* Memory */

static int everything_once(void)
{
    struct weft_file near, far, listener, client;
    struct scene_address address = {.len = 2};
    struct weft_sim *world = sim_world_create(NULL);
    if (world == NULL)
        return -ENOMEM;
    int status = sim_pair(world, &near, &far, 0);
    if (status == 0)
        status = sim_listen(world, &listener, scene_sockaddr(&address), address.len, 4);
    if (status == 0)
        status = sim_connect(world, &client, scene_sockaddr(&address), address.len);
    if (status == 0)
        status = sim_script(world, &near, &(struct sim_step){.kind = WEFT_OP_RECV, .nth = 1, .error = -EIO});
    if (status == 0)
        status = sim_socket(world, &client);
    sim_world_destroy(world);
    return status;
}

Test(sim, tells_when_memory_runs_out_and_leaks_nothing, .timeout = 5)
{
    oom_install();
    for (uint64_t n = 1;; n++) {
        oom_start(n);
        int status = everything_once();
        CHECK_EQ(oom_live(), 0);
        if (!oom_stop()) {
            CHECK_EQ(status, 0);
            break;
        }
        CHECK_EQ(status, -ENOMEM);
    }
}

Test(sim, poller_without_a_world_makes_its_own, .timeout = 5)
{
    const struct weft_poller_ops *ops = weft_poller_sim_ops();
    oom_install();
    struct weft_poller *poller = weft_calloc(1, ops->state_bytes);
    for (uint64_t n = 1;; n++) {
        oom_start(n);
        int status = weft_poller_init(poller, ops, NULL);
        if (!oom_stop())
            break;
        CHECK_EQ(status, -ENOMEM);
        CHECK_EQ(oom_live(), 1);
    }
    CHECK_EQ(ops->now(poller), SIM_START_NS);
    ops->fini(poller);
    weft_free(poller);
    CHECK_EQ(oom_live(), 0);
}

Test(sim, submit_on_a_descriptor_that_is_none_fails, .timeout = 5)
{
    struct scene scene;
    struct record record = {0};
    open_scene(&scene, NULL, 0);
    struct weft_file file;
    weft_file_init(&file, WEFT_FD_VIRTUAL + 77, WEFT_FILE_STREAM);
    CHECK(weft_file_is_virtual(&file));
    weft_operation_recv(&record.operation, &file, sink, 1, record_call);
    CHECK_EQ(scene_submit(&scene, &record), -EBADF);
    record.operation.args.bytes.buf = NULL;
    record.operation.flags = WEFT_OP_MULTISHOT;
    CHECK_EQ(scene_submit(&scene, &record), -EBADF);
    close_scene(&scene);
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------------- */

static size_t largest;

static void *note_largest(size_t bytes)
{
    largest = bytes > largest ? bytes : largest;
    return malloc(bytes);
}

Test(sim, has_no_longer_backlog_than_linux_however_long_it_shall_be, .timeout = 5)
{
    static const struct weft_memory memory = {
        .size = sizeof(memory), .malloc = note_largest, .realloc = realloc, .aligned_alloc = aligned_alloc, .free = free};
    CHECK_EQ(weft_memory_set(&memory), 0);
    struct weft_sim *world = sim_world_create(NULL);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct weft_file listener;
    CHECK_EQ(sim_listen(world, &listener, (const struct sockaddr *)&address, sizeof(address), INT_MAX), 0);
    CHECK(largest < 1000000);
    sim_world_destroy(world);
}
