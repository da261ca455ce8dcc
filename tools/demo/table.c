/*
 * Table: three blocks, each with its own columns: the service as wrk saw it, the loops, the tasks. Called by main.c.
 */
#include "tools/demo/table.h"

#include <string.h>

#include "tools/demo/measure.h"

#define LOOPS_SHOWN_MAX 4 /* of the tasks; the figures are shown for all */
#define TASKS_SHOWN_MAX 8 /* of each loop */

/* What a terminal understands, or nothing. */
struct style {
    const char *bold, *dim, *plain;
};

static const struct style styles[] = {
    [false] = {"", "", ""},
    [true] = {"\033[1m", "\033[2m", "\033[0m"},
};

/* A time with three digits that matter: "312 µs", "1.25 ms". */
static const char *time_text(uint64_t us, char *text)
{
    if (us < 1000)
        snprintf(text, FIGURE_BYTES, "%llu µs", (unsigned long long)us);
    else if (us < 10000)
        snprintf(text, FIGURE_BYTES, "%.2f ms", (double)us / 1e3);
    else if (us < 1000000)
        snprintf(text, FIGURE_BYTES, "%.1f ms", (double)us / 1e3);
    else
        snprintf(text, FIGURE_BYTES, "%.2f s", (double)us / 1e6);
    return text;
}

void table_print_title(const struct measurement *measurement, FILE *out)
{
    const struct load *load = &measurement->load;
    fprintf(out, "weft serves on %u %s at http://127.0.0.1:%u/; wrk asks for /plaintext on %u %s, for %u s\n", measurement->count,
            measurement->count == 1 ? "loop" : "loops", measurement->port, load->connections,
            load->connections == 1 ? "connection" : "connections", load->seconds);
    fflush(out);
}

static void print_service(const struct measurement *measurement, FILE *out, const struct style *style)
{
    const struct load *load = &measurement->load;
    char text[5][FIGURE_BYTES];
    fprintf(out, "  requests/s  %s%s%s   (%s, %s failed)\n", style->bold,
            figure_text((uint64_t)(measurement_rate(measurement) + 0.5), text[0]), style->plain, figure_text(load->requests, text[1]),
            load->errors + load->timeouts > 0 ? figure_text(load->errors + load->timeouts, text[2]) : "none");
    fprintf(out, "  latency     p50 %s%s%s   p99 %s%s%s   p99.9 %s%s%s   max %s\n\n", style->bold, time_text(load->p50_us, text[0]),
            style->plain, style->bold, time_text(load->p99_us, text[1]), style->plain, style->bold, time_text(load->p999_us, text[2]),
            style->plain, time_text(load->max_us, text[3]));
}

static void print_loop(FILE *out, const char *name, const struct figures *figures, double seconds)
{
    char text[6][FIGURE_BYTES];
    fprintf(out, "  %-4s %14s %12s %12s %10s %10s %21s", name, figure_text(figures->requests, text[0]),
            figure_text((uint64_t)((double)figures->requests / seconds), text[1]), figure_text(figures->connections, text[2]),
            figure_text(figures->parks, text[3]), figure_text(figures->wakes, text[4]), figure_text(figures->passes, text[5]));
}

static void print_loops(const struct measurement *measurement, FILE *out, const struct style *style)
{
    struct figures sum = {0};
    double seconds = (double)measurement->load.duration_us / 1e6;
    fprintf(out, "%s  %-4s %14s %12s %12s %10s %10s %21s%s\n", style->dim, "loop", "requests", "requests/s", "connections", "parks",
            "wake-ups", "completed for others", style->plain);
    for (uint32_t i = 0; i < measurement->count; i++) {
        char name[12];
        snprintf(name, sizeof(name), "%u", i);
        print_loop(out, name, &measurement->loops[i], seconds);
        fputc('\n', out);
        figures_add(&sum, &measurement->loops[i]);
    }
    fputs(style->bold, out);
    print_loop(out, "all", &sum, seconds);
    fprintf(out, "%s\n\n", style->plain);
}

void table_print(const struct measurement *measurement, FILE *out, bool is_colour)
{
    const struct style *style = &styles[is_colour];
    fputc('\n', out);
    print_service(measurement, out, style);
    print_loops(measurement, out, style);
    fprintf(out, "%s  tasks in the middle of the load: %zu%s\n", style->dim, measurement->tasks.count, style->plain);
    task_tree_print(&measurement->tasks, out, "  ", LOOPS_SHOWN_MAX, TASKS_SHOWN_MAX);
    fputc('\n', out);
}
