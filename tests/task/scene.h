/*
 * What the task room's tests share: loops to run things on, a journal of what happened, and loops that run in threads of their own.
 *
 * When a test's body has returned no task may be registered; see scene.c. Its loops are dropped by then with scene_drop().
 */
#ifndef TESTS_TASK_SCENE_H
#define TESTS_TASK_SCENE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/test.h"
#include "weft/fiber.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/status.h"
#include "weft/task.h"

#define MILLISECOND INT64_C(1000000)
#define SECOND      INT64_C(1000000000)

/* A loop with virtual time, and one over the kernel. Reports to their exception handlers are counted, see scene_reports(). */
struct weft_loop *scene_sim_loop(void);
struct weft_loop *scene_epoll_loop(void);

/* Close and unref. */
void scene_drop(struct weft_loop *loop);

/* Run `fn(arg)` as a fiber until it has ended: its status, and its value unless `value_out` is NULL. */
int scene_run(struct weft_loop *loop, weft_fiber_fn *fn, void *arg, void **value_out);

/* Run exactly one iteration, which does not sleep. */
void scene_turn(struct weft_loop *loop);

/* Run until `duration_ns` of the loop's own time have passed. */
void scene_pass(struct weft_loop *loop, int64_t duration_ns);

/* These must succeed. */
struct weft_future *scene_future(struct weft_loop *loop);
struct weft_task *scene_spawn(struct weft_loop *loop, weft_fiber_fn *fn, void *arg);
struct weft_task *scene_spawn_eagerly(struct weft_loop *loop, weft_fiber_fn *fn, void *arg);
struct weft_task *scene_task_here(void);

/* How many reports any loop made since the last call, and the status of the newest. Any thread. */
int scene_reports(void);
int scene_report_status(void);

/* Note a word; what was noted since the last call of notes(), with a space between the words. One thread. */
void note(const char *word);
const char *notes(void);

/* A loop over the kernel that runs in a thread of its own until scene_thread_stop(), which also drops it. */
struct scene_thread {
    struct weft_loop *loop;
    pthread_t thread;
};

void scene_thread_start(struct scene_thread *thread);
void scene_thread_stop(struct scene_thread *thread);

/* xorshift64*; the seed is not 0. */
uint32_t scene_random(uint64_t *seed);

/* Old names of two of tests/support/sanitizer.h. */
#define SCENE_ASAN TEST_ASAN
#define SCENE_TSAN TEST_TSAN

/* Run `fn(arg)` as a job on `loop`, which nobody runs yet, until it ends; and on a loop with virtual time, which is dropped. */
int scene_run_job_on(struct weft_loop *loop, weft_fiber_fn *fn, void *arg);
int scene_run_job(weft_fiber_fn *fn, void *arg);

#endif
