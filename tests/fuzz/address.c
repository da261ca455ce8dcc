/*
 * Addresses: numeric hosts, services, UNIX paths and the order of lists, against the C library and against the rules themselves. No name
 * is looked up: the loop lives in a world where there is none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/un.h>

#include "lib/net/address.h"
#include "tests/fuzz/fuzz.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/memory.h"
#include "weft/status.h"

enum { TEXT_MAX = 200 };

static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};

static bool is_same(const struct weft_address *one, const struct sockaddr *other)
{
    if (one->family != other->sa_family)
        return false;
    if (one->family == AF_INET)
        return ((const struct sockaddr_in *)&one->storage)->sin_addr.s_addr == ((const struct sockaddr_in *)other)->sin_addr.s_addr;
    const struct sockaddr_in6 *left = (const struct sockaddr_in6 *)&one->storage, *right = (const struct sockaddr_in6 *)other;
    return memcmp(&left->sin6_addr, &right->sin6_addr, sizeof(left->sin6_addr)) == 0 && left->sin6_scope_id == right->sin6_scope_id;
}

/*
 * What we take for an address, the C library does too, but for the name of an interface with an address of no link's. The other way round
 * but for its old forms, such as 127.1.
 */
static void check_host(const char *host, int family, const struct weft_address *address, int status)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *infos = NULL;
    uint8_t binary[16];
    int code = getaddrinfo(host, NULL, &hints, &infos);
    const char *zone = strchr(host, '%');
    if (status == 0 && (zone == NULL || (zone[1] >= '0' && zone[1] <= '9')))
        CHECK(code == 0 && is_same(address, infos->ai_addr));
    if (family != AF_INET6 && inet_pton(AF_INET, host, binary) == 1)
        CHECK_EQ(status, 0);
    if (family != AF_INET && inet_pton(AF_INET6, host, binary) == 1)
        CHECK_EQ(status, 0);
    if (code == 0)
        freeaddrinfo(infos);
}

static void numeric(struct fuzz *fuzz)
{
    char host[TEXT_MAX];
    struct weft_address address, untouched;
    int family = families[fuzz_below(fuzz, 3)];
    fuzz_line(fuzz, host, sizeof(host));
    memset(&address, 0x5a, sizeof(address));
    untouched = address;
    int status = address_from_numeric(host, 4711, family, &address);
    CHECK(status == 0 || status == WEFT_ENONAME);
    if (status == 0)
        CHECK_EQ(address_get_port(&address.storage), 4711);
    else
        CHECK(memcmp(&address, &untouched, sizeof(address)) == 0);
    check_host(host, family, &address, status);
}

static void path(struct fuzz *fuzz)
{
    char name[TEXT_MAX];
    struct weft_address address;
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address.storage;
    size_t len = fuzz_line(fuzz, name, sizeof(name));
    int status = address_from_path(name, &address);
    CHECK_EQ(status, len == 0 ? -EINVAL : len >= sizeof(un->sun_path) ? -ENAMETOOLONG : 0);
    if (status < 0)
        return;
    bool is_abstract = name[0] == '@';
    CHECK_EQ(address.len, offsetof(struct sockaddr_un, sun_path) + len + !is_abstract);
    CHECK(memcmp(un->sun_path + 1, name + 1, len - 1) == 0);
    CHECK_EQ(un->sun_path[0], is_abstract ? '\0' : name[0]);
    CHECK(is_abstract ? address_path(&address) == NULL : strcmp(address_path(&address), name) == 0);
    CHECK_EQ(address_get_port(&address.storage), -EINVAL);
}

/* A service is a number of digits, up to 65535. */
static int port_of(const char *service)
{
    size_t len = strspn(service, "0123456789");
    unsigned long port = strtoul(service, NULL, 10);
    return len == 0 || service[len] != '\0' || port > UINT16_MAX ? WEFT_ENONAME : (int)port;
}

static void check_found(struct weft_future *future, const char *service, const struct weft_resolve_options *options)
{
    struct weft_address_list *list;
    void *value;
    CHECK(weft_future_done(future));
    int port = port_of(service), status = weft_future_result(future, &value);
    CHECK(status == 0 || status == WEFT_ENONAME);
    if (port < 0)
        CHECK_EQ(status, WEFT_ENONAME);
    if (status < 0)
        return;
    list = value;
    CHECK(list->count > 0);
    for (size_t i = 0; i < list->count; i++) {
        CHECK_EQ(address_get_port(&list->addresses[i].storage), port);
        CHECK(options->family == AF_UNSPEC || list->addresses[i].family == options->family);
        CHECK_EQ(list->addresses[i].type, options->type);
    }
}

static void lookup(struct fuzz *fuzz)
{
    char host[TEXT_MAX], service[TEXT_MAX];
    struct weft_resolve_options options = WEFT_RESOLVE_OPTIONS;
    struct weft_loop *loop;
    struct weft_future *future;
    options.family = families[fuzz_below(fuzz, 3)];
    options.type = (int)fuzz_below(fuzz, 4);
    options.flags = fuzz_below(fuzz, 2) ? AI_PASSIVE : 0;
    bool has_host = fuzz_line(fuzz, host, sizeof(host)) > 0;
    fuzz_line(fuzz, service, sizeof(service));
    CHECK_EQ(weft_loop_new(weft_loop_kind_sim(), 0, &loop), 0);
    CHECK_EQ(weft_loop_getaddrinfo(loop, has_host ? host : NULL, service, &options, &future), 0);
    check_found(future, service, &options);
    weft_future_unref(future);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

/* The same addresses, each family in its order; the first family's come first, and then in turn as long as there are both. */
static void check_order(const struct weft_address_list *list, const int *before, uint32_t first_count)
{
    int last[2] = {-1, -1};
    size_t seen = 0, others = 0, firsts = 0;
    for (size_t i = 0; i < list->count; i++)
        firsts += before[i] == before[0];
    for (size_t i = 0; i < list->count; i++) {
        bool is_other = list->addresses[i].family != before[0];
        CHECK(list->addresses[i].type > last[is_other]);
        last[is_other] = list->addresses[i].type;
        CHECK_EQ(before[last[is_other]], list->addresses[i].family);
        if (seen < firsts && others < list->count - firsts)
            CHECK_EQ(is_other, i >= first_count && (i - first_count) % 2 == 0);
        *(is_other ? &others : &seen) += 1;
    }
}

static void order(struct fuzz *fuzz)
{
    int before[32];
    uint32_t first_count = fuzz_below(fuzz, 6);
    struct weft_address_list list = {.count = fuzz_below(fuzz, 32)};
    list.addresses = weft_calloc(list.count, sizeof(*list.addresses));
    for (size_t i = 0; i < list.count; i++) {
        before[i] = list.addresses[i].family = fuzz_below(fuzz, 2) ? AF_INET6 : AF_INET;
        list.addresses[i].type = (int)i;
    }
    CHECK_EQ(address_interleave(&list, first_count), 0);
    check_order(&list, before, first_count);
    weft_free(list.addresses);
}

void fuzz_target(struct fuzz *fuzz)
{
    static void (*const parts[])(struct fuzz *) = {numeric, path, lookup, order};
    while (fuzz_has_more(fuzz))
        parts[fuzz_below(fuzz, 4)](fuzz);
}
