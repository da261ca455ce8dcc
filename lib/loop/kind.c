/*
 * Kinds: how a loop is subclassed.
 *
 * A table is a size and then words, where a zero word means "inherit". Laying tables over each other word by word needs to know no slot
 * by name, so that a kind compiled against a shorter table keeps working, and one compiled against a longer table is cut to what this
 * library knows.
 */
#include "lib/loop/kind.h"

#include <errno.h>
#include <stdint.h>

#include "lib/loop/loop.h"
#include "weft/memory.h"
#include "weft/status.h"

enum { KIND_DEPTH_MAX = 8, TRANSPORT_WORDS_MAX = 16 };

/* Room for one loop's tables. The transport's is sized for more slots than there are; its header is above this room. */
struct kind_tables {
    struct weft_poller_ops poller;
    uintptr_t transport[TRANSPORT_WORDS_MAX];
};

/* The two roots; their pollers are asked for when the tables are laid, since a getter is no constant. */
static const struct weft_loop_kind kind_epoll = {.size = sizeof(kind_epoll), .name = "epoll"};
static const struct weft_loop_kind kind_sim = {.size = sizeof(kind_sim), .name = "sim"};

#define kind_has(kind, member) ((kind)->size >= offsetof(struct weft_loop_kind, member) + sizeof((kind)->member) && (kind)->member != 0)

static const struct weft_loop_kind *kind_base(const struct weft_loop_kind *kind)
{
    if (kind == &kind_epoll || kind == &kind_sim)
        return NULL;
    return kind_has(kind, base) ? kind->base : &kind_epoll;
}

size_t kind_round_up(size_t bytes)
{
    return (bytes + WEFT_CACHE_LINE_BYTES - 1) & ~(size_t)(WEFT_CACHE_LINE_BYTES - 1);
}

int kind_check(const struct weft_loop_kind *kind)
{
    for (int depth = 0; depth < KIND_DEPTH_MAX; depth++) {
        if (kind->size < offsetof(struct weft_loop_kind, base))
            return WEFT_EPROTOCOL;
        kind = kind_base(kind);
        if (kind == NULL)
            return 0;
    }
    return WEFT_EPROTOCOL;
}

/* Copy the words of `from` that are not zero over those of `to`, both of which start with their size. */
static void lay_words(uintptr_t *to, size_t to_words, const void *from)
{
    const uintptr_t *words = from;
    size_t count = words[0] / sizeof(uintptr_t);
    count = count < to_words ? count : to_words;
    for (size_t i = 1; i < count; i++)
        if (words[i] != 0)
            to[i] = words[i];
    to[0] = to_words * sizeof(uintptr_t);
}

static const struct weft_poller_ops *kind_poller(const struct weft_loop_kind *kind)
{
    if (kind == &kind_epoll)
        return weft_poller_epoll_ops();
    if (kind == &kind_sim)
        return weft_poller_sim_ops();
    return kind_has(kind, poller) ? kind->poller : NULL;
}

static void lay_kind(const struct weft_loop_kind *kind, struct kind_tables *tables)
{
    const struct weft_loop_kind *base = kind_base(kind);
    if (base != NULL)
        lay_kind(base, tables);
    const struct weft_poller_ops *poller = kind_poller(kind);
    if (poller != NULL && weft_poller_ops_has(poller, submit))
        tables->poller.send = NULL; /* whoever looks at operations is to see them all */
    if (poller != NULL)
        lay_words((uintptr_t *)&tables->poller, sizeof(tables->poller) / sizeof(uintptr_t), poller);
    if (kind_has(kind, transport))
        lay_words(tables->transport, TRANSPORT_WORDS_MAX, kind->transport);
}

int kind_lay_tables(const struct weft_loop_kind *kind, struct weft_loop *loop)
{
    struct kind_tables *tables = weft_calloc(1, sizeof(*tables));
    if (tables == NULL)
        return -ENOMEM;
    lay_kind(kind, tables);
    loop->tables = tables;
    loop->poller_ops = &tables->poller;
    loop->transport_ops = (const struct weft_transport_ops *)(const void *)tables->transport;
    return 0;
}

void loop_lay_transport_base(struct weft_loop *loop, const struct weft_transport_ops *base)
{
    struct kind_tables *tables = loop->tables;
    uintptr_t laid[TRANSPORT_WORDS_MAX] = {0};
    lay_words(laid, TRANSPORT_WORDS_MAX, base);
    if (tables->transport[0] != 0)
        lay_words(laid, TRANSPORT_WORDS_MAX, tables->transport);
    __builtin_memcpy(tables->transport, laid, sizeof(laid));
}

static void fini_until(struct weft_loop *loop, const struct weft_loop_kind *kind, const struct weft_loop_kind *end)
{
    for (; kind != end && !loop_is_forked(loop); kind = kind_base(kind))
        if (kind_has(kind, fini))
            kind->fini(loop, loop->user);
}

static int init_chain(struct weft_loop *loop, const struct weft_loop_kind *kind, const void *options)
{
    const struct weft_loop_kind *base = kind_base(kind);
    int status = base == NULL ? 0 : init_chain(loop, base, options);
    if (status < 0 || !kind_has(kind, init))
        return status;
    status = kind->init(loop, loop->user, options);
    if (status < 0 && base != NULL)
        fini_until(loop, base, NULL);
    return status;
}

int kind_init(struct weft_loop *loop, const void *options)
{
    return init_chain(loop, loop->kind, options);
}

void kind_fini(struct weft_loop *loop)
{
    fini_until(loop, loop->kind, NULL);
}

const struct weft_loop_kind *weft_loop_kind_epoll(void)
{
    return &kind_epoll;
}

const struct weft_loop_kind *weft_loop_kind_sim(void)
{
    return &kind_sim;
}
