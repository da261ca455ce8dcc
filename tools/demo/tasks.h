/*
 * Tasks: a picture of all tasks of the site at one moment, from weft_all_tasks(), kept after the tasks are gone.
 */
#ifndef TOOLS_DEMO_TASKS_H
#define TOOLS_DEMO_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TASK_NAME_BYTES 24

struct site;

struct task_line {
    uint64_t id;
    uint64_t parent; /* the id of the task that forked it; 0 if that is not in the picture */
    uint32_t loop;   /* its home */
    uint32_t ran_on; /* the loop that runs it, or ran it last */
    bool is_current; /* a loop was running it */
    char name[TASK_NAME_BYTES];
};

struct task_tree {
    struct task_line *lines; /* ordered by parent, then by loop and name: whoever has one parent stands together */
    size_t count;
};

/*
 * Take the picture. No task and no loop is paused for it.
 *
 * thread:  any
 * memory:  tree is freed with task_tree_free()
 * returns: 0; -ENOMEM
 */
int task_tree_take(struct task_tree *tree, const struct site *site);

/*
 * Print it, each line after `margin`: at most `loops_max` loops, and `tasks_max` tasks of each loop and of each parent. The rest is counted.
 *
 * thread:  any
 */
void task_tree_print(const struct task_tree *tree, FILE *out, const char *margin, size_t loops_max, size_t tasks_max);

/* Free it; an empty one is fine. thread: any */
void task_tree_free(struct task_tree *tree);

#endif
