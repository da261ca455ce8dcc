/*
 * How the handler of stack overflows shares its signals: with a handler from before, with one that comes after, with a thread's own signal
 * stack, with whoever sends the signals, and with a runtime's end.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/limits/overflow.h"

enum { EXIT_BEFORE = 42, EXIT_DONE = 43 };

static void say(const char *text)
{
    CHILD_CHECK(write(STDERR_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

static void set_handler(int number, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    CHILD_CHECK(sigaction(number, &action, NULL) == 0);
}

static bool is_handled_by(int number, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction action;
    CHILD_CHECK(sigaction(number, NULL, &action) == 0);
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == fn;
}

static int recurse(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return overflow_recurse(1);
}

/* ---- a handler from before ------------------------------------------------------------------------------------------------------------- */

static void end_here(int number, siginfo_t *info, void *context)
{
    sigset_t blocked;
    CHILD_CHECK(number == SIGSEGV && info->si_signo == SIGSEGV && info->si_addr != NULL && context != NULL);
    CHILD_CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, SIGUSR2) && sigismember(&blocked, SIGSEGV));
    say("before\n");
    _exit(EXIT_BEFORE);
}

static void chained_child(void *arg)
{
    (void)arg;
    set_handler(SIGSEGV, end_here, 0);
    overflow_run(1, WEFT_STACK_SMALL, recurse);
}

Test(overflow_chain, the_handler_from_before_is_called_next, .timeout = 60)
{
    struct child_end end = child_run(chained_child, NULL);
    child_check_exit(&end, EXIT_BEFORE);
    CHECK_EQ(child_count(&end, "weft: stack overflow in task "), 1);
    CHECK(strstr(end.text, "bytes\nbefore\n") != NULL);
}

static void end_plainly(int number)
{
    _exit(number == SIGSEGV ? EXIT_BEFORE : 1);
}

static void chained_plain_child(void *arg)
{
    (void)arg;
    CHILD_CHECK(signal(SIGSEGV, end_plainly) != SIG_ERR);
    overflow_run(1, WEFT_STACK_SMALL, recurse);
}

Test(overflow_chain, a_plain_handler_from_before_is_called_too, .timeout = 60)
{
    struct child_end end = child_run(chained_plain_child, NULL);
    child_check_exit(&end, EXIT_BEFORE);
}

/* Somebody who lives with faults: the fiber gives up, its task fails, and everything goes on, again and again. */
static _Thread_local sigjmp_buf way_out;

static void jump_out(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    siglongjmp(way_out, 1);
}

static int recurse_and_recover(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(way_out, 1) == 0)
            (void)overflow_recurse(1);
    return weft_yield();
}

static void recover_child(void *arg)
{
    (void)arg;
    set_handler(SIGSEGV, jump_out, 0);
    overflow_run(1, WEFT_STACK_SMALL, recurse_and_recover);
    CHILD_CHECK(is_handled_by(SIGSEGV, jump_out));
    _exit(EXIT_DONE);
}

Test(overflow_chain, a_handler_from_before_may_jump_out, .timeout = 60)
{
    struct child_end end = child_run(recover_child, NULL);
    child_check_exit(&end, EXIT_DONE);
    CHECK_EQ(child_count(&end, "weft: stack overflow in task "), 3);
}

static void ignored_child(void *arg)
{
    (void)arg;
    CHILD_CHECK(signal(SIGSEGV, SIG_IGN) != SIG_ERR);
    CHILD_CHECK(weft_stack_overflow_install(NULL, NULL) == 0);
    CHILD_CHECK(raise(SIGSEGV) == 0); /* was ignored, and is */
    say("ignored\n");
    overflow_run(1, WEFT_STACK_SMALL, recurse);
}

Test(overflow_chain, what_was_ignored_stays_so_but_for_faults, .timeout = 60)
{
    struct child_end end = child_run(ignored_child, NULL);
    overflow_check_told(&end, 64 << 10);
    CHECK_EQ(child_count(&end, "ignored\n"), 1);
}

/* ---- faults that are none -------------------------------------------------------------------------------------------------------------- */

static int raise_here(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return raise(SIGSEGV);
}

static void sent_child(void *arg)
{
    (void)arg;
    overflow_run(1, WEFT_STACK_SMALL, raise_here);
}

Test(overflow_chain, a_signal_that_was_sent_ends_the_process_untold, .timeout = 60)
{
    struct child_end end = child_run(sent_child, NULL);
    overflow_check_untold(&end);
}

