/*
 * Alarms: see the header. Called by the mains of those who have timers.
 */
#include "bench/kit/alarms.h"

enum { MANY = 1000000, MANY_QUICK = 50000, FEW = 1000, FEW_ROUNDS = 200, FEW_EXPIRE_ROUNDS = 20, LEAP = 7919 };

#define HOUR_NS     UINT64_C(3600000000000)
#define FAR_NS      UINT64_C(1000000000000) /* deadlines of those that do not fire: within so much, an hour from now */
#define MANY_DUE_NS UINT64_C(500000000)     /* of those that fire */
#define FEW_DUE_NS  UINT64_C(10000000)

static const struct alarms *alarms;
static uint64_t seed;
static int fired, count;

bool alarms_fired(void)
{
    return ++fired == count;
}

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int leap(int i)
{
    return (int)((int64_t)i * LEAP % count);
}

static void insert(void)
{
    for (int i = 0; i < count; i++)
        alarms->set(i, HOUR_NS + draw() % FAR_NS);
}

static void rearm(void)
{
    for (int i = 0; i < count; i++)
        alarms->set(leap(i), HOUR_NS + draw() % FAR_NS);
}

static void cancel(void)
{
    for (int i = 0; i < count; i++)
        alarms->cancel(leap(i));
}

static void insert_due(void)
{
    uint64_t within_ns = count == FEW ? FEW_DUE_NS : MANY_DUE_NS, until_ns = within_ns * 11 / 10;
    fired = 0;
    alarms->now();
    uint64_t start_ns = kit_clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++)
        alarms->set(i, draw() % within_ns);
    while (kit_clock_ns(CLOCK_MONOTONIC) - start_ns < until_ns)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void run(void)
{
    alarms->run();
}

static void nothing(void)
{
}

/* What is measured, and what comes before and after; so many times when they are few. */
struct phase {
    bool are_few;
    int rounds;
    void (*before)(void);
    void (*measured)(void);
    void (*after)(void);
};

static void measure(struct kit *kit)
{
    const struct phase *phase = kit->arg;
    int rounds = !phase->are_few ? 1 : kit->is_quick ? 2 : phase->rounds;
    uint64_t spent_ns = 0;
    count = phase->are_few ? FEW : kit->is_quick ? MANY_QUICK : MANY;
    seed = UINT64_C(88172645463325252);
    alarms->open(count);
    for (int round = -1; round < rounds; round++) {
        alarms->now();
        phase->before();
        uint64_t start_ns = kit_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        phase->measured();
        spent_ns += round < 0 ? 0 : kit_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns; /* the first one warms up */
        phase->after();
    }
    kit_figure(kit, NULL, "ns", (double)spent_ns / rounds / count);
}

static void run_phase(struct kit *kit)
{
    if (alarms->within == NULL)
        measure(kit);
    else
        alarms->within(kit, measure);
}

int alarms_main(int argc, char **argv, const char *who, const struct alarms *brought)
{
    static const struct phase insert_many = {false, 1, nothing, insert, cancel}, insert_few = {true, FEW_ROUNDS, nothing, insert, cancel};
    static const struct phase cancel_many = {false, 1, insert, cancel, nothing}, cancel_few = {true, FEW_ROUNDS, insert, cancel, nothing};
    static const struct phase rearm_many = {false, 1, insert, rearm, cancel}, rearm_few = {true, FEW_ROUNDS, insert, rearm, cancel};
    static const struct phase expire_many = {false, 1, insert_due, run, nothing},
                              expire_few = {true, FEW_EXPIRE_ROUNDS, insert_due, run, nothing};
    static const struct kit_case cases[] = {
        {"timers", "insert", run_phase, &insert_many, 1}, {"timers", "insert_1000", run_phase, &insert_few, 1},
        {"timers", "cancel", run_phase, &cancel_many, 1}, {"timers", "cancel_1000", run_phase, &cancel_few, 1},
        {"timers", "rearm", run_phase, &rearm_many, 1},   {"timers", "rearm_1000", run_phase, &rearm_few, 1},
        {"timers", "expire", run_phase, &expire_many, 1}, {"timers", "expire_1000", run_phase, &expire_few, 1},
    };
    alarms = brought;
    return kit_main(argc, argv, who, cases, sizeof(cases) / sizeof(cases[0]));
}
