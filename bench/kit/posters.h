/*
 * Posters: the question "post" as everybody is asked it: so many threads post as fast as they can, and one takes.
 *
 * The contestant brings the post and the taker, which calls posters_took() for what it was posted. The time of a post is that from the first
 * one's begin until the last was taken, over all; `poster` is what the posting threads spent.
 */
#ifndef BENCH_KIT_POSTERS_H
#define BENCH_KIT_POSTERS_H

#include "bench/kit/kit.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { POSTERS_MAX = 4, POSTERS_POSTS = 400000, POSTERS_POSTS_QUICK = 20000 };

/* Post once: the thread `poster`, from 0, its `number`th post, from 0. Before a number comes again its post was taken. */
typedef void posters_post_fn(void *arg, int poster, int number);

/* Let `threads` post by `post`, warmed up by as many posts before, and print the figures. Returns the number of posts counted. */
double posters_measure(struct kit *kit, int threads, posters_post_fn *post, void *arg);

/* So many more were taken. The taker, which is one thread. */
void posters_took(uint64_t count);

#ifdef __cplusplus
}
#endif

#endif
