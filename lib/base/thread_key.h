/*
 * Thread key: thread-specific data whose key is made when it is first needed.
 *
 *     static uint64_t made;
 *     pthread_key_t key;
 *     if (thread_key_get(&made, end_of_thread, &key)) …
 *
 * Keys are scarce: one that could not be had is asked for again the next time. There is no lock, which a fork might find taken.
 */
#ifndef LIB_BASE_THREAD_KEY_H
#define LIB_BASE_THREAD_KEY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Get the key that `made` stands for (0: none yet); `end` is called with a thread's value as it ends.
 *
 * thread:  any
 * returns: false if there is none to be had
 */
bool thread_key_get(uint64_t *made, void (*end)(void *value), pthread_key_t *key_out);

#endif
