/*
 * Stand-ins for all that a runtime is made of but its own words: two loops that only run what is queued, threads, a clock that stands still.
 */
#ifndef TESTS_MODEL_RUNTIME_STAND_IN_H
#define TESTS_MODEL_RUNTIME_STAND_IN_H

#include "lib/runtime/runtime.h"

/* What a loop of the runtime knows: plain, its thread's. */
struct loop_stand_in {
    struct weft_loop loop; /* first */
    unsigned entered;
    unsigned turns;
    bool is_inside;
};

/* The runtime of the model, with loop 0 as its main one, on `driver`. */
extern struct weft_runtime *runtime;

void runtime_stand_in_setup(const struct runtime_driver *driver);

/* Destroy it. */
void runtime_stand_in_end(void);

struct loop_stand_in *loop_stand_in(unsigned index);

/* Be the thread that the runtime starts as its `number`th, from 0. */
void thread_stand_in(unsigned number);

#endif
