/*
 * Signals: SIGINT and SIGTERM cancel a task. The second one of a kind ends the process, as if nobody had asked to hear them.
 */
#ifndef TOOLS_DEMO_SIGNALS_H
#define TOOLS_DEMO_SIGNALS_H

#include <stdint.h>

struct weft_task;

/*
 * From now on, cancel `task` when a signal comes. Once in a process.
 *
 * thread:  the loop's, of the loop that `task` belongs to
 * memory:  task is borrowed until signals_close()
 * returns: 0; -ENOMEM; -EMFILE and what else a socket pair may meet
 */
int signals_open(struct weft_task *task);

/* Hear them no more. Does nothing if they are not open. thread: the same */
void signals_close(void);

#endif
