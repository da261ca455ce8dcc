/*
 * Litmus: does the checker itself know what C11 allows? Small programs whose outcomes are known: every outcome that the standard allows
 * (and that README.md does not say is left out) must come up, and no other. Then programs with one mistake each, which must be found.
 *
 * After Alglave, Maranget and Tautschnig, Herding Cats (2014); Batty and others, Mathematizing C++ Concurrency (2011); Lahav and others,
 * Repairing Sequential Consistency in C/C++11 (2017).
 */
#include <stdio.h>
#include <string.h>

#include "tests/model/engine.h"
#include "weft/atomic.h"

static uint32_t x, y, z;
static uint32_t a, b, c, d;
static uint32_t data;
static struct model_token token;
static uint32_t *block;

static void show_two(void)
{
    model_outcome("%u%u", a, b);
}

static void show_three(void)
{
    model_outcome("%u%u%u", a, b, c);
}

static void show_four(void)
{
    model_outcome("%u%u%u%u", a, b, c, d);
}

/* ---- store buffering ------------------------------------------------------------------------------------------------------------------ */

#define STORE_BUFFER(name, store, between, load)                                                                                           \
    static void name##_1(void)                                                                                                             \
    {                                                                                                                                      \
        store(&x, 1);                                                                                                                      \
        between;                                                                                                                           \
        a = load(&y);                                                                                                                      \
    }                                                                                                                                      \
    static void name##_2(void)                                                                                                             \
    {                                                                                                                                      \
        store(&y, 1);                                                                                                                      \
        between;                                                                                                                           \
        b = load(&x);                                                                                                                      \
    }

STORE_BUFFER(sb_relaxed, weft_atomic_store_relaxed, (void)0, weft_atomic_load_relaxed)
STORE_BUFFER(sb_acquire, weft_atomic_store_release, (void)0, weft_atomic_load_acquire)
STORE_BUFFER(sb_seq_cst, weft_atomic_store_seq_cst, (void)0, weft_atomic_load_seq_cst)
STORE_BUFFER(sb_fence, weft_atomic_store_relaxed, weft_atomic_fence_seq_cst(), weft_atomic_load_relaxed)

/* A seq_cst load alone does not do it: the store before it may pass. */
STORE_BUFFER(sb_half, weft_atomic_store_relaxed, (void)0, weft_atomic_load_seq_cst)

/* Dekker with one fence, on one side only. */
static void dekker_1(void)
{
    weft_atomic_store_relaxed(&x, 1);
    weft_atomic_fence_seq_cst();
    a = weft_atomic_load_relaxed(&y);
}

static void dekker_2(void)
{
    weft_atomic_store_relaxed(&y, 1);
    b = weft_atomic_load_relaxed(&x);
}

/* A fence on one side, seq_cst accesses on the other: 29.3 p4 and p5. */
static void mixed_2(void)
{
    weft_atomic_store_seq_cst(&y, 1);
    b = weft_atomic_load_seq_cst(&x);
}

/* A read-modify-write on the other side's word, instead of a fence: it reads the newest. */
static void rmw_1(void)
{
    weft_atomic_store_relaxed(&x, 1);
    a = weft_atomic_add_acq_rel(&y, 0);
}

static void rmw_2(void)
{
    (void)weft_atomic_add_acq_rel(&y, 1);
    b = weft_atomic_load_relaxed(&x);
}

/* ---- message passing ------------------------------------------------------------------------------------------------------------------ */

static void mp_release(void)
{
    weft_atomic_store_relaxed(&x, 1);
    weft_atomic_store_release(&y, 1);
}

static void mp_relaxed(void)
{
    weft_atomic_store_relaxed(&x, 1);
    weft_atomic_store_relaxed(&y, 1);
}

static void mp_fence(void)
{
    weft_atomic_store_relaxed(&x, 1);
    weft_atomic_fence_seq_cst();
    weft_atomic_store_relaxed(&y, 1);
}

static void mp_read_acquire(void)
{
    a = weft_atomic_load_acquire(&y);
    b = weft_atomic_load_relaxed(&x);
}

static void mp_read_relaxed(void)
{
    a = weft_atomic_load_relaxed(&y);
    b = weft_atomic_load_relaxed(&x);
}

static void mp_read_fence(void)
{
    a = weft_atomic_load_relaxed(&y);
    weft_atomic_fence_seq_cst();
    b = weft_atomic_load_relaxed(&x);
}

/* A release sequence: somebody else's relaxed read-modify-write hands it on … */
static void mp_pass_on(void)
{
    c = weft_atomic_add_relaxed(&y, 1);
}

