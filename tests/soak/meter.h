/*
 * Meter: what the process holds and uses.
 */
#ifndef TESTS_SOAK_METER_H
#define TESTS_SOAK_METER_H

#include <stddef.h>
#include <stdint.h>

enum { METER_SAMPLES_MAX = 32768 };

/* What is held, over time. */
struct meter {
    size_t count;
    double resident[METER_SAMPLES_MAX];    /* bytes of the process */
    double live[METER_SAMPLES_MAX];        /* bytes that weft holds */
    double descriptors[METER_SAMPLES_MAX]; /* of the process */
};

/* Count all that weft allocates from now on. thread: before start */
void meter_install(void);

/* How many blocks weft holds. thread: any */
int64_t meter_blocks(void);

/* Take a sample. thread: main */
void meter_sample(struct meter *meter);

/* By how much a straight line through the samples rises from the first to the last; *mean_out is their mean. */
double meter_rise(const double *samples, size_t count, double *mean_out);

/* Descriptors that the process holds. thread: any */
int meter_descriptors(void);

/* Processor time that the process has used. thread: any */
uint64_t meter_cpu_ns(void);

#endif
