/*
 * Weft as a contestant that serves: by callbacks, and with a fiber for each connection.
 */
#include "bench/servers/weft_server.h"

int main(int argc, char **argv)
{
    static const struct server servers[] = {
        {"echo", weft_echo_serve},
        {"bulk", weft_echo_serve}, /* buffers are the loop's, and grow by themselves */
        {"http", weft_http_serve},
        {"echo_spin", weft_echo_spin_serve},
        {"echo_stream", weft_echo_stream_serve},
        {"bulk_stream", weft_bulk_stream_serve},
    };
    return serve_main(argc, argv, "weft", servers, sizeof(servers) / sizeof(servers[0]));
}
