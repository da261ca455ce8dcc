/*
 * Traffic: rallies. Two tasks on two loops complete each other's futures in turn. Called by main.c; counts in the shards.
 *
 *      task of loop A                               task of loop B
 *      next = a future of A
 *      set_result(B's future, next)  ───────────>   its await returns: `next` is what to complete now
 *      await(next)                                  next = a future of B
 *             …  <───────────────────────────────   set_result(A's future, next), await(next)
 *
 * The ball is the future that the receiver shall complete, with a reference. The two share nothing else, so there is no lock, no queue,
 * and no word that both write. A ball that is NULL ends the rally.
 */
#include "tools/demo/traffic.h"

#include <errno.h>

#include "tools/demo/site.h"
#include "tools/demo/spawn.h"
#include "weft/memory.h"

struct player {
    struct traffic *traffic;
    struct shard *shard;
    struct weft_future *mine;   /* what the other completes; NULL: this one serves */
    struct weft_future *theirs; /* what to complete */
    struct weft_task *task;
};

struct rally {
    struct player server;
    struct player receiver;
};

/* Complete the other's future with the ball, or with NULL at the end. */
static int player_hit(struct player *player, struct weft_future *ball)
{
    int status = weft_future_set_result(player->theirs, ball);
    weft_future_unref(player->theirs);
    player->theirs = NULL;
    if (status == 0)
        shard_count(&player->shard->passes, 1);
    return status;
}

/* Hand the other a new future to complete; or the end, if it is over or there is none to hand. */
static int player_return(struct player *player, int status)
{
    bool is_over = weft_atomic_load_relaxed(&player->traffic->is_over);
    if (status == 0 && !is_over)
        status = weft_loop_create_future(player->shard->loop, &player->mine);
    if (player->mine == NULL) {
        player_hit(player, NULL);
        return status;
    }
    status = player_hit(player, weft_future_ref(player->mine));
    if (status < 0)
        weft_future_unref(player->mine);
    return status;
}

/* Wait for the ball. */
static int player_wait(struct player *player)
{
    void *ball = NULL;
    int status = weft_await(player->mine, &ball);
    weft_future_unref(player->mine);
    player->mine = NULL;
    player->theirs = ball;
    return status;
}

static int player_run(void *arg, void **result_out)
{
    (void)result_out;
    struct player *player = arg;
    bool is_server = player->mine == NULL;
    int status = is_server ? 0 : player_wait(player);
    while (status == 0 && player->theirs != NULL) {
        status = player_return(player, is_server ? weft_sleep(player->traffic->pause_ns) : 0);
        if (status == 0 && player->mine != NULL)
            status = player_wait(player);
    }
    return status;
}

static int rally_start(struct rally *rally, struct traffic *traffic, struct shard *from, struct shard *to)
{
    *rally = (struct rally){{.traffic = traffic, .shard = from}, {.traffic = traffic, .shard = to}};
    int status = weft_loop_create_future(to->loop, &rally->receiver.mine);
    if (status < 0)
        return status;
    rally->server.theirs = weft_future_ref(rally->receiver.mine);
    status = spawn(to->loop, player_run, &rally->receiver, &rally->receiver.task, "rally with %u", from->index);
    if (status == 0)
        status = spawn(from->loop, player_run, &rally->server, &rally->server.task, "rally with %u", to->index);
    if (status < 0)
        weft_future_set_exception(rally->server.theirs, status); /* nobody will serve */
    return status;
}

int traffic_start(struct traffic *traffic, struct site *site, int64_t pause_ns)
{
    uint32_t pairs = site->count * (site->count - 1) / 2;
    int status = 0;
    *traffic = (struct traffic){.pause_ns = pause_ns * site->count};
    traffic->rallies = weft_calloc(pairs, sizeof(*traffic->rallies));
    if (traffic->rallies == NULL)
        return -ENOMEM;
    for (uint32_t from = 0; from < site->count; from++)
        for (uint32_t to = from + 1; to < site->count && status == 0; to++)
            status = rally_start(&traffic->rallies[traffic->count++], traffic, &site->shards[from], &site->shards[to]);
    return status;
}

static void player_stop(struct player *player)
{
    if (player->task != NULL)
        weft_await(&player->task->future, NULL);
    weft_task_unref(player->task);
    weft_future_unref(player->theirs);
}

void traffic_stop(struct traffic *traffic)
{
    weft_atomic_store_relaxed(&traffic->is_over, 1u);
    for (uint32_t i = 0; i < traffic->count; i++) {
        player_stop(&traffic->rallies[i].receiver);
        player_stop(&traffic->rallies[i].server);
    }
    weft_free(traffic->rallies);
    *traffic = (struct traffic){0};
}
