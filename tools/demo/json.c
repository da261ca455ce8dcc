/*
 * JSON: the measurement as one line, by Debian's cJSON. Called by main.c.
 */
#include <cjson/cJSON.h>

#include "tools/demo/measure.h"
#include "tools/demo/table.h"

static void add(cJSON *object, const char *name, uint64_t number)
{
    cJSON_AddNumberToObject(object, name, (double)number);
}

static void add_service(cJSON *root, const struct measurement *measurement)
{
    const struct load *load = &measurement->load;
    add(root, "port", measurement->port);
    add(root, "connections", load->connections);
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
        cJSON_AddStringToObject(task, "state", tree->lines[i].is_current ? "current" : "awaiting");
        cJSON_AddItemToArray(tasks, task);
    }
}

char *table_json(const struct measurement *measurement)
{
    cJSON *root = cJSON_CreateObject();
    add_service(root, measurement);
    add_loops(root, measurement);
    add_tasks(root, &measurement->tasks);
    char *line = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return line;
}
