/*
 * HTTP text: a real parser that sees each header, as a server's would. Called by the servers.
 */
#include "bench/kit/http_text.h"

static _Thread_local http_answer_fn *answer_now;

static int note(http_parser *parser, const char *at, size_t len)
{
    (void)parser, (void)at, (void)len;
    return 0;
}

static int complete(http_parser *parser)
{
    return answer_now(parser->data);
}

int http_text_feed(http_parser *parser, const char *data, size_t len, http_answer_fn *answer)
{
    static const http_parser_settings settings = {
        .on_url = note, .on_header_field = note, .on_header_value = note, .on_message_complete = complete};
    answer_now = answer;
    return http_parser_execute(parser, &settings, data, len) == len && HTTP_PARSER_ERRNO(parser) == HPE_OK ? 0 : -1;
}
