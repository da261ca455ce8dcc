/*
 * Tasks: collect, order, print. Called by the page /tasks, by the table in the middle of the load, and by the JSON line.
 */
#include "tools/demo/tasks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/demo/site.h"
#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/task.h"

#define DEPTH_MAX    4  /* of what is printed: a child of a child of a child … */
#define BRANCH_BYTES 16 /* of "│  " and the like, for each level */

/* ---- collecting ------------------------------------------------------------------------------------------------------------------- */

static bool is_of_site(const struct weft_task *task, const struct site *site)
{
    const struct weft_loop *home = weft_future_get_loop(&task->future);
    uint32_t index = weft_loop_index(home);
    return index < site->count && site->shards[index].loop == home;
}

/* Which task a loop runs is known by id: it stays safe to ask for when the task has gone. */
static void task_line_set(struct task_line *line, const struct weft_task *task, const struct site *site)
{
    line->id = weft_atomic_load_relaxed(&task->id);
    line->parent = weft_task_parent_id(task);
    line->loop = weft_loop_index(weft_future_get_loop(&task->future));
    line->ran_on = weft_task_ran_on(task);
    line->is_current = line->id != 0 && weft_loop_current_task_id(site->shards[line->ran_on].loop) == line->id;
    weft_task_get_name(task, line->name, sizeof(line->name));
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_ids(const void *left, const void *right)
{
    const struct task_line *a = left, *b = right;
    return compare_numbers(a->id, b->id);
}

static int compare_places(const void *left, const void *right)
{
    const struct task_line *a = left, *b = right;
    int by_parent = compare_numbers(a->parent, b->parent);
    int by_loop = compare_numbers(a->loop, b->loop);
    if (by_parent != 0 || by_loop != 0)
        return by_parent != 0 ? by_parent : by_loop;
    return strverscmp(a->name, b->name); /* "rally with 9" before "rally with 10" */
}

/* A parent that has ended meanwhile is none. */
static void task_tree_order(struct task_tree *tree)
{
    qsort(tree->lines, tree->count, sizeof(*tree->lines), compare_ids);
    for (size_t i = 0; i < tree->count; i++) {
        struct task_line key = {.id = tree->lines[i].parent};
        if (bsearch(&key, tree->lines, tree->count, sizeof(*tree->lines), compare_ids) == NULL)
            tree->lines[i].parent = 0;
    }
    qsort(tree->lines, tree->count, sizeof(*tree->lines), compare_places);
}

int task_tree_take(struct task_tree *tree, const struct site *site)
{
    struct weft_task **tasks;
    size_t count;
    int status = weft_all_tasks(NULL, &tasks, &count);
    if (status < 0)
        return status;
    tree->count = 0;
    tree->lines = weft_calloc(count, sizeof(*tree->lines));
    for (size_t i = 0; tree->lines != NULL && i < count; i++)
        if (is_of_site(tasks[i], site))
            task_line_set(&tree->lines[tree->count++], tasks[i], site);
    weft_all_tasks_free(tasks, count);
    if (tree->lines == NULL)
        return -ENOMEM;
    task_tree_order(tree);
    return 0;
}

/* ---- printing --------------------------------------------------------------------------------------------------------------------- */

struct printer {
    const struct task_tree *tree;
    FILE *out;
    size_t tasks_max;
};

/* Tasks that stand under one heading. */
struct siblings {
    const struct task_line *lines;
    size_t count;
};

/* From `first` on: who has the same parent, and if that is none, the same loop. */
static struct siblings siblings_at(const struct task_tree *tree, size_t first)
{
    const struct task_line *line = &tree->lines[first];
    size_t end = first;
    while (end < tree->count && tree->lines[end].parent == line->parent && (line->parent != 0 || tree->lines[end].loop == line->loop))
        end++;
    return (struct siblings){line, end - first};
}

static struct siblings children_of(const struct task_tree *tree, uint64_t id)
{
    size_t first = 0, end = tree->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (tree->lines[middle].parent < id)
            first = middle + 1;
        else
            end = middle;
    }
    if (first == tree->count || tree->lines[first].parent != id)
        return (struct siblings){NULL, 0};
    return siblings_at(tree, first);
}

static void print_siblings(const struct printer *printer, struct siblings siblings, const char *margin, int depth);

static void print_line(const struct printer *printer, const struct task_line *line, const char *margin, bool is_last, int depth)
{
    char below[(DEPTH_MAX + 1) * BRANCH_BYTES];
    int width = TASK_NAME_BYTES - 3 * depth;
    fprintf(printer->out, "%s%s %-*s %s", margin, is_last ? "└─" : "├─", width, line->name, line->is_current ? "current" : "awaiting");
    if (line->ran_on != line->loop || line->parent != 0)
        fprintf(printer->out, line->is_current ? ", on loop %u" : ", ran on loop %u", line->ran_on);
    fputc('\n', printer->out);
    struct siblings children = children_of(printer->tree, line->id);
    if (children.count == 0 || depth == DEPTH_MAX)
        return;
    snprintf(below, sizeof(below), "%s%s", margin, is_last ? "   " : "│  ");
    print_siblings(printer, children, below, depth + 1);
}

static void print_siblings(const struct printer *printer, struct siblings siblings, const char *margin, int depth)
{
    size_t shown = siblings.count <= printer->tasks_max ? siblings.count : printer->tasks_max - 1;
    for (size_t i = 0; i < shown; i++)
        print_line(printer, &siblings.lines[i], margin, i + 1 == siblings.count, depth);
    if (shown < siblings.count)
        fprintf(printer->out, "%s└─ and %zu more\n", margin, siblings.count - shown);
}

void task_tree_print(const struct task_tree *tree, FILE *out, const char *margin, size_t loops_max, size_t tasks_max)
{
    struct printer printer = {tree, out, tasks_max};
    size_t first = 0, hidden = 0;
    for (size_t loops = 0; first < tree->count && tree->lines[first].parent == 0; loops++) {
        struct siblings siblings = siblings_at(tree, first);
        first += siblings.count;
        if (loops >= loops_max) {
            hidden += siblings.count;
            continue;
        }
        fprintf(out, "%sloop %u\n", margin, siblings.lines->loop);
        print_siblings(&printer, siblings, margin, 0);
    }
    if (hidden > 0)
        fprintf(out, "%sand %zu more on the other loops\n", margin, hidden);
}

void task_tree_free(struct task_tree *tree)
{
    weft_free(tree->lines);
    *tree = (struct task_tree){0};
}
