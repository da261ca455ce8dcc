/*
 * Client: a blocking socket that asks the site by hand. Everything gives up after some seconds, and fails the test.
 */
#ifndef TESTS_DEMO_CLIENT_H
#define TESTS_DEMO_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* Connect to 127.0.0.1. */
int client_connect(uint16_t port);

/* Send all of `text`. */
void client_send(int fd, const char *text);

/* Receive until `text` came `count` times, and return how many bytes it took. */
size_t client_expect(int fd, const char *text, size_t count);

/* Receive and drop until the end. 0, or -errno if it was no orderly one. */
int client_expect_end(int fd);

/* Close with a reset. */
void client_reset(int fd);

#endif
