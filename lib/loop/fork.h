/*
 * Fork of a loop: what becomes of its copy in a child process.
 */
#ifndef LIB_LOOP_FORK_H
#define LIB_LOOP_FORK_H

#include "lib/base/fork.h"

/* The `forked` of each loop's watch: the loop is lost to this process. See loop_is_forked(). */
void loop_forked(struct fork_watch *watch);

#endif
