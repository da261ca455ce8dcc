/*
 * Timeouts and deadlines, in the simulated world: its time passes only when nothing else happens, so each figure is exact.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/poll/sim.h"
#include "tests/net/scene.h"

enum { MS = 1000000 };

struct sim_scene {
    struct scene scene;
    struct weft_sim *world;
    int64_t live_before;
    struct weft_poller_options options;
};

static void sim_open(struct sim_scene *sim)
{
    struct scene warm; /* so that only what this world takes is counted */
    scene_open(&warm);
    scene_close(&warm);
    sim->live_before = oom_live();
    sim->world = sim_world_create(NULL);
    sim->options = (struct weft_poller_options){sizeof(sim->options), 0, sim->world};
    scene_open_kind(&sim->scene, weft_loop_kind_sim(), &sim->options);
}

/* The far end is the test's to use: a file that was never submitted on is closed by hand. */
static struct peer *sim_transport(struct sim_scene *sim, struct weft_file *far)
{
    struct weft_file near;
    CHECK_EQ(sim_pair(sim->world, &near, far, 1024), 0);
    return scene_transport(&sim->scene, near.fd, scene_factory);
}

static void sim_done(struct sim_scene *sim, struct weft_file *far)
{
    loop_leave(sim->scene.loop);
    CHECK_EQ(weft_loop_close(sim->scene.loop), 0);
    weft_loop_unref(sim->scene.loop);
    CHECK_EQ(sim_close(sim->world, far->fd), 0);
    CHECK_EQ(sim_world_count(sim->world), 0);
    sim_world_destroy(sim->world);
    for (size_t i = 0; i < sim->scene.peer_count; i++) {
        CHECK_EQ(sim->scene.peers[i]->lost, 1);
        free(sim->scene.peers[i]->data);
        free(sim->scene.peers[i]);
    }
    CHECK_EQ(oom_live(), sim->live_before);
}

static uint64_t lost_after(struct sim_scene *sim, struct peer *peer, uint64_t start_ns)
{
    RUN_UNTIL(&sim->scene, peer->lost == 1);
    return weft_loop_time(sim->scene.loop) - start_ns;
}

static bool is_close_to(uint64_t value_ns, uint64_t wanted_ns)
{
    return value_ns >= wanted_ns && value_ns <= wanted_ns + 20 * MS;
}

static int wake_nobody(void *arg)
{
    (void)arg;
    return 0;
}

static void pass_time(struct sim_scene *sim, int64_t delay_ns)
{
    uint64_t end_ns = weft_loop_time(sim->scene.loop) + (uint64_t)delay_ns;
    CHECK_EQ(weft_loop_call_later(sim->scene.loop, delay_ns, wake_nobody, NULL, NULL), 0);
    RUN_UNTIL(&sim->scene, weft_loop_time(sim->scene.loop) >= end_ns);
}

Test(limits, an_idle_connection_ends_in_time_never_early, .timeout = 5)
{
    const int64_t periods[] = {1, MS, 100 * MS, 5000 * (int64_t)MS, 3600000 * (int64_t)MS};
    for (size_t i = 0; i < 5; i++) {
        struct sim_scene sim;
        struct weft_file far;
        sim_open(&sim);
        struct peer *peer = sim_transport(&sim, &far);
        RUN_UNTIL(&sim.scene, peer->made == 1);
        uint64_t start_ns = weft_loop_time(sim.scene.loop);
        CHECK_EQ(weft_transport_set_timeouts(peer->transport, periods[i], 0), 0);
        CHECK(is_close_to(lost_after(&sim, peer, start_ns), (uint64_t)periods[i]));
        CHECK_EQ(peer->lost_status, -ETIMEDOUT);
        struct weft_transport_counters counters;
        CHECK_EQ(weft_loop_get_transport_counters(sim.scene.loop, &counters), 0);
        CHECK_EQ(counters.timeouts, 1);
        CHECK_EQ(sim.scene.reports, 0);
        sim_done(&sim, &far);
    }
}

Test(limits, what_moves_is_not_idle, .timeout = 5)
{
    struct sim_scene sim;
    struct weft_file far;
    sim_open(&sim);
    struct peer *peer = sim_transport(&sim, &far);
    RUN_UNTIL(&sim.scene, peer->made == 1);
    CHECK_EQ(weft_transport_set_timeouts(peer->transport, 100 * MS, 0), 0);
    for (int i = 0; i < 10; i++) {
        pass_time(&sim, 70 * MS);
        CHECK_EQ(peer->lost, 0);
        CHECK_EQ(weft_transport_write(peer->transport, "x", 1), 0);
    }
    scene_turn(&sim.scene);
    uint64_t start_ns = weft_loop_time(sim.scene.loop);
    CHECK(lost_after(&sim, peer, start_ns) <= 120 * MS);
    sim_done(&sim, &far);
}