/* A file that is shorter than its mapping. */
static int touch_missing_page(void *arg, void **result_out)
{
    FILE *file = tmpfile();
    (void)arg, (void)result_out;
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    return page[0];
}

static void bus_child(void *arg)
{
    (void)arg;
    overflow_run(1, WEFT_STACK_SMALL, touch_missing_page);
}

Test(overflow_chain, another_bus_error_ends_the_process_by_that, .timeout = 60)
{
    struct child_end end = child_run(bus_child, NULL);
    child_check_signal(&end, SIGBUS);
    CHECK_STR(end.text, "");
}

/* The guard of a stack that does not run here: somebody's wild pointer, and no overflow of this task. */
static int poke_main(void *arg, void **result_out)
{
    char here;
    struct weft_future *futures[2];
    (void)arg, (void)result_out;
    for (int i = 0; i < 2; i++) {
        CHILD_CHECK(weft_loop_create_future(weft_get_running_loop(), &futures[i]) == 0);
        CHILD_CHECK(weft_loop_create_fiber(weft_get_running_loop(), overflow_wait, futures[i], NULL) == 0);
    }
    CHILD_CHECK(weft_yield() == 0 && weft_yield() == 0);
    return *((volatile char *)((uintptr_t)&here / 4096 * 4096) + (160 << 10)); /* the second neighbour's guard */
}

static void poke_child(void *arg)
{
    (void)arg;
    overflow_run(1, WEFT_STACK_SMALL, poke_main);
}

Test(overflow_chain, a_wild_pointer_into_another_guard_is_untold, .timeout = 60)
{
    struct child_end end = child_run(poke_child, NULL);
    overflow_check_untold(&end);
}

/* ---- a handler of one's own ------------------------------------------------------------------------------------------------------------ */

static void hear(const struct weft_stack_overflow *overflow, void *arg)
{
    CHILD_CHECK(overflow->size == sizeof(*overflow) && overflow->stack_bytes == 1 << 20 && !overflow->is_above);
    CHILD_CHECK(overflow->task_name != NULL && strcmp(overflow->task_name, OVERFLOW_NAME) == 0 && overflow->task_id != 0);
    say(arg);
}

static void heard_child(void *arg)
{
    (void)arg;
    CHILD_CHECK(weft_stack_overflow_install(hear, "heard\n") == 0);
    CHILD_CHECK(weft_stack_overflow_install(hear, NULL) == -EBUSY);
    overflow_run(1, WEFT_STACK_MEDIUM, recurse);
}

Test(overflow_chain, a_callback_hears_what_a_line_would_say, .timeout = 60)
{
    struct child_end end = child_run(heard_child, NULL);
    child_check_signal(&end, SIGSEGV);
    CHECK_STR(end.text, "heard\n");
}

/* ---- ends ------------------------------------------------------------------------------------------------------------------------------ */

static void removed_child(void *arg)
{
    (void)arg;
    set_handler(SIGSEGV, end_here, 0);
    set_handler(SIGBUS, end_here, 0);
    CHILD_CHECK(weft_stack_overflow_install(NULL, NULL) == 0);
    CHILD_CHECK(!is_handled_by(SIGSEGV, end_here) && !is_handled_by(SIGBUS, end_here));
    overflow_run(2, WEFT_STACK_SMALL, overflow_nothing);
    CHILD_CHECK(!is_handled_by(SIGSEGV, end_here));
    weft_stack_overflow_remove();
    CHILD_CHECK(is_handled_by(SIGSEGV, end_here) && is_handled_by(SIGBUS, end_here));
    weft_stack_overflow_remove(); /* one too many: harmless */
    _exit(EXIT_DONE);
}

Test(overflow_chain, the_last_remove_puts_the_handlers_from_before_back, .timeout = 60)
{
    struct child_end end = child_run(removed_child, NULL);
    child_check_exit(&end, EXIT_DONE);
}

/* Ours below a later one, for good: a further install must not put us above it too, or the two call each other without an end. */
static struct sigaction below;

static void pass_down(int number, siginfo_t *info, void *context)
{
    say("above\n");
    below.sa_sigaction(number, info, context);
}

