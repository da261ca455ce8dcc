/*
 * Table: four blocks, each with its own columns: the service as wrk saw it, the loops, the computations, the tasks. Called by main.c.
 */
#include "tools/demo/table.h"

#include <string.h>

#include "tools/demo/results.h"

#define LOOPS_SHOWN_MAX 4 /* of the tasks; the figures are shown for all */
#define TASKS_SHOWN_MAX 8 /* of each loop, and of each parent */

/* What a terminal understands, or nothing. */
struct style {
    const char *bold, *dim, *plain;
};

static const struct style styles[] = {
    [false] = {"", "", ""},
    [true] = {"\033[1m", "\033[2m", "\033[0m"},
};

/* Print `text` at the right of `width` columns; printf would count bytes, and a µ has two. */
static void print_right(FILE *out, int width, const char *text)
{
    for (const char *byte = text; *byte != '\0'; byte++)
        width -= ((unsigned char)*byte & 0xc0) != 0x80;
    fprintf(out, "%*s%s", width > 0 ? width : 0, "", text);
}

static void print_number(FILE *out, int width, uint64_t number)
{
    char text[FIGURE_BYTES];
    print_right(out, width, figure_text(number, text));
}

/* A time with three digits that matter: "312 µs", "1.25 ms". */
static void print_time(FILE *out, int width, uint64_t us)
{
    char text[FIGURE_BYTES];
    if (us < 1000)
        snprintf(text, sizeof(text), "%llu µs", (unsigned long long)us);
    else if (us < 10000)
        snprintf(text, sizeof(text), "%.2f ms", (double)us / 1e3);
    else if (us < 1000000)
        snprintf(text, sizeof(text), "%.1f ms", (double)us / 1e3);
    else
        snprintf(text, sizeof(text), "%.2f s", (double)us / 1e6);
    print_right(out, width, text);
}

static const char *loops_word(const struct measurement *measurement)
{
    return measurement->count == 1 ? "loop" : "loops";
}

void table_print_title(const struct measurement *measurement, FILE *out)
{
    const struct load *load = &measurement->load;
    fprintf(out,
            "weft serves on %u %s at http://127.0.0.1:%u/; wrk asks for /plaintext on %u %s,\n"
            "for %u s, and for %u s more while the same loops compute\n",
            measurement->count, loops_word(measurement), measurement->port, load->connections,
            load->connections == 1 ? "connection" : "connections", load->seconds, load->seconds);
    fflush(out);
}

/* ---- the service ------------------------------------------------------------------------------------------------------------------ */

static void print_service(FILE *out, const char *name, const struct measurement *measurement, const struct style *style)
{
    const struct load *load = &measurement->load;
    fprintf(out, "  %-14s%s", name, style->bold);
    print_number(out, 12, (uint64_t)(measurement_rate(measurement) + 0.5));
    fputs(style->plain, out);
    print_number(out, 14, load->requests);
    print_number(out, 10, load->errors + load->timeouts);
    fputs(style->bold, out);
    print_time(out, 11, load->p50_us);
    print_time(out, 11, load->p99_us);
    print_time(out, 11, load->p999_us);
    fputs(style->plain, out);
    print_time(out, 11, load->max_us);
    fputc('\n', out);
}

static void print_services(FILE *out, const struct results *results, const struct style *style)
{
    fprintf(out, "%s  %-14s%12s%14s%10s%11s%11s%11s%11s%s\n", style->dim, "", "requests/s", "requests", "failed", "p50", "p99", "p99.9",
            "max", style->plain);
    print_service(out, "serving", &results->serving, style);
    print_service(out, "and computing", &results->computing, style);
    fprintf(out, "%s  wrk asks again at once, and on the same processors; bench/latency.c asks at a steady rate%s\n", style->dim,
            style->plain);
    fputc('\n', out);
}

/* ---- the loops -------------------------------------------------------------------------------------------------------------------- */

