/*
 * Reply: the two that are written at run time. Called by routes.c and http.c.
 */
#include "tools/demo/reply.h"

#include <stdio.h>
#include <string.h>

void reply_set(struct reply *reply, const char *status, const char *type, const char *body, size_t body_bytes)
{
    int len = snprintf(reply->room, sizeof(reply->room), REPLY_HEAD("%s", "%s", "%zu"), status, type, body_bytes);
    reply->head = reply->room;
    reply->head_bytes = (size_t)len;
    reply->body = body;
    reply->body_bytes = body_bytes;
    reply->memory = NULL;
}

void reply_set_error(struct reply *reply, const char *status)
{
    reply_set(reply, status, "text/plain", status, strlen(status));
}
