/*
 * Alarms: the question "timers" as everybody is asked it: what it costs to arm a timer, to disarm it, to move it, and to let it fire.
 *
 * A thousand or a million of them, whose deadlines come in no order. They are armed one after the other, and moved and disarmed in leaps. Those
 * that fire are all due by then, and what is measured is the turn, or turns, that they fire in.
 */
#ifndef BENCH_KIT_ALARMS_H
#define BENCH_KIT_ALARMS_H

#include "bench/kit/kit.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a contestant brings. All is called in one thread. */
struct alarms {
    /* Call `body(kit)` where timers are; NULL: here. */
    void (*within)(struct kit *kit, void (*body)(struct kit *kit));
    /* Make `count` timers, not armed, which call alarms_fired(). It comes once. */
    void (*open)(int count);
    /* Arm timer `i`, or move it if it is armed, for `delay_ns` from the last call of now(). */
    void (*set)(int i, uint64_t delay_ns);
    void (*now)(void);
    void (*cancel)(int i);
    /* Return when alarms_fired() has returned true. */
    void (*run)(void);
};

/* Answer for `who`. What main() returns. */
int alarms_main(int argc, char **argv, const char *who, const struct alarms *alarms);

/* A timer has fired. True if all have. */
bool alarms_fired(void);

#ifdef __cplusplus
}
#endif

#endif
