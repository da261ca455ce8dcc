/*
 * Chaos: two transports over a simulated connection with delays, short reads, tiny windows and resets, and protocols that write, pause and
 * resume as a seed will have it. No byte may be lost, come twice or out of order; each connection ends once.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/base/random.h"
#include "lib/poll/sim.h"
#include "tests/net/scene.h"
#include "weft/memory.h"

enum { TOTAL = 60000, SEEDS = 300 };

struct side {
    struct weft_protocol protocol;
    struct weft_transport *transport;
    struct random *random;
    size_t written, received;
    bool is_writing_paused, is_ended, is_lost;
    int lost_status;
};

static struct side *side_of(struct weft_protocol *protocol)
{
    return weft_container_of(protocol, struct side, protocol);
}

static unsigned char byte_at(size_t position)
{
    return (unsigned char)(position * 131 % 251);
}

static void write_some(struct side *side)
{
    static unsigned char block[20000];
    size_t len = 1 + random_below(side->random, random_below(side->random, 2) != 0 ? 100 : sizeof(block));
    if (side->written + len > TOTAL)
        len = TOTAL - side->written;
    for (size_t i = 0; i < len; i++)
        block[i] = byte_at(side->written + i);
    CHECK_EQ(weft_transport_write(side->transport, block, len), 0);
    side->written += len;
    if (side->written == TOTAL)
        CHECK_EQ(weft_transport_write_eof(side->transport), 0);
}

/* One thing that a protocol may do at any time. */
static void act(struct side *side)
{
    if (side->transport == NULL || weft_transport_is_closing(side->transport))
        return;
    switch (random_below(side->random, 4)) {
    case 0:
        CHECK_EQ(weft_transport_pause_reading(side->transport), 0);
        break;
    case 1:
        CHECK_EQ(weft_transport_resume_reading(side->transport), 0);
        break;
    default:
        if (!side->is_writing_paused && side->written < TOTAL)
            write_some(side);
    }
    if (side->is_ended && side->written == TOTAL)
        CHECK_EQ(weft_transport_close(side->transport), 0);
}

static int side_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    side_of(protocol)->transport = transport;
    act(side_of(protocol));
    return 0;
}

static int side_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    struct side *side = side_of(protocol);
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        CHECK_EQ(bytes[i], byte_at(side->received + i));
    side->received += len;
    act(side);
    return 0;
}

static int side_eof(struct weft_protocol *protocol)
{
    side_of(protocol)->is_ended = true;
    return 1;
}

static int side_lost(struct weft_protocol *protocol, int status)
{
    struct side *side = side_of(protocol);
    CHECK(!side->is_lost);
    side->is_lost = true;
    side->lost_status = status;
    side->transport = NULL;
    return 0;
}

static int side_pause(struct weft_protocol *protocol)
{
    side_of(protocol)->is_writing_paused = true;
    return 0;
}

static int side_resume(struct weft_protocol *protocol)
{
    side_of(protocol)->is_writing_paused = false;
    act(side_of(protocol));
    return 0;
}

static const struct weft_protocol_ops side_ops = {
    .size = sizeof(side_ops),
    .connection_made = side_made,
    .data_received = side_received,
    .eof_received = side_eof,
    .connection_lost = side_lost,
    .pause_writing = side_pause,
    .resume_writing = side_resume,
};

static void side_open(struct weft_loop *loop, struct side *side, struct random *random, int fd)
{
    struct weft_make_socket args = {.size = sizeof(args), .fd = fd, .protocol = &side->protocol};
    struct weft_transport *transport;
    *side = (struct side){.protocol.ops = &side_ops, .random = random};
    CHECK_EQ(weft_loop_make_socket(loop, &args, &transport), 0);
}

static void run_seed(uint64_t seed, unsigned reset_permille)
{
    struct random random;
    struct weft_loop *loop;
    struct weft_file near, far;
    struct side sides[2];
    random_init(&random, seed);
    struct sim_options world_options = {.size = sizeof(world_options),
                                        .seed = seed,
                                        .latency_max_ns = random_below(&random, 2000000),
                                        .capacity = 1 + random_below(&random, 30000),
                                        .short_read_permille = (unsigned)random_below(&random, 500),
                                        .reset_permille = reset_permille};
    struct weft_sim *world = sim_world_create(&world_options);
    struct weft_poller_options poller_options = {sizeof(poller_options), 0, world};
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    options.poller = &poller_options;
    CHECK_EQ(weft_loop_new_options(weft_loop_kind_sim(), &options, &loop), 0);
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(sim_pair(world, &near, &far, 0), 0);
    side_open(loop, &sides[0], &random, near.fd);
    side_open(loop, &sides[1], &random, far.fd);
    while (!sides[0].is_lost || !sides[1].is_lost) {
        CHECK_EQ(loop_turn(loop, false), 0);
        if (!loop_has_work(loop) && sim_world_next(world) != SIM_NEVER_NS)
            sim_world_advance(world, sim_world_next(world));
        act(&sides[random_below(&random, 2)]);
    }
    for (int i = 0; i < 2 && reset_permille == 0; i++) {
        CHECK_EQ(sides[i].lost_status, 0);
        CHECK_EQ(sides[i].received, TOTAL);
    }
    loop_leave(loop);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    CHECK_EQ(sim_world_count(world), 0);
    sim_world_destroy(world);
}

Test(chaos, no_byte_is_lost_whatever_the_seed, .timeout = 60)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed, 0);
}

Test(chaos, resets_end_both_sides_once_with_a_prefix_of_the_bytes, .timeout = 60)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed, 1 + (unsigned)(seed % 200));
}
