/*
 * Routes: a table from path to the function that answers. What never changes is written down once, head and all; what is live is
 * rendered by pages.c. Called by http.c for each request.
 */
#include "tools/demo/routes.h"

#include <assert.h>
#include <http_parser.h>
#include <stdbool.h>
#include <string.h>

#include "tools/demo/pages.h"
#include "tools/demo/reply.h"
#include "tools/demo/site.h"

#define HELLO_TEXT  "Hello, World!"
#define HELLO_JSON  "{\"message\":\"Hello, World!\"}"
#define NOT_ALLOWED "405 Method Not Allowed"

static_assert(sizeof(HELLO_TEXT) - 1 == 13, "the head below says 13");
static_assert(sizeof(HELLO_JSON) - 1 == 27, "the head below says 27");
static_assert(sizeof(NOT_ALLOWED) - 1 == 22, "the head below says 22");

static void reply_set_static(struct reply *reply, const char *head, const char *body)
{
    reply->head = head;
    reply->head_bytes = strlen(head);
    reply->body = body;
    reply->body_bytes = strlen(body);
    reply->memory = NULL;
}

static void answer_plaintext(struct shard *shard, struct reply *reply)
{
    (void)shard;
    reply_set_static(reply, REPLY_HEAD("200 OK", "text/plain", "13"), HELLO_TEXT);
}

static void answer_json(struct shard *shard, struct reply *reply)
{
    (void)shard;
    reply_set_static(reply, REPLY_HEAD("200 OK", "application/json", "27"), HELLO_JSON);
}

static void answer_page(struct shard *shard, struct reply *reply, const char *type, int (*render)(struct shard *, char **, size_t *))
{
    char *body;
    size_t body_bytes;
    if (render(shard, &body, &body_bytes) < 0) {
        reply_set_error(reply, "503 Service Unavailable");
        return;
    }
    reply_set(reply, "200 OK", type, body, body_bytes);
    reply->memory = body;
}

static void answer_home(struct shard *shard, struct reply *reply)
{
    answer_page(shard, reply, "text/html; charset=utf-8", page_home);
}

static void answer_tasks(struct shard *shard, struct reply *reply)
{
    answer_page(shard, reply, "text/plain; charset=utf-8", page_tasks);
}

struct route {
    const char *path;
    void (*answer)(struct shard *shard, struct reply *reply);
};

static const struct route routes[] = {
    {"/plaintext", answer_plaintext},
    {"/json", answer_json},
    {"/tasks", answer_tasks},
    {"/", answer_home},
};

static const struct route *route_find(const char *path, size_t len)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (strlen(routes[i].path) == len && memcmp(routes[i].path, path, len) == 0)
            return &routes[i];
    return NULL;
}

/* The path ends where the query begins. */
static const struct route *route_of_path(const char *target, size_t len)
{
    const char *query = memchr(target, '?', len);
    return route_find(target, query != NULL ? (size_t)(query - target) : len);
}

/* Proxies are asked with a whole URL. */
static const struct route *route_of_url(const char *target, size_t len)
{
    struct http_parser_url url = {0};
    if (http_parser_parse_url(target, len, false, &url) != 0)
        return NULL;
    if (!(url.field_set & (1u << UF_PATH)))
        return route_find("/", 1);
    return route_find(target + url.field_data[UF_PATH].off, url.field_data[UF_PATH].len);
}

static const struct route *route_of(const struct request *request)
{
    bool is_path = request->target_bytes > 0 && request->target[0] == '/';
    return is_path ? route_of_path(request->target, request->target_bytes) : route_of_url(request->target, request->target_bytes);
}

void routes_answer(struct shard *shard, const struct request *request, struct reply *reply)
{
    const struct route *route = route_of(request);
    if (route == NULL)
        reply_set_error(reply, "404 Not Found");
    else if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        reply_set_static(reply, REPLY_HEAD(NOT_ALLOWED, "text/plain", "22") "Allow: GET, HEAD\r\n", NOT_ALLOWED);
    else
        route->answer(shard, reply);
}
