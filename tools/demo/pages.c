/*
 * Pages: HTML and text written to memory streams. Called by routes.c; reads the counters of all loops, writes none.
 */
#include "tools/demo/pages.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/demo/figures.h"
#include "tools/demo/site.h"
#include "tools/demo/tasks.h"
#include "weft/loop.h"

static const char home_top[] =
    "<!doctype html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"1\"><title>weft</title>\n"
    "<style>\n"
    "body { font: 16px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; color: #222; background: #fcfcfa "
    "}\n"
    "h1 { font-weight: 600; margin: 0 } p { margin: .4rem 0 1.6rem; color: #555 }\n"
    "table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }\n"
    "th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid #e4e4de } th { font-weight: 500; color: #777 }\n"
    "tr.here td { background: #eef3e6 } tr.sum td { font-weight: 600; border: 0 } a { color: #2b5d8a }\n"
    "</style></head><body>\n"
    "<h1>weft</h1>\n";

static const char home_table[] =
    "<table>\n"
    "<tr><th>loop</th><th>requests</th><th>open connections</th><th>parks</th><th>wake-ups</th><th>completed for others</th></tr>\n";

static const char home_bottom[] =
    "</table>\n"
    "<p><a href=\"/tasks\">tasks</a> · <a href=\"/plaintext\">plaintext</a> · <a href=\"/json\">json</a></p>\n"
    "</body></html>\n";

static void print_row(FILE *out, const char *class, const char *name, const struct figures *figures)
{
    char text[5][FIGURE_BYTES];
    fprintf(out, "<tr class=\"%s\"><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", class, name,
            figure_text(figures->requests, text[0]), figure_text(figures->connections, text[1]), figure_text(figures->parks, text[2]),
            figure_text(figures->wakes, text[3]), figure_text(figures->passes, text[4]));
}

static void print_rows(FILE *out, const struct shard *here)
{
    const struct site *site = here->site;
    struct figures sum = {0};
    for (uint32_t i = 0; i < site->count; i++) {
        struct figures figures;
        char name[12];
        figures_read(&site->shards[i], &figures);
        figures_add(&sum, &figures);
        snprintf(name, sizeof(name), "%u", i);
        print_row(out, i == here->index ? "here" : "", name, &figures);
    }
    print_row(out, "sum", "all", &sum);
}

/* Close `out`, a memory stream over *body_out; what it could not hold shows as an error only now. */
static int stream_finish(FILE *out, char **body_out)
{
    int is_bad = ferror(out);
    if (fclose(out) == 0 && !is_bad)
        return 0;
    free(*body_out);
    return -ENOMEM;
}

int page_home(struct shard *shard, char **body_out, size_t *body_bytes_out)
{
    const struct site *site = shard->site;
    FILE *out = open_memstream(body_out, body_bytes_out);
    if (out == NULL)
        return -ENOMEM;
    uint64_t up_s = (weft_loop_time(shard->loop) - site->opened_ns) / 1000000000;
    fputs(home_top, out);
    fprintf(out, "<p>%u %s, up %llu s. Loop %u served this page.</p>\n", site->count, site->count == 1 ? "loop" : "loops",
            (unsigned long long)up_s, shard->index);
    fputs(home_table, out);
    print_rows(out, shard);
    fputs(home_bottom, out);
    return stream_finish(out, body_out);
}

int page_tasks(struct shard *shard, char **body_out, size_t *body_bytes_out)
{
    struct task_tree tree;
    int status = task_tree_take(&tree, shard->site);
    if (status < 0)
        return status;
    FILE *out = open_memstream(body_out, body_bytes_out);
    if (out != NULL)
        task_tree_print(&tree, out, "", SIZE_MAX, SIZE_MAX);
    task_tree_free(&tree);
    return out != NULL ? stream_finish(out, body_out) : -ENOMEM;
}
