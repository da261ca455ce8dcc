/*
 * Options: what the command line asks for.
 */
#ifndef TOOLS_DEMO_OPTIONS_H
#define TOOLS_DEMO_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    uint32_t seconds;
    uint32_t loops; /* 0: one for each processor */
    uint32_t connections;
    uint16_t port; /* 0: any */
    bool is_serving;
    const char *json; /* a file for the JSON line too, or NULL */
};

/*
 * Read the command line. Prints the usage where it is asked for or was missed.
 *
 * thread:  before start
 * memory:  the strings are argv's
 * returns: -1 to go on; else the status to exit with
 */
int options_read(struct options *options, int argc, char **argv);

#endif
