/*
 * Tasks: collect, order, print. Called by the page /tasks, by the table in the middle of the load, and by the JSON line.
 */
#include "tools/demo/tasks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/task.h"

/* Which task a loop runs is known by id, and an id stays safe to ask for when its task has gone. */
static bool task_is_current(const struct weft_task *task, const struct weft_loop *loop)
{
    struct weft_task *current = weft_task_from_id(weft_loop_current_task_id(loop));
    weft_task_unref(current);
    return current == task;
}

static void task_line_set(struct task_line *line, const struct weft_task *task)
{
    const struct weft_loop *loop = weft_future_get_loop(&task->future);
    line->loop = weft_loop_index(loop);
    line->is_current = task_is_current(task, loop);
    weft_task_get_name(task, line->name, sizeof(line->name));
}

static int task_line_compare(const void *left, const void *right)
{
    const struct task_line *a = left, *b = right;
    if (a->loop != b->loop)
        return a->loop < b->loop ? -1 : 1;
    return strverscmp(a->name, b->name); /* "rally with 9" before "rally with 10" */
}

int task_tree_take(struct task_tree *tree)
{
    struct weft_task **tasks;
    size_t count;
    int status = weft_all_tasks(NULL, &tasks, &count);
    if (status < 0)
        return status;
    tree->count = 0;
    tree->lines = weft_calloc(count, sizeof(*tree->lines));
    for (size_t i = 0; tree->lines != NULL && i < count; i++)
        task_line_set(&tree->lines[tree->count++], tasks[i]);
    weft_all_tasks_free(tasks, count);
    if (tree->lines == NULL)
        return -ENOMEM;
    qsort(tree->lines, tree->count, sizeof(*tree->lines), task_line_compare);
    return 0;
}

static size_t count_of_loop(const struct task_tree *tree, size_t first)
{
    size_t end = first;
    while (end < tree->count && tree->lines[end].loop == tree->lines[first].loop)
        end++;
    return end - first;
}

static void loop_print(const struct task_line *lines, size_t count, FILE *out, const char *margin, size_t tasks_max)
{
    size_t shown = count <= tasks_max ? count : tasks_max - 1;
    fprintf(out, "%sloop %u\n", margin, lines[0].loop);
    for (size_t i = 0; i < shown; i++) {
        const char *branch = i + 1 < count ? "├─" : "└─";
        fprintf(out, "%s%s %-*s %s\n", margin, branch, TASK_NAME_BYTES, lines[i].name, lines[i].is_current ? "current" : "awaiting");
    }
    if (shown < count)
        fprintf(out, "%s└─ and %zu more\n", margin, count - shown);
}

void task_tree_print(const struct task_tree *tree, FILE *out, const char *margin, size_t loops_max, size_t tasks_max)
{
    size_t first = 0;
    for (size_t loops = 0; first < tree->count && loops < loops_max; loops++) {
        size_t count = count_of_loop(tree, first);
        loop_print(&tree->lines[first], count, out, margin, tasks_max);
        first += count;
    }
    if (first < tree->count)
        fprintf(out, "%sand %zu more on the other loops\n", margin, tree->count - first);
}

void task_tree_free(struct task_tree *tree)
{
    weft_free(tree->lines);
    *tree = (struct task_tree){0};
}
