/*
 * Traffic: futures that tasks of one loop complete and tasks of another await, between every two loops at once.
 */
#ifndef TOOLS_DEMO_TRAFFIC_H
#define TOOLS_DEMO_TRAFFIC_H

#include <stdint.h>

struct rally;
struct site;

struct traffic {
    struct rally *rallies; /* one for every two loops */
    uint32_t count;
    int64_t pause_ns; /* before a served future is completed */
    uint32_t is_over; /* one writer: whoever stops */
};

/*
 * Start a rally between every two loops of `site`. A loop of `site->count` completes about 1 s / `pause_ns` futures for others.
 *
 * thread:  any
 * memory:  traffic and site are borrowed until traffic_stop() has returned
 * returns: 0; -ENOMEM, and then what was started still needs traffic_stop()
 */
int traffic_start(struct traffic *traffic, struct site *site, int64_t pause_ns);

/* Let the rallies end, wait for that, and free them. thread: a fiber */
void traffic_stop(struct traffic *traffic);

#endif
