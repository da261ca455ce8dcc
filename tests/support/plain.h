/*
 * The plain harness: tests register themselves before main(); see plain.c for what it does with them. Included by test.h only.
 */
#ifndef TESTS_SUPPORT_PLAIN_H
#define TESTS_SUPPORT_PLAIN_H

#include <stdbool.h>

/* What Criterion's options mean, as far as the tests of this tree use them. */
struct plain_options {
    double timeout;
    void (*init)(void);
    void (*fini)(void);
    int signal;
    int exit_code;
    bool disabled;
    const char *description;
    int sentinel_;
};

struct plain_test {
    const char *suite;
    const char *name;
    void (*run)(void);
    struct plain_options options;
    struct plain_test *next;
};

void plain_register(struct plain_test *test);

#define PLAIN_TEST(suite_, name_, ...)                                                                                                     \
    static void suite_##_##name_##_plain(void);                                                                                            \
    __attribute__((constructor)) static void suite_##_##name_##_register(void)                                                             \
    {                                                                                                                                      \
        static struct plain_test test = {                                                                                                  \
            .suite = #suite_,                                                                                                              \
            .name = #name_,                                                                                                                \
            .run = suite_##_##name_##_plain,                                                                                               \
            .options = {__VA_ARGS__},                                                                                                      \
        };                                                                                                                                 \
        plain_register(&test);                                                                                                             \
    }                                                                                                                                      \
    static void suite_##_##name_##_plain(void)

#endif
