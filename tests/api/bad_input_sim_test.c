/*
 * Bad input to simulated worlds, hosts and links. What is asked of every call is said in bad_input.h.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tests/api/bad_input.h"
#include "weft/loop.h"
#include "weft/sim.h"

static void do_nothing(void *arg)
{
    (void)arg;
}

static struct weft_sim_host *host_of(struct weft_sim *sim)
{
    struct weft_sim_host *host;
    CHECK_EQ(weft_sim_host_create(sim, NULL, &host), 0);
    return host;
}

Test(bad_input, of_worlds, .timeout = 5)
{
    struct weft_sim_options options = WEFT_SIM_OPTIONS;
    struct weft_sim_counters counters;
    struct weft_sim *sim;
    oom_install();
    SAYS(-EINVAL, weft_sim_create(NULL, NULL));
    options.late_permille = 901;
    SAYS(-EINVAL, weft_sim_create(&options, &sim));
    options = (struct weft_sim_options)WEFT_SIM_OPTIONS;
    options.size = sizeof(size_t);
    SAYS(-EINVAL, weft_sim_create(&options, &sim));
    IGNORES(weft_sim_destroy(NULL));
    DENIES(weft_sim_now(NULL));
    DENIES(weft_sim_trace_hash(NULL));
    CHECK_EQ(weft_sim_create(NULL, &sim), 0);
    SAYS(-EINVAL, weft_sim_run(NULL, NULL, NULL, 0));
    SAYS(-EDEADLK, weft_sim_run(sim, NULL, NULL, -1));
    SAYS(-EINVAL, weft_sim_call_later(NULL, 0, do_nothing, NULL));
    SAYS(-EINVAL, weft_sim_call_later(sim, 0, NULL, NULL));
    SAYS(-EINVAL, weft_sim_call_later(sim, UINT64_MAX, do_nothing, NULL));
    SAYS(-EINVAL, weft_sim_leap(NULL, 0));
    SAYS(-EINVAL, weft_sim_leap(sim, UINT64_MAX));
    SAYS(-EINVAL, weft_sim_note(NULL, ""));
    SAYS(-EINVAL, weft_sim_note(sim, NULL));
    SAYS(-EINVAL, weft_sim_get_counters(NULL, &counters));
    SAYS(-EINVAL, weft_sim_get_counters(sim, NULL));
    weft_sim_destroy(sim);
    CHECK_EQ(oom_live(), 0);
}

Test(bad_input, of_hosts, .timeout = 5)
{
    struct weft_sim_host_options options = WEFT_SIM_HOST_OPTIONS;
    struct weft_sim_faults faults = WEFT_SIM_FAULTS;
    struct weft_sim_host *host;
    struct weft_sim *sim;
    char name[100];
    oom_install();
    CHECK_EQ(weft_sim_create(NULL, &sim), 0);
    SAYS(-EINVAL, weft_sim_host_create(NULL, NULL, &host));
    SAYS(-EINVAL, weft_sim_host_create(sim, NULL, NULL));
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    options.name = name;
    SAYS(-EINVAL, weft_sim_host_create(sim, &options, &host));
    options.name = "";
    SAYS(-EINVAL, weft_sim_host_create(sim, &options, &host));
    options = (struct weft_sim_host_options){.size = sizeof(options), .address6 = "10.0.0.1"};
    SAYS(-EINVAL, weft_sim_host_create(sim, &options, &host));
    host = host_of(sim);
    DENIES(weft_sim_host_find(NULL, "host1"));
    DENIES(weft_sim_host_find(sim, NULL));
    DENIES(weft_sim_host_name(NULL));
    DENIES(weft_sim_host_enter(NULL));
    DENIES(weft_sim_host_poller(NULL));
    DENIES(weft_sim_host_wall(NULL));
    DENIES(weft_sim_host_descriptors(NULL));
    SAYS(-EINVAL, weft_sim_host_jump(NULL, 0));
    SAYS(-EINVAL, weft_sim_host_pause(NULL, 0));
    SAYS(-EINVAL, weft_sim_host_pause(host, UINT64_MAX));
    SAYS(-EINVAL, weft_sim_host_crash(NULL));
    SAYS(-EINVAL, weft_sim_host_restart(NULL));
    SAYS(-EALREADY, weft_sim_host_restart(host));
    SAYS(-EINVAL, weft_sim_host_set_faults(NULL, &faults));
    faults.size = 0;
    SAYS(-EINVAL, weft_sim_host_set_faults(host, &faults));
    weft_sim_destroy(sim);
    CHECK_EQ(oom_live(), 0);
}

Test(bad_input, of_links, .timeout = 5)
{
    struct weft_sim_link link = WEFT_SIM_LINK;
    struct weft_sim *sim, *elsewhere;
    oom_install();
    CHECK_EQ(weft_sim_create(NULL, &sim), 0);
    CHECK_EQ(weft_sim_create(NULL, &elsewhere), 0);
    struct weft_sim_host *host = host_of(sim);
    struct weft_sim_host *stranger = host_of(elsewhere);
    struct weft_sim_host *group[] = {host, stranger}, *hole[] = {NULL};
    SAYS(-EINVAL, weft_sim_set_link(NULL, NULL, NULL, &link));
    SAYS(-EINVAL, weft_sim_set_link(sim, host, stranger, &link));
    link.size = 0;
    SAYS(-EINVAL, weft_sim_set_link(sim, NULL, NULL, &link));
    SAYS(-EINVAL, weft_sim_cut(NULL, NULL, NULL));
    SAYS(-EINVAL, weft_sim_cut(sim, stranger, NULL));
    SAYS(-EINVAL, weft_sim_heal(NULL, NULL, NULL));
    SAYS(-EINVAL, weft_sim_heal(sim, NULL, stranger));
    SAYS(-EINVAL, weft_sim_partition(NULL, group, 1));
    SAYS(-EINVAL, weft_sim_partition(sim, NULL, 1));
    SAYS(-EINVAL, weft_sim_partition(sim, group, 2));
    SAYS(-EINVAL, weft_sim_partition(sim, hole, 1));
    SAYS(-EINVAL, weft_sim_reset(NULL, NULL, NULL));
    SAYS(-EINVAL, weft_sim_reset(sim, stranger, NULL));
    weft_sim_destroy(elsewhere);
    weft_sim_destroy(sim);
    CHECK_EQ(oom_live(), 0);
}

Test(bad_input, of_little_memory, .timeout = 5)
{
    oom_install();
    for (uint64_t n = 1;; n++) {
        struct weft_sim_host *host;
        struct weft_sim *sim = NULL;
        oom_start(n);
        int status = weft_sim_create(NULL, &sim);
        for (int i = 0; i < 3 && status == 0; i++)
            status = weft_sim_host_create(sim, NULL, &host);
        if (status == 0)
            status = weft_sim_call_later(sim, 1, do_nothing, NULL);
        if (status == 0 && weft_sim_run(sim, NULL, NULL, 0) == -ENOMEM)
            status = -ENOMEM;
        bool was_refused = oom_stop();
        weft_sim_destroy(sim);
        CHECK_EQ(oom_live(), 0);
        CHECK_EQ(status, was_refused ? -ENOMEM : 0);
        if (!was_refused)
            break;
    }
}
