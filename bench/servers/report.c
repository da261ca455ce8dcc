/*
 * Report: medians, minima and ratios. Called by the benches' mains.
 */
#include "bench/servers/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts `values`. */
static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double median_ratio(const double *values, const double *first, size_t count)
{
    double ratios[REPORT_ROUNDS_MAX];
    for (size_t i = 0; i < count; i++)
        ratios[i] = first[i] == 0 ? 0 : values[i] / first[i];
    return median(ratios, count);
}

void report_print(const struct report *report)
{
    for (size_t i = 0; i < report->contestants; i++) {
        double sorted[REPORT_ROUNDS_MAX];
        memcpy(sorted, report->value[i], sizeof(sorted));
        double middle = median(sorted, report->rounds);
        printf("%s.%s %.3f min %.3f", report->name, report->contestant[i], middle, sorted[0]);
        if (i > 0)
            printf(" ratio %.3f", median_ratio(report->value[i], report->value[0], report->rounds));
        printf("\n");
    }
}
