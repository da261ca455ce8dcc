/*
 * Table: every call of the operating system and the C library that lib/ makes and that can fail, the errors that its manual page gives,
 * and what weft owes its user then.
 */
#ifndef TESTS_FAULTS_TABLE_H
#define TESTS_FAULTS_TABLE_H

#include <stddef.h>

#include "tests/faults/scene.h"
#include "tests/faults/shim.h"

/* What becomes of the operation whose call failed. */
enum outcome {
    UNSEEN = 1, /* the library tries again, does without, or takes another way: no operation fails, nothing is reported */
    FAILS,      /* it fails with the error, or with `status` where that is given; no other does */
    MAY_FAIL,   /* the same, or UNSEEN: that depends on which of the calls it was */
    REPORTED,   /* the exception handler hears of it, and the library tries again later: no operation fails */
};

struct fault_error {
    int error; /* 0: the end of the list */
    enum outcome outcome;
    int status; /* 0: the error itself, negated */
};

/* Which calls fail, see struct shim_rule. */
struct fault_when {
    unsigned first; /* 0: the end of the list */
    unsigned step;
};

/* One call in one scene: its errors × its whens are the pairs. */
struct fault_group {
    enum shim_call call;
    int selector;
    const char *selector_name; /* for people */
    const char *scene_name;
    scene_fn *scene;
    const struct fault_when *whens;
    const struct fault_error *errors;
};

extern const struct fault_group fault_groups[];
extern const size_t fault_group_count;

/* How many pairs there are of `call`; of all for SHIM_CALL_COUNT. */
size_t fault_pair_count(enum shim_call call);

/*
 * How many pairs of a call and an error there are, whatever the scene, the selector and when. Those of *in_all_ways_out fail the first time,
 * the n-th, and each k-th.
 */
size_t fault_distinct_count(size_t *in_all_ways_out);

#endif
