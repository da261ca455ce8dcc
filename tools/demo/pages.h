/*
 * Pages: what is rendered anew for each request.
 */
#ifndef TOOLS_DEMO_PAGES_H
#define TOOLS_DEMO_PAGES_H

#include <stddef.h>

struct shard;

/*
 * Render the home page, as served by `shard`: what runs, in HTML that asks for itself again each second.
 *
 * thread:  the shard's loop
 * memory:  *body_out is the caller's to free()
 * returns: 0; -ENOMEM
 */
int page_home(struct shard *shard, char **body_out, size_t *body_bytes_out);

/* Render all tasks as plain text. As page_home(). thread: the shard's loop */
int page_tasks(struct shard *shard, char **body_out, size_t *body_bytes_out);

#endif
