/*
 * Servers on UNIX sockets: which paths are taken, which are refused untouched, who may connect, and that a name goes with its server.
 *
 * The loop hardly runs: servers are made, and connected to through the backlog, by the preparing thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/oom.h"
#include "tests/support/test.h"

#include "lib/task/job.h"
#include "lib/task/task.h"
#include "weft/loop.h"
#include "weft/protocol.h"
#include "weft/server.h"

enum { PATH_MAX_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path), NOBODY = 65534 };

static char folder[] = "/tmp/weft-unix-XXXXXX";
static char path[PATH_MAX_BYTES + 8];
static struct weft_loop *loop;

static const struct weft_protocol_ops ops = {.size = sizeof(ops)};
static struct weft_protocol protocol = {.ops = &ops};

static int protocol_get(void *arg, struct weft_protocol **protocol_out)
{
    (void)arg;
    *protocol_out = &protocol;
    return 0;
}

/* The process's own folder, a path in it, and a loop. */
static void stage_open(void)
{
    CHECK(mkdtemp(folder) != NULL);
    CHECK_EQ(chmod(folder, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
}

/* Nothing may be left in the folder, nor elsewhere. */
static void stage_close(void)
{
    CHECK_EQ(registry_count(), 0);
    CHECK_EQ(jobs_live_count(), 0);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    CHECK_EQ(rmdir(folder), 0);
}

static int serve_at(const char *at, struct weft_server **server_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.path = at;
    return weft_loop_create_server(loop, protocol_get, NULL, &options, server_out);
}

static struct weft_server *serve(const char *at)
{
    struct weft_server *server;
    CHECK_EQ(serve_at(at, &server), 0);
    return server;
}

static void check_refused(const char *at, int status)
{
    struct weft_server *server = NULL;
    CHECK_EQ(serve_at(at, &server), status);
    CHECK(server == NULL);
}

static void close_server(struct weft_server *server)
{
    CHECK_EQ(weft_server_close(server), 0);
    weft_server_unref(server);
}

/* In which a descriptor that was closed goes. */
static void run_a_turn(void)
{
    CHECK_EQ(weft_loop_stop(loop), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
}

static int connect_status(const char *at)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(at);
    memcpy(un.sun_path, at, len);
    if (at[0] == '@')
        un.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    int status = connect(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0 ? 0 : -errno;
    close(fd);
    return status;
}

static bool exists(const char *at)
{
    struct stat stat;
    return lstat(at, &stat) == 0;
}

/* ---- lengths ------------------------------------------------------------------------------------------------------------------------ */

static void fill_path(size_t len)
{
    size_t have = strlen(path);
    memset(path + have, 'x', len - have);
    path[len] = '\0';
}

Test(unix_server, takes_the_longest_path_and_no_longer_one, .timeout = 5)
{
    stage_open();
    fill_path(PATH_MAX_BYTES - 1);
    struct weft_server *server = serve(path);
    CHECK(exists(path));
    CHECK_EQ(connect_status(path), 0);
    close_server(server);
    fill_path(PATH_MAX_BYTES);
    check_refused(path, -ENAMETOOLONG);
    fill_path(PATH_MAX_BYTES + 3);
    check_refused(path, -ENAMETOOLONG);
    check_refused("", -EINVAL);
    stage_close();
}

/* ---- abstract names ------------------------------------------------------------------------------------------------------------------- */

Test(unix_server, takes_an_abstract_name_which_is_nobody_elses_until_it_closes, .timeout = 5)
{
    char name[64];
    stage_open();
    (void)snprintf(name, sizeof(name), "@%s", folder);
    struct weft_server *server = serve(name);
    CHECK(!exists(name));
    CHECK_EQ(connect_status(name), 0);
    check_refused(name, -EADDRINUSE);
    close_server(server);
    run_a_turn();
    CHECK_EQ(connect_status(name), -ECONNREFUSED);
    close_server(serve(name));
    stage_close();
}

/* ---- what is there already ------------------------------------------------------------------------------------------------------------ */

static void leave_socket(const char *at)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(un.sun_path, at, strlen(at) + 1);
    CHECK_EQ(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    close(fd);
}

Test(unix_server, takes_the_place_of_a_socket_that_was_left_over, .timeout = 5)
{
    stage_open();
    leave_socket(path);
    CHECK_EQ(connect_status(path), -ECONNREFUSED);
    struct weft_server *server = serve(path);
    CHECK_EQ(connect_status(path), 0);
    close_server(server);
    stage_close();
}

/* As asyncio's: whether somebody still listens there is not asked. */
Test(unix_server, takes_the_place_of_a_server_that_lives_which_then_leaves_the_name_alone, .timeout = 5)
{
    stage_open();
    struct weft_server *first = serve(path), *second = serve(path);
    close_server(first);
    CHECK(exists(path));
    CHECK_EQ(connect_status(path), 0);
    close_server(second);
    CHECK(!exists(path));
    stage_close();
}

static void check_file_untouched(void)
{
    char text[8] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_EQ(read(fd, text, sizeof(text)), 4);
    CHECK_STR(text, "kept");
    close(fd);
}

Test(unix_server, refuses_a_path_that_is_a_file_and_leaves_it_as_it_is, .timeout = 5)
{
    stage_open();
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, "kept", 4), 4);
    close(fd);
    check_refused(path, -EADDRINUSE);
    check_file_untouched();
    CHECK_EQ(unlink(path), 0);
    stage_close();
}

Test(unix_server, refuses_a_folder_a_pipe_and_a_link, .timeout = 5)
{
    char target[sizeof(folder) + 16];
    stage_open();
    (void)snprintf(target, sizeof(target), "%s/target", folder);
    CHECK_EQ(mkdir(path, 0700), 0);
    check_refused(path, -EADDRINUSE);
    CHECK_EQ(rmdir(path), 0);
    CHECK_EQ(mkfifo(path, 0600), 0);
    check_refused(path, -EADDRINUSE);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(symlink(target, path), 0); /* to nothing */
    check_refused(path, -EADDRINUSE);
    leave_socket(target); /* and to a socket: neither is removed */
    check_refused(path, -EADDRINUSE);
    CHECK(exists(path) && exists(target));
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(unlink(target), 0);
    stage_close();
}

Test(unix_server, refuses_a_folder_that_is_none, .timeout = 5)
{
    char below[sizeof(path) + 8];
    stage_open();
    (void)snprintf(below, sizeof(below), "%s/below", path);
    check_refused(below, -ENOENT);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    check_refused(below, -ENOTDIR);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(symlink(path, path), 0);
    check_refused(below, -ELOOP);
    CHECK_EQ(unlink(path), 0);
    stage_close();
}

/* ---- permissions ------------------------------------------------------------------------------------------------------------------------ */

static int refused_in_child(void)
{
    struct weft_server *server;
    if (weft_loop_new(NULL, 0, &loop) < 0) /* the parent's is not for a child */
        return 3;
    return serve_at(path, &server) == -EACCES ? 0 : 1;
}

static int forbidden_in_child(void)
{
    return connect_status(path) == -EACCES ? 0 : 1;
}

/* In a process of somebody who is not root. */
static void check_as_nobody(int (*body)(void))
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (getuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
            _exit(2);
        _exit(body());
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

Test(unix_server, is_refused_where_its_user_may_not_write, .timeout = 5)
{
    stage_open();
    CHECK_EQ(chmod(folder, 0555), 0);
    check_as_nobody(refused_in_child);
    CHECK_EQ(chmod(folder, 0700), 0);
    CHECK(!exists(path));
    stage_close();
}

/* The file has the mode that the process's mask leaves, as asyncio's: who wants less sets the mask, or the folder's mode. */
Test(unix_server, has_the_mode_that_the_mask_leaves, .timeout = 5)
{
    static const mode_t masks[] = {0022, 0077, 0117, 0};
    stage_open();
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        struct stat stat;
        mode_t before = umask(masks[i]);
        struct weft_server *server = serve(path);
        (void)umask(before);
        CHECK_EQ(lstat(path, &stat), 0);
        CHECK(S_ISSOCK(stat.st_mode));
        CHECK_EQ(stat.st_mode & 0777, 0777 & ~masks[i]);
        close_server(server);
    }
    stage_close();
}

Test(unix_server, lets_only_those_connect_whom_the_mode_lets, .timeout = 5)
{
    stage_open();
    mode_t before = umask(0077);
    struct weft_server *server = serve(path);
    (void)umask(before);
    CHECK_EQ(chmod(path, getuid() == 0 ? 0600 : 0), 0);
    check_as_nobody(forbidden_in_child);
    close_server(server);
    stage_close();
}

/* ---- the name's end ----------------------------------------------------------------------------------------------------------------------- */

Test(unix_server, takes_its_name_along_however_it_ends, .timeout = 5)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *idle;
    char other[sizeof(path) + 8];
    stage_open();
    (void)snprintf(other, sizeof(other), "%s-idle", path);
    options.path = other;
    options.flags = WEFT_SERVER_NO_START;
    CHECK_EQ(weft_loop_create_server(loop, protocol_get, NULL, &options, &idle), 0);
    CHECK(exists(other));
    close_server(idle); /* without having listened */
    CHECK(!exists(other));
    weft_server_unref(serve(path));
    CHECK(exists(path));
    stage_close(); /* with its loop */
}

Test(unix_server, minds_not_if_its_name_is_gone_or_moved, .timeout = 5)
{
    char elsewhere[sizeof(path) + 8];
    stage_open();
    struct weft_server *server = serve(path);
    CHECK_EQ(unlink(path), 0);
    close_server(server);
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s-moved", path);
    server = serve(path);
    CHECK_EQ(rename(path, elsewhere), 0);
    leave_socket(path);
    close_server(server);
    CHECK(exists(path) && exists(elsewhere)); /* neither is what it has made there */
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(unlink(elsewhere), 0);
    stage_close();
}

Test(unix_server, that_runs_out_of_memory_leaves_no_name, .timeout = 10)
{
    oom_install();
    stage_open();
    bool was_refused = true;
    for (uint64_t nth = 1; was_refused; nth++) {
        struct weft_server *server = NULL;
        oom_start(nth);
        int status = serve_at(path, &server);
        was_refused = oom_stop();
        CHECK(status == 0 || (status == -ENOMEM && was_refused)); /* without memory to accept with it tries again later */
        CHECK_EQ(exists(path), status == 0);
        if (status == 0)
            close_server(server);
        run_a_turn();
    }
    stage_close();
}