static void covered_child(void *arg)
{
    (void)arg;
    set_handler(SIGSEGV, end_here, 0);
    CHILD_CHECK(weft_stack_overflow_install(NULL, NULL) == 0);
    CHILD_CHECK(sigaction(SIGSEGV, NULL, &below) == 0);
    set_handler(SIGSEGV, pass_down, SA_ONSTACK);
    weft_stack_overflow_remove();
    CHILD_CHECK(is_handled_by(SIGSEGV, pass_down));
    overflow_run(1, WEFT_STACK_SMALL, recurse);
}

Test(overflow_chain, a_handler_that_came_later_stays_and_is_not_called_twice, .timeout = 60)
{
    struct child_end end = child_run(covered_child, NULL);
    child_check_exit(&end, EXIT_BEFORE);
    CHECK_EQ(child_count(&end, "above\n"), 1);
    CHECK_EQ(child_count(&end, "weft: stack overflow in task "), 1);
}

/* Who took his handler away did not put ours back: nothing is above us any more, so that the next install has to come anew. */
static void reset_child(void *arg)
{
    bool *is_still_installed = arg;
    CHILD_CHECK(weft_stack_overflow_install(NULL, NULL) == 0);
    set_handler(SIGSEGV, end_here, 0);
    if (!*is_still_installed)
        weft_stack_overflow_remove();
    CHILD_CHECK(sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL) == 0);
    overflow_run(1, WEFT_STACK_SMALL, recurse);
}

Test(overflow_chain, an_install_after_somebody_has_set_the_default_comes_anew, .timeout = 60)
{
    for (int i = 0; i < 2; i++) {
        bool is_still_installed = i == 1;
        struct child_end end = child_run(reset_child, &is_still_installed);
        child_check_signal(&end, SIGSEGV);
        CHECK_EQ(child_count(&end, "weft: stack overflow in task "), 1);
    }
}

/* ---- signal stacks ----------------------------------------------------------------------------------------------------------------------- */

static stack_t signal_stack_here(void)
{
    stack_t stack;
    CHILD_CHECK(sigaltstack(NULL, &stack) == 0);
    return stack;
}

static void own_stack_child(void *arg)
{
    static char memory[128 << 10];
    stack_t own = {.ss_sp = memory, .ss_size = sizeof(memory)};
    (void)arg;
    CHILD_CHECK(sigaltstack(&own, NULL) == 0);
    overflow_run(1, WEFT_STACK_SMALL, overflow_nothing);
    CHILD_CHECK(signal_stack_here().ss_sp == memory);
    overflow_run(1, WEFT_STACK_SMALL, recurse);
}

Test(overflow_chain, a_thread_that_has_a_large_signal_stack_keeps_it, .timeout = 60)
{
    struct child_end end = child_run(own_stack_child, NULL);
    overflow_check_told(&end, 64 << 10);
}

static int mapping_count(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    int count = 0;
    CHILD_CHECK(maps != NULL);
    for (int c; (c = fgetc(maps)) != EOF;)
        count += c == '\n';
    (void)fclose(maps);
    return count;
}

static void *run_in_thread(void *arg)
{
    static char memory[16 << 10];
    stack_t own = {.ss_sp = memory, .ss_size = sizeof(memory)};
    CHILD_CHECK(sigaltstack(&own, NULL) == 0); /* too small for kernels with large frames, large enough for others */
    overflow_run(1, WEFT_STACK_SMALL, overflow_nothing);
    return arg;
}

static void *run_in_bare_thread(void *arg)
{
    CHILD_CHECK((signal_stack_here().ss_flags & SS_DISABLE) != 0);
    overflow_run(1, WEFT_STACK_SMALL, overflow_nothing);
    CHILD_CHECK((signal_stack_here().ss_flags & SS_DISABLE) == 0);
    return arg;
}

static void run_threads(int count)
{
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        CHILD_CHECK(pthread_create(&thread, NULL, i % 2 == 0 ? run_in_thread : run_in_bare_thread, NULL) == 0);
        CHILD_CHECK(pthread_join(thread, NULL) == 0);
    }
}

/* A lost mapping would be one, or two with its guard, for each thread. */
static void threads_child(void *arg)
{
    (void)arg;
    run_threads(20);
    int before = mapping_count();
    run_threads(200);
    int after = mapping_count();
    dprintf(STDERR_FILENO, "%d mappings, then %d\n", before, after);
    CHILD_CHECK(after < before + 50);
    _exit(EXIT_DONE);
}

Test(overflow_chain, signal_stacks_end_with_their_threads, .timeout = 60)
{
    struct child_end end = child_run(threads_child, NULL);
    child_check_exit(&end, EXIT_DONE);
}
