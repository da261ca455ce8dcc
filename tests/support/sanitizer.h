/*
 * Which tool watches a test, for tests that take fewer rounds under one: gcc and clang say it in different words, and qemu does not say
 * it at all. Each macro is 0 or 1.
 */
#ifndef TESTS_SUPPORT_SANITIZER_H
#define TESTS_SUPPORT_SANITIZER_H

#if defined(__has_feature)
#define TEST_HAS_FEATURE(name) __has_feature(name)
#else
#define TEST_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || TEST_HAS_FEATURE(address_sanitizer)
#define TEST_ASAN 1
#else
#define TEST_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || TEST_HAS_FEATURE(thread_sanitizer)
#define TEST_TSAN 1
#else
#define TEST_TSAN 0
#endif

#if TEST_HAS_FEATURE(memory_sanitizer)
#define TEST_MSAN 1
#else
#define TEST_MSAN 0
#endif

/* Another machine's program, under qemu's user mode: see --config=aarch64. */
#if defined(WEFT_TEST_EMULATED)
#define TEST_EMULATED 1
#else
#define TEST_EMULATED 0
#endif

/* Memory is kept after its release, or frames are larger: figures about either mean nothing. */
#define TEST_SANITIZED (TEST_ASAN || TEST_TSAN || TEST_MSAN)

/* Everything takes some times longer. */
#define TEST_IS_SLOW (TEST_SANITIZED || TEST_EMULATED)

#endif
