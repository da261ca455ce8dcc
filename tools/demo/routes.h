/*
 * Routes: what the site has under which path.
 */
#ifndef TOOLS_DEMO_ROUTES_H
#define TOOLS_DEMO_ROUTES_H

struct reply;
struct request;
struct shard;

/*
 * Answer `request`, which came to `shard`.
 *
 * thread:  the shard's loop
 * memory:  reply->memory is the caller's to free()
 */
void routes_answer(struct shard *shard, const struct request *request, struct reply *reply);

#endif
