/*
 * Options: getopt_long() and numbers that are what they say. Called by main.c.
 */
#include "tools/demo/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] = "Usage: demo [options]\n"
                            "\n"
                            "Serve HTTP on one loop for each processor, put load on it with wrk, first without and then with a\n"
                            "computation through the same loops, and tell what the loops did.\n"
                            "\n"
                            "  --seconds N      how long the load lasts, each time (5)\n"
                            "  --connections N  how many connections wrk opens (64)\n"
                            "  --loops N        how many loops there are (one for each processor)\n"
                            "  --port N         the port on 127.0.0.1 (any that is free)\n"
                            "  --json FILE      write the line of JSON to FILE, too\n"
                            "  --serve          no load: serve until SIGINT (Ctrl-C) or SIGTERM\n"
                            "  --help           this text\n";

enum option_id { OPTION_SECONDS = 1, OPTION_CONNECTIONS, OPTION_LOOPS, OPTION_PORT, OPTION_JSON, OPTION_SERVE, OPTION_HELP };

static const struct option_limit {
    const char *name;
    unsigned long min, max;
} limits[] = {
    [OPTION_SECONDS] = {"seconds", 1, 86400},
    [OPTION_CONNECTIONS] = {"connections", 1, 10000},
    [OPTION_LOOPS] = {"loops", 1, 256},
    [OPTION_PORT] = {"port", 0, 65535},
};

static const struct option names[] = {
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"loops", required_argument, NULL, OPTION_LOOPS},
    {"port", required_argument, NULL, OPTION_PORT},
    {"json", required_argument, NULL, OPTION_JSON},
    {"serve", no_argument, NULL, OPTION_SERVE},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static bool number_read(int option, const char *text, uint32_t *number_out)
{
    const struct option_limit *limit = &limits[option];
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    bool is_number = *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
    if (!is_number || number < limit->min || number > limit->max) {
        fprintf(stderr, "demo: --%s takes a number from %lu to %lu, not '%s'\n", limit->name, limit->min, limit->max, text);
        return false;
    }
    *number_out = (uint32_t)number;
    return true;
}

static bool option_set(struct options *options, int option)
{
    uint32_t port = options->port;
    bool is_good = true;
    switch (option) {
    case OPTION_SECONDS:
        return number_read(option, optarg, &options->seconds);
    case OPTION_CONNECTIONS:
        return number_read(option, optarg, &options->connections);
    case OPTION_LOOPS:
        return number_read(option, optarg, &options->loops);
    case OPTION_PORT:
        is_good = number_read(option, optarg, &port);
        options->port = (uint16_t)port;
        return is_good;
    case OPTION_JSON:
        options->json = optarg;
        return true;
    case OPTION_SERVE:
        options->is_serving = true;
        return true;
    default:
        return false;
    }
}

int options_read(struct options *options, int argc, char **argv)
{
    int option;
    *options = (struct options){.seconds = 5, .connections = 64};
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == OPTION_HELP) {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (!option_set(options, option)) {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "demo: what is '%s'?\n%s", argv[optind], usage);
    return 2;
}
