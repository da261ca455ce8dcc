/*
 * Locks: what lib/task/executor.c finds instead of pthread's. Included before it by the build.
 */
#ifndef TESTS_MODEL_LOCKS_H
#define TESTS_MODEL_LOCKS_H

#include <pthread.h>
#include <time.h>

int model_mutex_init(void *mutex, const void *attributes);
int model_mutex_lock(void *mutex);
int model_mutex_unlock(void *mutex);
int model_cond_init(void *condition, const void *attributes);
int model_cond_signal(void *condition);
int model_cond_wait(void *condition, void *mutex);
int model_cond_timedwait(void *condition, void *mutex, const struct timespec *deadline);
int model_destroy(void *object);

#define pthread_mutex_init     model_mutex_init
#define pthread_mutex_lock     model_mutex_lock
#define pthread_mutex_unlock   model_mutex_unlock
#define pthread_mutex_destroy  model_destroy
#define pthread_cond_init      model_cond_init
#define pthread_cond_signal    model_cond_signal
#define pthread_cond_broadcast model_cond_signal
#define pthread_cond_wait      model_cond_wait
#define pthread_cond_timedwait model_cond_timedwait
#define pthread_cond_destroy   model_destroy

#endif
