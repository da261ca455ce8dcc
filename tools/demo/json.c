/*
 * JSON: the results as one line, by Debian's cJSON. Called by main.c.
 */
#include <cjson/cJSON.h>

#include "tools/demo/results.h"
#include "tools/demo/table.h"

static void add(cJSON *object, const char *name, uint64_t number)
{
    cJSON_AddNumberToObject(object, name, (double)number);
}

static void add_service(cJSON *root, const struct measurement *measurement)
{
    const struct load *load = &measurement->load;
    cJSON_AddNumberToObject(root, "seconds", (double)load->duration_us / 1e6);
    add(root, "requests", load->requests);
    add(root, "requests_per_s", (uint64_t)(measurement_rate(measurement) + 0.5));
    add(root, "errors", load->errors);
    add(root, "timeouts", load->timeouts);
    cJSON *latency = cJSON_AddObjectToObject(root, "latency_us");
    add(latency, "p50", load->p50_us);
    add(latency, "p90", load->p90_us);
    add(latency, "p99", load->p99_us);
    add(latency, "p99.9", load->p999_us);
    add(latency, "max", load->max_us);
}

static void add_loops(cJSON *root, const struct measurement *measurement)
{
    cJSON *loops = cJSON_AddArrayToObject(root, "loops");
    for (uint32_t i = 0; i < measurement->count; i++) {
        const struct figures *figures = &measurement->loops[i];
        cJSON *loop = cJSON_CreateObject();
        add(loop, "loop", i);
        add(loop, "requests", figures->requests);
        add(loop, "connections", figures->connections);
        add(loop, "parks", figures->parks);
        add(loop, "wakes", figures->wakes);
        add(loop, "completed_for_others", figures->passes);
        add(loop, "stolen_jobs", figures->stolen_jobs);
        add(loop, "stolen_tasks", figures->steals);
        cJSON_AddItemToArray(loops, loop);
    }
}

static void add_tasks(cJSON *root, const struct task_tree *tree)
{
    cJSON *tasks = cJSON_AddArrayToObject(root, "tasks");
    for (size_t i = 0; i < tree->count; i++) {
        cJSON *task = cJSON_CreateObject();
        add(task, "loop", tree->lines[i].loop);
        cJSON_AddStringToObject(task, "name", tree->lines[i].name);
        add(task, "ran_on", tree->lines[i].ran_on);
        add(task, "id", tree->lines[i].id);
        add(task, "parent", tree->lines[i].parent);
        cJSON_AddStringToObject(task, "state", tree->lines[i].is_current ? "current" : "awaiting");
        cJSON_AddItemToArray(tasks, task);
    }
}

static void add_computations(cJSON *root, const struct results *results)
{
    cJSON *list = cJSON_AddArrayToObject(root, "computations");
    for (int i = 0; i < COMPUTATION_COUNT; i++) {
        const struct speed *speed = &results->speeds[i];
        cJSON *computation = cJSON_CreateObject();
        cJSON_AddStringToObject(computation, "name", computations[i].name);
        add(computation, "result", speed->all_loops.result);
        add(computation, "serial_ns", speed->serial.best_ns);
        add(computation, "one_loop_ns", speed->one_loop.best_ns);
        add(computation, "all_loops_ns", speed->all_loops.best_ns);
        cJSON_AddNumberToObject(computation, "speed_up_over_one_loop", speed_up(&speed->all_loops, &speed->one_loop));
        cJSON_AddNumberToObject(computation, "speed_up_over_serial", speed_up(&speed->all_loops, &speed->serial));
        add(computation, "rounds_while_serving", results->work.rounds[i]);
        cJSON_AddItemToArray(list, computation);
    }
}

/* What was measured without the computation stands at the top, as it always did; the same with it is in "computing". */
char *table_json(const struct results *results)
{
    cJSON *root = cJSON_CreateObject();
    add(root, "port", results->serving.port);
    add(root, "connections", results->serving.load.connections);
    add_service(root, &results->serving);
    add_loops(root, &results->serving);
    cJSON *computing = cJSON_AddObjectToObject(root, "computing");
    add_service(computing, &results->computing);
    add_loops(computing, &results->computing);
    add_computations(root, results);
    add_tasks(root, &results->computing.tasks);
    char *line = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return line;
}
