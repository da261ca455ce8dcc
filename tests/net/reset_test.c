/*
 * Resets: a connection that the peer has torn down says so, whichever call finds it out first.
 */
#include <errno.h>
#include <unistd.h>

#include "tests/net/scene.h"

/* A connection that the peer has reset, before the loop has looked at it. */
static struct peer *connect_and_reset(struct scene *scene, struct weft_server **server_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    CHECK_EQ(weft_loop_create_server(scene->loop, scene_factory, scene, &options, server_out), 0);
    int fd = plain_connect(weft_server_get_port(*server_out));
    RUN_UNTIL(scene, scene->peer_count == 1 && scene->peers[0]->made == 1);
    plain_reset(fd);
    close(fd);
    return scene->peers[0];
}

static void expect_reset(struct scene *scene, struct peer *peer, struct weft_server *server)
{
    struct weft_transport_counters counters;
    RUN_UNTIL(scene, peer->lost == 1);
    CHECK_EQ(peer->lost_status, -ECONNRESET);
    CHECK_EQ(weft_loop_get_transport_counters(scene->loop, &counters), 0);
    CHECK_EQ(counters.resets, 1);
    CHECK_EQ(scene->reports, 0);
    weft_server_unref(server);
    scene_close(scene);
}

Test(reset, found_out_by_the_receive, .timeout = 5)
{
    struct scene scene;
    struct weft_server *server;
    scene_open(&scene);
    struct peer *peer = connect_and_reset(&scene, &server);
    expect_reset(&scene, peer, server);
}

Test(reset, found_out_by_ending_the_writing_side, .timeout = 5)
{
    struct scene scene;
    struct weft_server *server;
    scene_open(&scene);
    struct peer *peer = connect_and_reset(&scene, &server);
    CHECK_EQ(weft_transport_write_eof(peer->transport), 0);
    expect_reset(&scene, peer, server);
}
