/*
 * Thread key: one word for each, which is the key plus one. Called by whoever keeps something for a thread until it ends. The invariant: the
 * word is written once, by the first who has made a key.
 */
#include "lib/base/thread_key.h"

#include "weft/atomic.h"

bool thread_key_get(uint64_t *made, void (*end)(void *value), pthread_key_t *key_out)
{
    /* Acquire: the key in the C library. Pairs with the release below. */
    uint64_t word = weft_atomic_load_acquire(made);
    pthread_key_t key;
    if (word == 0 && pthread_key_create(&key, end) == 0) {
        /* Release: the key. Pairs with the acquire above. And that acquire, if somebody was faster: Pairs with the release of his. */
        if (weft_atomic_cas_acq_rel(made, &word, (uint64_t)key + 1))
            word = (uint64_t)key + 1;
        else
            (void)pthread_key_delete(key);
    }
    if (word == 0)
        return false;
    *key_out = (pthread_key_t)(word - 1);
    return true;
}
