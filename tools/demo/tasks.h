/*
 * Tasks: a picture of all tasks of the process at one moment, from weft_all_tasks(), kept after the tasks are gone.
 */
#ifndef TOOLS_DEMO_TASKS_H
#define TOOLS_DEMO_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TASK_NAME_BYTES 24

struct task_line {
    uint32_t loop;
    bool is_current; /* its loop was running it */
    char name[TASK_NAME_BYTES];
};

struct task_tree {
    struct task_line *lines; /* ordered by loop */
    size_t count;
};

/*
 * Take the picture. No task and no loop is paused for it.
 *
 * thread:  any
 * memory:  tree is freed with task_tree_free()
 * returns: 0; -ENOMEM
 */
int task_tree_take(struct task_tree *tree);

/* Print it, each line after `margin`: at most `loops_max` loops, and `tasks_max` tasks of each. The rest is counted. thread: any */
void task_tree_print(const struct task_tree *tree, FILE *out, const char *margin, size_t loops_max, size_t tasks_max);

/* Free it; an empty one is fine. thread: any */
void task_tree_free(struct task_tree *tree);

#endif
