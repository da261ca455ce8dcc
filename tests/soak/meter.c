/*
 * Meter: what the process holds and uses, as the kernel says, and weft's own memory, through its table. Called by the soak test.
 */
#include "tests/soak/meter.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "weft/atomic.h"
#include "weft/memory.h"

static int64_t live_blocks; /* atomic, as the next */
static int64_t live_bytes;

static void *counted(void *ptr)
{
    if (ptr != NULL) {
        (void)weft_atomic_add_relaxed(&live_blocks, 1);
        (void)weft_atomic_add_relaxed(&live_bytes, (int64_t)malloc_usable_size(ptr));
    }
    return ptr;
}

static void counted_free(void *ptr)
{
    if (ptr == NULL)
        return;
    (void)weft_atomic_sub_relaxed(&live_blocks, 1);
    (void)weft_atomic_sub_relaxed(&live_bytes, (int64_t)malloc_usable_size(ptr));
    free(ptr);
}

static void *counted_malloc(size_t bytes)
{
    return counted(malloc(bytes));
}

static void *counted_calloc(size_t count, size_t bytes)
{
    return counted(calloc(count, bytes));
}

static void *counted_realloc(void *ptr, size_t bytes)
{
    int64_t before = ptr == NULL ? 0 : (int64_t)malloc_usable_size(ptr);
    void *moved = realloc(ptr, bytes);
    if (moved != NULL) {
        (void)weft_atomic_add_relaxed(&live_blocks, ptr == NULL);
        (void)weft_atomic_add_relaxed(&live_bytes, (int64_t)malloc_usable_size(moved) - before);
    }
    return moved;
}

static void *counted_aligned_alloc(size_t align_bytes, size_t bytes)
{
    return counted(aligned_alloc(align_bytes, bytes));
}

void meter_install(void)
{
    static const struct weft_memory memory = {
        .size = sizeof(memory),
        .malloc = counted_malloc,
        .calloc = counted_calloc,
        .realloc = counted_realloc,
        .aligned_alloc = counted_aligned_alloc,
        .free = counted_free,
    };
    (void)weft_memory_set(&memory);
}

int64_t meter_blocks(void)
{
    return weft_atomic_load_relaxed(&live_blocks);
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void meter_sample(struct meter *meter)
{
    if (meter->count == METER_SAMPLES_MAX)
        return;
    meter->resident[meter->count] = resident_bytes();
    meter->live[meter->count] = (double)weft_atomic_load_relaxed(&live_bytes);
    meter->descriptors[meter->count] = meter_descriptors();
    meter->count++;
}

double meter_rise(const double *samples, size_t count, double *mean_out)
{
    double mean = 0, products = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        mean += samples[i] / (double)count;
    for (size_t i = 0; i < count; i++) {
        double x = (double)i - (double)(count - 1) / 2;
        products += x * (samples[i] - mean);
        squares += x * x;
    }
    *mean_out = mean;
    return squares == 0 ? 0 : products / squares * (double)(count - 1);
}

int meter_descriptors(void)
{
    int count = -3; /* "." and "..", and the directory's own */
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        closedir(directory);
    return count;
}

uint64_t meter_cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
