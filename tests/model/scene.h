/*
 * Scene: real loops in a model. Their kind has a poller that sleeps on a token and polls nothing; time stands still but for sleeps that are
 * over at their deadline.
 *
 * Link with lib/loop, lib/sched/{worker,crew}.c, lib/lockfree/{inbox,injector,ring}.c and lib/base/random.c.
 */
#ifndef TESTS_MODEL_SCENE_H
#define TESTS_MODEL_SCENE_H

#include "weft/loop.h"

/* Make a loop. The caller holds one reference. */
struct weft_loop *scene_loop(void);

/* Close `loop` and let it go. */
void scene_loop_end(struct weft_loop *loop);

#endif