/* … and somebody else's relaxed store does not. */
static void mp_overwrite(void)
{
    weft_atomic_store_relaxed(&y, 2);
}

/* Two hops: what is seen is handed on. */
static void wrc_2(void)
{
    if (weft_atomic_load_acquire(&x) == 1)
        weft_atomic_store_release(&y, 1);
}

static void wrc_1(void)
{
    weft_atomic_store_relaxed(&x, 1);
}

/* ---- load buffering, coherence, 2+2W, IRIW --------------------------------------------------------------------------------------------- */

static void lb_1(void)
{
    a = weft_atomic_load_relaxed(&x);
    weft_atomic_store_relaxed(&y, 1);
}

static void lb_2(void)
{
    b = weft_atomic_load_relaxed(&y);
    weft_atomic_store_relaxed(&x, 1);
}

static void co_write(void)
{
    weft_atomic_store_relaxed(&x, 1);
    weft_atomic_store_relaxed(&x, 2);
}

static void co_read(void)
{
    a = weft_atomic_load_relaxed(&x);
    b = weft_atomic_load_relaxed(&x);
}

/* A thread does not see less than what it stored, nor less than who it synchronised with had read. */
static void co_write_read(void)
{
    weft_atomic_store_relaxed(&x, 1);
    a = weft_atomic_load_relaxed(&x);
}

static void co_other_write(void)
{
    weft_atomic_store_relaxed(&x, 2);
    b = weft_atomic_load_relaxed(&x);
}

/* What a thread stores last stays before what it stored first, whoever else stores. */
static void co_third_write(void)
{
    weft_atomic_store_relaxed(&x, 3);
}

static void show_x(void)
{
    model_outcome("%u", weft_atomic_load_relaxed(&x));
}

/* A load does not see the store that follows it, and that one comes after what was seen. */
static void co_read_write(void)
{
    a = weft_atomic_load_relaxed(&x);
    weft_atomic_store_relaxed(&x, 1);
}

static void co_second_write(void)
{
    weft_atomic_store_relaxed(&x, 2);
}

static void show_one_and_x(void)
{
    model_outcome("%u%u", a, weft_atomic_load_relaxed(&x));
}

static void corr_reader(void)
{
    a = weft_atomic_load_relaxed(&x);
    weft_atomic_store_release(&y, 1);
}

static void corr_follower(void)
{
    b = weft_atomic_load_acquire(&y);
    c = weft_atomic_load_relaxed(&x);
}

/* Two words that both store to, in opposite order: which stores are the last? */
static void two_w_1(void)
{
    weft_atomic_store_relaxed(&x, 1);
    weft_atomic_store_relaxed(&y, 2);
}

static void two_w_2(void)
{
    weft_atomic_store_relaxed(&y, 1);
    weft_atomic_store_relaxed(&x, 2);
}

static void two_w_1_seq(void)
{
    weft_atomic_store_seq_cst(&x, 1);
    weft_atomic_store_seq_cst(&y, 2);
}

static void two_w_2_seq(void)
{
    weft_atomic_store_seq_cst(&y, 1);
    weft_atomic_store_seq_cst(&x, 2);
}

static void show_x_and_y(void)
{
    model_outcome("%u%u", weft_atomic_load_relaxed(&x), weft_atomic_load_relaxed(&y));
}

static void iriw_x(void)
{
    weft_atomic_store_release(&x, 1);
}

static void iriw_y(void)
{
    weft_atomic_store_release(&y, 1);
}

static void iriw_x_seq(void)
{
    weft_atomic_store_seq_cst(&x, 1);
}

static void iriw_y_seq(void)
{
    weft_atomic_store_seq_cst(&y, 1);
}

static void iriw_read_xy(void)
{
    a = weft_atomic_load_acquire(&x);
    b = weft_atomic_load_acquire(&y);
}

static void iriw_read_yx(void)
{
    c = weft_atomic_load_acquire(&y);
    d = weft_atomic_load_acquire(&x);
}

static void iriw_read_xy_seq(void)
{
    a = weft_atomic_load_seq_cst(&x);
    b = weft_atomic_load_seq_cst(&y);
}

static void iriw_read_yx_seq(void)
{
    c = weft_atomic_load_seq_cst(&y);
    d = weft_atomic_load_seq_cst(&x);
}

static void iriw_read_xy_fence(void)
{
    a = weft_atomic_load_relaxed(&x);
    weft_atomic_fence_seq_cst();
    b = weft_atomic_load_relaxed(&y);
}

