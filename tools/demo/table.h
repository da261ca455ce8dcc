/*
 * Table: the results for people, and the same for programs.
 */
#ifndef TOOLS_DEMO_TABLE_H
#define TOOLS_DEMO_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct measurement;
struct results;

/* Print what is being measured, as it begins. thread: any */
void table_print_title(const struct measurement *measurement, FILE *out);

/* Print the table; in colour if `is_colour`. At most 100 columns. thread: any */
void table_print(const struct results *results, FILE *out, bool is_colour);

/*
 * Make the line of JSON, without a newline.
 *
 * thread:  any
 * memory:  the caller frees it with free()
 * returns: NULL when out of memory
 */
char *table_json(const struct results *results);

#endif