static void print_loop(FILE *out, const char *name, const struct figures *figures, double seconds)
{
    fprintf(out, "  %-14s", name);
    print_number(out, 12, (uint64_t)((double)figures->requests / seconds));
    print_number(out, 8, figures->connections);
    print_number(out, 10, figures->parks);
    print_number(out, 11, figures->wakes);
    print_number(out, 17, figures->passes);
    print_number(out, 11, figures->stolen_jobs);
    print_number(out, 12, figures->steals);
    fputc('\n', out);
}

static void print_loops(FILE *out, const char *phase, const struct measurement *measurement, const struct style *style)
{
    struct figures sum = {0};
    double seconds = (double)measurement->load.duration_us / 1e6;
    for (uint32_t i = 0; i < measurement->count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "loop %u", i);
        print_loop(out, name, &measurement->loops[i], seconds);
        figures_add(&sum, &measurement->loops[i]);
    }
    fputs(style->bold, out);
    print_loop(out, phase, &sum, seconds);
    fprintf(out, "%s\n", style->plain);
}

static void print_all_loops(FILE *out, const struct results *results, const struct style *style)
{
    fprintf(out, "%s  %-14s%12s%8s%10s%11s%17s%11s%12s\n", style->dim, "", "", "open", "", "", "futures done", "jobs", "tasks");
    fprintf(out, "  %-14s%12s%8s%10s%11s%17s%11s%12s%s\n", "", "requests/s", "conns", "parks", "wake-ups", "for others", "stolen", "stolen",
            style->plain);
    print_loops(out, "serving", &results->serving, style);
    print_loops(out, "and computing", &results->computing, style);
}

/* ---- the computations ------------------------------------------------------------------------------------------------------------- */

static void print_factor(FILE *out, int width, double factor)
{
    char text[FIGURE_BYTES];
    snprintf(text, sizeof(text), "%.2f x", factor);
    print_right(out, width, text);
}

static void print_speed(FILE *out, const struct results *results, int which, const struct style *style)
{
    const struct speed *speed = &results->speeds[which];
    fprintf(out, "  %-14s", computations[which].name);
    print_time(out, 12, speed->serial.best_ns / 1000);
    print_time(out, 11, speed->one_loop.best_ns / 1000);
    print_time(out, 11, speed->all_loops.best_ns / 1000);
    fputs(style->bold, out);
    print_factor(out, 16, speed_up(&speed->all_loops, &speed->one_loop));
    print_factor(out, 15, speed_up(&speed->all_loops, &speed->serial));
    fputs(style->plain, out);
    print_number(out, 16, results->work.rounds[which]);
    fputc('\n', out);
}

static void print_speeds(FILE *out, const struct results *results, const struct style *style)
{
    char all[32];
    snprintf(all, sizeof(all), "%u %s", results->serving.count, loops_word(&results->serving));
    fprintf(out, "%s  %-14s%12s%11s%11s%16s%15s%16s%s\n", style->dim, "", "serial C", "one loop", all, "over one loop", "over serial C",
            "while serving", style->plain);
    for (int i = 0; i < COMPUTATION_COUNT; i++)
        print_speed(out, results, i, style);
    fputc('\n', out);
}

/* ------------------------------------------------------------------------------------------------------------------------------------- */

void table_print(const struct results *results, FILE *out, bool is_colour)
{
    const struct style *style = &styles[is_colour];
    const struct task_tree *tasks = &results->computing.tasks;
    fputc('\n', out);
    print_services(out, results, style);
    print_all_loops(out, results, style);
    print_speeds(out, results, style);
    fprintf(out, "%s  tasks in the middle of serving and computing: %zu%s\n", style->dim, tasks->count, style->plain);
    task_tree_print(tasks, out, "  ", LOOPS_SHOWN_MAX, TASKS_SHOWN_MAX);
    fputc('\n', out);
}