static void iriw_read_yx_fence(void)
{
    c = weft_atomic_load_relaxed(&y);
    weft_atomic_fence_seq_cst();
    d = weft_atomic_load_relaxed(&x);
}

/* ---- compare and swap ----------------------------------------------------------------------------------------------------------------- */

static void count_1(void)
{
    (void)weft_atomic_add_relaxed(&x, 1);
    a = 1;
}

static void count_2(void)
{
    uint32_t seen = 0;
    b = weft_atomic_cas_relaxed(&x, &seen, 5);
}

static void show_count(void)
{
    model_outcome("%u%u", b, weft_atomic_load_relaxed(&x));
}

/* A compare-and-swap that fails may do so on an old value. */
static void cas_stale(void)
{
    uint32_t seen = 7;
    (void)weft_atomic_cas_relaxed(&x, &seen, 9);
    a = seen;
}

static void show_one(void)
{
    model_outcome("%u", a);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------------ */

enum { OUTCOMES_MAX = 17 };

struct litmus {
    struct model model;
    const char *outcomes[OUTCOMES_MAX]; /* exactly these */
};

static const struct litmus litmus[] = {
    {{.name = "SB relaxed", .threads = {sb_relaxed_1, sb_relaxed_2}, .check = show_two}, {"00", "01", "10", "11"}},
    {{.name = "SB release acquire", .threads = {sb_acquire_1, sb_acquire_2}, .check = show_two}, {"00", "01", "10", "11"}},
    {{.name = "SB seq_cst", .threads = {sb_seq_cst_1, sb_seq_cst_2}, .check = show_two}, {"01", "10", "11"}},
    {{.name = "SB with fences (Dekker)", .threads = {sb_fence_1, sb_fence_2}, .check = show_two}, {"01", "10", "11"}},
    {{.name = "SB with seq_cst loads alone", .threads = {sb_half_1, sb_half_2}, .check = show_two}, {"00", "01", "10", "11"}},
    {{.name = "Dekker with one fence", .threads = {dekker_1, dekker_2}, .check = show_two}, {"00", "01", "10", "11"}},
    {{.name = "Dekker with a fence and seq_cst accesses", .threads = {dekker_1, mixed_2}, .check = show_two}, {"01", "10", "11"}},
    {{.name = "SB with read-modify-writes of one word", .threads = {rmw_1, rmw_2}, .check = show_two}, {"01", "10", "11"}},
    {{.name = "MP release acquire", .threads = {mp_release, mp_read_acquire}, .check = show_two}, {"00", "01", "11"}},
    {{.name = "MP relaxed store", .threads = {mp_relaxed, mp_read_acquire}, .check = show_two}, {"00", "01", "10", "11"}},
    {{.name = "MP relaxed load", .threads = {mp_release, mp_read_relaxed}, .check = show_two}, {"00", "01", "10", "11"}},
    {{.name = "MP fences", .threads = {mp_fence, mp_read_fence}, .check = show_two}, {"00", "01", "11"}},
    {{.name = "MP fence and acquire", .threads = {mp_fence, mp_read_acquire}, .check = show_two}, {"00", "01", "11"}},
    {{.name = "MP release and fence", .threads = {mp_release, mp_read_fence}, .check = show_two}, {"00", "01", "11"}},
    {{.name = "MP through a relaxed read-modify-write", .threads = {mp_release, mp_pass_on, mp_read_acquire}, .check = show_three},
     {"000", "001", "010", "011", "100", "110", "111", "211"}},
    {{.name = "MP overwritten", .threads = {mp_release, mp_overwrite, mp_read_acquire}, .check = show_two}, {"00", "01", "11", "20", "21"}},
    {{.name = "WRC release acquire", .threads = {wrc_1, wrc_2, mp_read_acquire}, .check = show_two}, {"00", "01", "11"}},
    {{.name = "LB relaxed, of which 11 is left out", .threads = {lb_1, lb_2}, .check = show_two}, {"00", "01", "10"}},
    {{.name = "CoRR", .threads = {co_write, co_read}, .check = show_two}, {"00", "01", "02", "11", "12", "22"}},
    {{.name = "CoWR", .threads = {co_write_read, co_other_write}, .check = show_two}, {"11", "12", "22"}},
    {{.name = "CoRR through synchronisation", .threads = {wrc_1, corr_reader, corr_follower}, .check = show_three},
     {"000", "001", "010", "011", "100", "101", "111"}},
    {{.name = "CoWW", .threads = {co_write, co_third_write}, .check = show_x}, {"2", "3"}},
    {{.name = "CoRW", .threads = {co_read_write, co_second_write}, .check = show_one_and_x}, {"01", "02", "21"}},
    {{.name = "2+2W relaxed, of which 11 is left out", .threads = {two_w_1, two_w_2}, .check = show_x_and_y}, {"12", "21", "22"}},
    {{.name = "2+2W seq_cst", .threads = {two_w_1_seq, two_w_2_seq}, .check = show_x_and_y}, {"12", "21", "22"}},
    {{.name = "IRIW release acquire", .threads = {iriw_x, iriw_y, iriw_read_xy, iriw_read_yx}, .check = show_four},
     {"0000", "0001", "0010", "0011", "0100", "0101", "0110", "0111", "1000", "1001", "1010", "1011", "1100", "1101", "1110", "1111"}},
    {{.name = "IRIW seq_cst", .threads = {iriw_x_seq, iriw_y_seq, iriw_read_xy_seq, iriw_read_yx_seq}, .check = show_four},
     {"0000", "0001", "0010", "0011", "0100", "0101", "0110", "0111", "1000", "1001", "1011", "1100", "1101", "1110", "1111"}},
    {{.name = "IRIW with fences", .threads = {iriw_x, iriw_y, iriw_read_xy_fence, iriw_read_yx_fence}, .check = show_four},
     {"0000", "0001", "0010", "0011", "0100", "0101", "0110", "0111", "1000", "1001", "1011", "1100", "1101", "1110", "1111"}},
    {{.name = "a strong compare-and-swap", .threads = {count_1, count_2}, .check = show_count}, {"01", "16"}},
    {{.name = "a compare-and-swap that fails", .threads = {co_write, cas_stale}, .check = show_one}, {"0", "1", "2"}},
};

/* ---- mistakes ------------------------------------------------------------------------------------------------------------------------- */

static void race_write(void)
{
    data = 1;
    weft_atomic_store_relaxed(&y, 1);
}

static void race_read(void)
{
    if (weft_atomic_load_acquire(&y) == 1)
        a = data;
}

static void plain_against_atomic(void)
{
    x = 3;
}

static void atomic_against_plain(void)
{
    (void)weft_atomic_load_relaxed(&x);
}

static void block_setup(void)
{
    block = model_malloc(sizeof(*block));
    weft_atomic_store_relaxed(block, 0);
}

static void block_use(void)
{
    if (weft_atomic_load_acquire(&y) == 0)
        (void)weft_atomic_add_relaxed(block, 1);
}

static void block_end(void)
{
    weft_atomic_store_release(&y, 1);
    model_free(block);
}

static void block_use_late(void)
{
    if (weft_atomic_load_acquire(&y) == 1)
        (void)weft_atomic_load_relaxed(block);
}

static void block_free_first(void)
{
    model_free(block);
    weft_atomic_store_release(&y, 1);
}

static void block_end_twice(void)
{
    if (weft_atomic_add_relaxed(&z, 1) == 0 || weft_atomic_load_relaxed(&x) == 0)
        model_free(block);
}

static void sleeper(void)
{
    if (weft_atomic_load_relaxed(&x) == 0)
        model_wait(&token);
}

/* It looks whether somebody sleeps before it says that there is something. */
static void waker_swapped(void)
{
    uint32_t is_asleep = weft_atomic_load_relaxed(&y);
    weft_atomic_store_relaxed(&x, 1);
    if (is_asleep)
        model_signal(&token);
}

static void sleeper_says_so(void)
{
    weft_atomic_store_relaxed(&y, 1);
    sleeper();
}

static void lost_update(void)
{
    uint32_t seen = weft_atomic_load_relaxed(&x);
    weft_atomic_store_relaxed(&x, seen + 1);
}

static void check_two_updates(void)
{
    MODEL_CHECK(weft_atomic_load_relaxed(&x) == 2);
}

static void spin_for_ever(void)
{
    while (weft_atomic_load_relaxed(&z) == 0)
        weft_atomic_pause();
}

static void nothing(void)
{
}

struct mistake {
    struct model model;
    const char *found; /* is in what is said of it */
};

static const struct mistake mistakes[] = {
    {{.name = "a message without release", .threads = {race_write, race_read}}, "data race"},
    {{.name = "a plain store of an atomic word", .threads = {plain_against_atomic, atomic_against_plain}}, "data race"},
    {{.name = "a free that others do not wait for", .setup = block_setup, .threads = {block_use, block_end}}, "race"},
    {{.name = "a use that others wait for before", .setup = block_setup, .threads = {block_use_late, block_free_first}}, "use after free"},
    {{.name = "two who free", .setup = block_setup, .threads = {block_end_twice, block_end_twice}}, "double free"},
    {{.name = "nobody who frees", .setup = block_setup, .threads = {nothing, nothing}}, "never freed"},
    {{.name = "look, then say", .threads = {sleeper_says_so, waker_swapped}}, "lost wake-up"},
    {{.name = "Dekker's sleeper without a fence", .threads = {sleeper_says_so, waker_swapped}, .bound = 2}, "lost wake-up"},
    {{.name = "an update in two steps", .threads = {lost_update, lost_update}, .check = check_two_updates}, "MODEL_CHECK"},
    {{.name = "a spin that nobody ends", .threads = {spin_for_ever, nothing}}, "spins"},
    {{.name = "found by chance too", .threads = {lost_update, lost_update}, .check = check_two_updates, .bound = -1, .random_runs = 1000},
     "MODEL_CHECK"},
};

/* ---- running them --------------------------------------------------------------------------------------------------------------------- */

static size_t count_expected(const struct litmus *test)
{
    size_t count = 0;
    for (size_t i = 0; i < OUTCOMES_MAX && test->outcomes[i] != NULL; i++) {
        bool is_first = true;
        for (size_t before = 0; before < i; before++)
            is_first = is_first && strcmp(test->outcomes[before], test->outcomes[i]) != 0;
        count += is_first;
    }
    return count;
}

static size_t count_seen(const struct litmus *test)
{
    size_t count = 0;
    for (size_t i = 0; i < OUTCOMES_MAX && test->outcomes[i] != NULL; i++) {
        bool is_first = true;
        for (size_t before = 0; before < i; before++)
            is_first = is_first && strcmp(test->outcomes[before], test->outcomes[i]) != 0;
        count += is_first && report_has_outcome(test->outcomes[i]);
    }
    return count;
}

/* `must_see_all`: chance and bounds may miss some, but show none that is forbidden. */
static bool run_litmus(const struct litmus *test, const char *how, int bound, uint64_t random_runs, bool must_see_all)
{
    struct model model = test->model;
    model.bound = bound;
    model.random_runs = random_runs;
    report_outcomes_reset();
    struct search_result result = search_model(&model, 0, 1, 1);
    size_t seen = count_seen(test), all = report_outcome_count();
    bool is_ok = result.end == RUN_PASSED && seen == all && (!must_see_all || seen == count_expected(test));
    printf("%s %s, %s: %zu of %zu outcomes, %zu others, %llu runs\n", is_ok ? "ok  " : "FAIL", model.name, how, seen, count_expected(test),
           all - seen, (unsigned long long)(result.runs - result.pruned));
    if (!is_ok)
        report_outcomes();
    return is_ok;
}

/* The path of the last run leads to the same end again. */
static bool is_replayed(unsigned char *path)
{
    char failure[sizeof(engine->failure)];
    memcpy(failure, engine->failure, sizeof(failure));
    engine->replay = path;
    engine->replay_count = search_path(path, NODES_MAX);
    engine->mode = SEARCH_REPLAY;
    return run_once() == RUN_FAILED && strcmp(engine->failure, failure) == 0;
}

static bool run_mistake(const struct mistake *mistake, unsigned char *path)
{
    struct search_result result = search_model(&mistake->model, 0, 1, 1);
    bool is_found = result.end == RUN_FAILED && strstr(engine->failure, mistake->found) != NULL, is_again = is_found && is_replayed(path);
    printf("%s %s: %s%s\n", is_again ? "ok  " : "FAIL", mistake->model.name, result.end == RUN_FAILED ? engine->failure : "not found",
           is_found && !is_again ? ", but not again by its path" : "");
    return is_again;
}

int main(void)
{
    int passed = 0, failed = 0;
    run_init();
    unsigned char *path = model_kept(NODES_MAX);
    run_remember();
    for (size_t i = 0; i < sizeof(litmus) / sizeof(litmus[0]); i++) {
        bool is_ok = run_litmus(&litmus[i], "all", 0, 0, true);
        is_ok = run_litmus(&litmus[i], "within a bound of 3", 4, 0, false) && is_ok;
        is_ok = run_litmus(&litmus[i], "by chance", -1, 2000, false) && is_ok;
        passed += is_ok;
        failed += !is_ok;
    }
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        bool is_ok = run_mistake(&mistakes[i], path);
        passed += is_ok;
        failed += !is_ok;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
