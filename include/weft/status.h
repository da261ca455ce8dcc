/*
 * Status: one convention from the kernel to the user.
 *
 * A call that can fail returns `int`: 0 or a count on success, `-errno` or one of the WEFT_E… codes below on failure. The codes lie
 * below the range of errno, so that one number says it all, also where it travels through a future as a task's exception.
 *
 * A NULL that no contract allows is refused, and changes nothing: a call that returns a status says -EINVAL (WEFT_EPROTOCOL for a table),
 * one that asks says false, 0 or NULL, a reference to NULL is NULL. Only what initialises memory of the caller's (weft_file_init(), the
 * weft_operation_…() and weft_timer_init()) has nobody to tell: there it asserts.
 *
 * In the child of a fork() each call on a loop, runtime or executor of the parent's that lists WEFT_ECLOSED or WEFT_ERUNNING returns
 * WEFT_EFORKED in its place, see weft/runtime.h.
 *
 * thread:  any, all of them
 */
#ifndef WEFT_STATUS_H
#define WEFT_STATUS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * name, number, text. The table is the one place where a code is spelled; the numbers are part of the ABI and are never reused.
 * From -4300 down to -4399 are the fatal ones: they leave the loop (asyncio's SystemExit and KeyboardInterrupt).
 */
#define WEFT_STATUS_TABLE(X)                                                                                                               \
    X(WEFT_EINVALIDSTATE, -4097, "the future is not in the state that the call needs")                                                     \
    X(WEFT_ECLOSED, -4098, "the loop is closed")                                                                                           \
    X(WEFT_ERUNNING, -4099, "the loop is already running")                                                                                 \
    X(WEFT_EOTHERLOOP, -4100, "another loop is running in this thread")                                                                    \
    X(WEFT_ENOLOOP, -4101, "no loop is running in this thread")                                                                            \
    X(WEFT_ENOTRUNNINGLOOP, -4102, "the loop is not the running loop of this thread")                                                      \
    X(WEFT_EWRONGTHREAD, -4103, "the call belongs to the thread that runs the loop")                                                       \
    X(WEFT_ETASKBUSY, -4104, "another task is already entered")                                                                            \
    X(WEFT_ETASKMISMATCH, -4105, "the task to leave is not the one that was entered")                                                      \
    X(WEFT_ESTOPPED, -4106, "the loop was stopped before the future completed")                                                            \
    X(WEFT_EBROKENPROMISE, -4107, "the last completer went away without completing the future")                                            \
    X(WEFT_ENOFIBER, -4108, "the call needs a fiber to suspend, and none is running here")                                                 \
    X(WEFT_EFULL, -4109, "the queue is full")                                                                                              \
    X(WEFT_EAWAITSELF, -4110, "a task cannot await itself")                                                                                \
    X(WEFT_EBADYIELD, -4111, "the coroutine yielded something that is not awaitable")                                                      \
    X(WEFT_EPROTOCOL, -4112, "the object does not keep its contract: a required slot is missing or too short")                             \
    X(WEFT_ECLOSING, -4113, "the transport is closing")                                                                                    \
    X(WEFT_EEOF, -4114, "the stream ended before enough bytes came")                                                                       \
    X(WEFT_ELIMIT, -4115, "a limit was reached before the separator was found")                                                            \
    X(WEFT_EGROUP, -4116, "one or more tasks of the group failed")                                                                         \
    X(WEFT_EGROUPSTATE, -4117, "the task group is not in the state that the call needs")                                                   \
    X(WEFT_ENOTASK, -4118, "the call needs a current task")                                                                                \
    X(WEFT_ENONAME, -4119, "the host or service name is not known")                                                                        \
    X(WEFT_ENAMEAGAIN, -4120, "the name could not be resolved for now")                                                                    \
    X(WEFT_ENAMEFAIL, -4121, "the name could not be resolved")                                                                             \
    X(WEFT_EFORBIDDEN, -4122, "the operation does not apply to this object")                                                               \
    X(WEFT_ELOST, -4123, "the connection was lost")                                                                                        \
    X(WEFT_EOTHERFIBER, -4124, "the job was forked by another fiber")                                                                      \
    X(WEFT_EJOINORDER, -4125, "a newer fork has not been joined yet")                                                                      \
    X(WEFT_EUNJOINED, -4126, "a fiber ended with jobs that nobody had joined")                                                             \
    X(WEFT_EFORKED, -4127, "the object belongs to the process that this one was forked from")                                              \
    X(WEFT_ENOTLOCKED, -4128, "the lock is not held")                                                                                      \
    X(WEFT_EEXIT, -4300, "exit was asked for")                                                                                             \
    X(WEFT_EINTERRUPT, -4301, "interrupted by the user")

enum weft_status {
#define WEFT_STATUS_ENUM(name, number, text) name = number,
    WEFT_STATUS_TABLE(WEFT_STATUS_ENUM)
#undef WEFT_STATUS_ENUM
};

/*
 * The name of `status` as it is written in C: "WEFT_ECLOSED", "ECANCELED", "OK" for 0 and above, "UNKNOWN" for what is neither.
 *
 * thread:  any
 * memory:  the string is static
 * returns: never NULL
 */
const char *weft_status_name(int status);

/*
 * One sentence about `status` for a person, without a final stop. For an errno it is the C library's, in the "C" locale.
 *
 * thread:  any
 * memory:  the string is static
 * returns: never NULL
 */
const char *weft_status_text(int status);

/*
 * True if `status` leaves the loop that it reaches: it is stored in the task that raised it and returned by weft_loop_run_forever().
 *
 * thread:  any
 */
bool weft_status_is_fatal(int status);

#ifdef __cplusplus
}
#endif

#endif