Test(limits, a_deadline_ends_whatever_moves_and_can_be_moved_and_taken_back, .timeout = 5)
{
    struct sim_scene sim;
    struct weft_file far;
    sim_open(&sim);
    struct peer *peer = sim_transport(&sim, &far);
    RUN_UNTIL(&sim.scene, peer->made == 1);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, 50 * MS), 0);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, 0), 0);
    pass_time(&sim, 200 * MS);
    CHECK_EQ(peer->lost, 0);
    uint64_t start_ns = weft_loop_time(sim.scene.loop);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, 1000 * MS), 0);
    CHECK_EQ(weft_transport_set_deadline(peer->transport, 100 * MS), 0);
    pass_time(&sim, 60 * MS);
    CHECK_EQ(weft_transport_write(peer->transport, "x", 1), 0);
    CHECK(is_close_to(lost_after(&sim, peer, start_ns), 100 * MS));
    CHECK_EQ(peer->lost_status, -ETIMEDOUT);
    sim_done(&sim, &far);
}

Test(limits, what_waits_to_be_sent_may_stand_still_only_so_long, .timeout = 5)
{
    static char block[4096];
    struct sim_scene sim;
    struct weft_file far;
    sim_open(&sim);
    struct peer *peer = sim_transport(&sim, &far);
    RUN_UNTIL(&sim.scene, peer->made == 1);
    CHECK_EQ(weft_transport_set_timeouts(peer->transport, 0, 100 * MS), 0);
    pass_time(&sim, 350 * MS); /* nothing waits */
    CHECK_EQ(peer->lost, 0);
    uint64_t start_ns = weft_loop_time(sim.scene.loop);
    CHECK_EQ(weft_transport_write(peer->transport, block, sizeof(block)), 0);
    CHECK(is_close_to(lost_after(&sim, peer, start_ns), 100 * MS));
    CHECK_EQ(peer->lost_status, -ETIMEDOUT);
    sim_done(&sim, &far);
}

Test(limits, a_closing_transport_that_cannot_drain_times_out_too, .timeout = 5)
{
    static char block[4096];
    struct sim_scene sim;
    struct weft_file far;
    sim_open(&sim);
    struct peer *peer = sim_transport(&sim, &far);
    RUN_UNTIL(&sim.scene, peer->made == 1);
    CHECK_EQ(weft_transport_set_timeouts(peer->transport, 0, 100 * MS), 0);
    CHECK_EQ(weft_transport_write(peer->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_close(peer->transport), 0);
    RUN_UNTIL(&sim.scene, peer->lost == 1);
    CHECK_EQ(peer->lost_status, -ETIMEDOUT);
    sim_done(&sim, &far);
}

Test(limits, a_simulated_stream_carries_bytes_and_half_closes, .timeout = 5)
{
    struct sim_scene sim;
    struct weft_file near, far;
    sim_open(&sim);
    sim.scene.model.keeps_open = true;
    CHECK_EQ(sim_pair(sim.world, &near, &far, 100), 0);
    struct peer *left = scene_transport(&sim.scene, near.fd, scene_factory);
    sim.scene.model.is_echo = true;
    struct peer *right = scene_transport(&sim.scene, far.fd, scene_factory);
    RUN_UNTIL(&sim.scene, left->made == 1 && right->made == 1);
    static char block[5000];
    CHECK_EQ(weft_transport_write(left->transport, block, sizeof(block)), 0);
    CHECK_EQ(weft_transport_write_eof(left->transport), 0);
    RUN_UNTIL(&sim.scene, right->eofs == 1 && left->len == sizeof(block));
    CHECK_EQ(weft_transport_close(right->transport), 0);
    RUN_UNTIL(&sim.scene, left->eofs == 1 && right->lost == 1);
    CHECK_EQ(weft_transport_close(left->transport), 0);
    RUN_UNTIL(&sim.scene, left->lost == 1);
    scene_settle(&sim.scene);
    CHECK_EQ(sim_world_count(sim.world), 0);
    CHECK_EQ(sim_pair(sim.world, &near, &far, 1), 0);
    CHECK_EQ(sim_close(sim.world, near.fd), 0);
    sim_done(&sim, &far);
}

Test(limits, many_connections_share_one_timer, .timeout = 5)
{
    enum { COUNT = 60 };
    struct sim_scene sim;
    struct weft_file far[COUNT];
    struct peer *peers[COUNT];
    sim_open(&sim);
    for (int i = 0; i < COUNT; i++)
        peers[i] = sim_transport(&sim, &far[i]);
    RUN_UNTIL(&sim.scene, peers[COUNT - 1]->made == 1);
    uint64_t start_ns = weft_loop_time(sim.scene.loop);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(weft_transport_set_timeouts(peers[i]->transport, (int64_t)(i * 7919 % COUNT + 1) * 200 * MS, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        int n = 0;
        while (n * 7919 % COUNT != i)
            n++;
        CHECK(is_close_to(lost_after(&sim, peers[n], start_ns), (uint64_t)(i + 1) * 200 * MS));
    }
    for (int i = 1; i < COUNT; i++)
        CHECK_EQ(sim_close(sim.world, far[i].fd), 0);
    sim_done(&sim, &far[0]);
}
