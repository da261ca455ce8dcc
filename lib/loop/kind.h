/*
 * Kinds, as the loop's life uses them: how small tables become a whole one. See lib/loop/kind.c.
 */
#ifndef LIB_LOOP_KIND_H
#define LIB_LOOP_KIND_H

#include <stddef.h>

struct weft_loop;
struct weft_loop_kind;
struct weft_poller_ops;

/* 0; WEFT_EPROTOCOL for a kind without a size, or a chain of bases that does not end. */
int kind_check(const struct weft_loop_kind *kind);

/* Lay the tables of `kind` over those of its bases, in memory of the loop's own. 0; -ENOMEM. */
int kind_lay_tables(const struct weft_loop_kind *kind, struct weft_loop *loop);

/* Call the init of the bases and then of the kind; if one fails, undo those before. */
int kind_init(struct weft_loop *loop, const void *options);

/* Call the fini of the kind and then of its bases. */
void kind_fini(struct weft_loop *loop);

/* `bytes` rounded up to whole cache lines. */
size_t kind_round_up(size_t bytes);

#endif
