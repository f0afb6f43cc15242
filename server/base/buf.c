#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

void buf_init(struct buf *b, size_t bytes_max)
{
	*b = BUF_INIT(bytes_max);
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void buf_wipe(struct buf *b)
{
	if (b->p)
		mem_wipe(b->p, b->cap);
	buf_free(b);
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
}

bool buf_reserve(struct buf *b, size_t more)
{
	if (b->overflow || more > b->max || b->n > b->max - more) {
		b->overflow = true;
		return false;
	}
	if (b->cap - b->n >= more)
		return true;
	size_t cap = b->cap ? b->cap : 64;
	while (cap - b->n < more && cap <= b->max / 2)
		cap *= 2;
	if (cap - b->n < more || cap > b->max)
		cap = b->max;
	b->p = mem_realloc(b->p, cap);
	b->cap = cap;
	return true;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
	if (!buf_reserve(b, n))
		return false;
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	return true;
}

bool buf_add_span(struct buf *b, struct span s)
{
	return buf_add(b, s.p, s.n);
}

bool buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

static bool add_number(struct buf *b, uint64_t v, bool negative)
{
	char digits[21];
	size_t i = sizeof digits;

	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	if (negative)
		digits[--i] = '-';
	return buf_add(b, digits + i, sizeof digits - i);
}

bool buf_add_u64(struct buf *b, uint64_t v)
{
	return add_number(b, v, false);
}

bool buf_add_i64(struct buf *b, int64_t v)
{
	return add_number(b, v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v, v < 0);
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const bool ok = buf_vaddf(b, fmt, ap);
	va_end(ap);
	return ok;
}

bool buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	char small[256];
	va_list again;

	va_copy(again, ap);
	const int n = vsnprintf(small, sizeof small, fmt, ap);
	bool ok = false;
	if (n < 0) {
		b->overflow = true; /* over INT_MAX octets */
	} else if ((size_t)n < sizeof small) {
		ok = buf_add(b, small, (size_t)n);
	} else if (buf_reserve(b, (size_t)n)) {
		char *big = mem_alloc_raw((size_t)n + 1);
		vsnprintf(big, (size_t)n + 1, fmt, again);
		ok = buf_add(b, big, (size_t)n);
		free(big);
	}
	va_end(again);
	return ok;
}

bool buf_insert(struct buf *b, size_t at, struct span s)
{
	require(at <= b->n);
	if (!buf_reserve(b, s.n))
		return false;
	if (s.n == 0)
		return true;
	memmove(b->p + at + s.n, b->p + at, b->n - at);
	memcpy(b->p + at, s.p, s.n);
	b->n += s.n;
	return true;
}

void buf_remove(struct buf *b, size_t at, size_t n)
{
	require(at <= b->n && n <= b->n - at);
	if (n == 0)
		return;
	memmove(b->p + at, b->p + at + n, b->n - at - n);
	b->n -= n;
}

const char *buf_cstr(struct buf *b)
{
	if (b->overflow)
		return "";
	if (b->cap == b->n)
		b->p = mem_realloc(b->p, ++b->cap);
	b->p[b->n] = 0;
	return b->p;
}
