/* base/buf.h - bytes that we build: growable, with a mandatory maximum.
 *
 * When an addition would go over the maximum nothing is added, `overflow` is set and stays set until buf_reset(), and the
 * function returns false: a caller may check each addition or `overflow` once at the end. What is added must not be part of the
 * buf itself.
 *
 * Ownership: the buf owns its bytes; buf_span() is valid until the next change.  Threads: one at a time.
 * Tests: tests/unit/base/test_buf.c
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct buf {
	char *p;
	size_t n, cap, max;
	bool overflow;
};

#define BUF_INIT(bytes_max) ((struct buf){ .max = (bytes_max) })

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){ b->p, b->n };
}

void buf_init(struct buf *b, size_t bytes_max);
void buf_free(struct buf *b);  /* gives the memory back; the buf stays usable with the same maximum */
void buf_reset(struct buf *b); /* empty, memory kept */
/* buf_free() of a secret: overwritten first. Who builds one reserves enough before, for growing leaves the old place as it was. */
void buf_wipe(struct buf *b);

bool buf_reserve(struct buf *b, size_t more); /* room for @more octets behind n */
bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_add_span(struct buf *b, struct span s);
bool buf_add_str(struct buf *b, const char *s);
static inline bool buf_add_char(struct buf *b, char c)
{
	if (b->overflow || b->n >= b->cap || b->n >= b->max)
		return buf_add(b, &c, 1);
	b->p[b->n++] = c;
	return true;
}
bool buf_add_u64(struct buf *b, uint64_t v);
bool buf_add_i64(struct buf *b, int64_t v);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
bool buf_insert(struct buf *b, size_t at, struct span s);
void buf_remove(struct buf *b, size_t at, size_t n);
static inline void buf_consume(struct buf *b, size_t n)
{
	buf_remove(b, 0, n);
}

/* NUL-terminated text of the buf; the NUL counts neither in n nor for the maximum. "" after an overflow. */
const char *buf_cstr(struct buf *b);
