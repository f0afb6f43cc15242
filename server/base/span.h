/* base/span.h - bytes that somebody else owns: a pointer and a length, not NUL-terminated.
 *
 * Pure; a span never owns and is valid as long as what it points into. {NULL, 0} is the empty span and every function
 * takes it. "i" in a name means ASCII case is ignored (no locale).
 *
 * Tests: tests/unit/base/test_span.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

/* A span over a string literal; usable in static initialisers. */
#define SPAN(lit) ((struct span){ "" lit, sizeof(lit) - 1 })
/* clang-format off */
#define SPAN_INIT(lit) { "" lit, sizeof(lit) - 1 }
/* clang-format on */

/* For printf's "%.*s"; a negative precision would mean "up to the NUL". */
#define SPAN_PRECISION(s) (int)((s).n < 0x7fffffff ? (s).n : 0x7fffffff)
#define SPAN_ARG(s)       SPAN_PRECISION(s), ((s).p ? (s).p : "")

static inline struct span span_make(const void *p, size_t n)
{
	return (struct span){ (const char *)p, n };
}

static inline struct span span_of(const char *text)
{
	return (struct span){ text, text ? strlen(text) : 0 };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* @s without its first / from @from, at most @n octets; clamped to what there is. */
static inline struct span span_skip(struct span s, size_t n)
{
	n = n < s.n ? n : s.n;
	return (struct span){ n ? s.p + n : s.p, s.n - n }; /* NULL + 0 is undefined */
}

static inline struct span span_first(struct span s, size_t n)
{
	return (struct span){ s.p, n < s.n ? n : s.n };
}

static inline bool span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq(span_first(s, prefix.n), prefix);
}

static inline bool span_ends(struct span s, struct span suffix)
{
	return s.n >= suffix.n && span_eq(span_skip(s, s.n - suffix.n), suffix);
}

bool span_ieq(struct span a, struct span b);
bool span_istarts(struct span s, struct span prefix);

/* -1, 0, 1 as strcmp: octet order, and the ASCII case-blind order. */
int span_cmp(struct span a, struct span b);
int span_icmp(struct span a, struct span b);

/* Offset of the first / last @c, or of the first occurrence of @needle; -1 if there is none. */
ptrdiff_t span_find_char(struct span s, char c);
ptrdiff_t span_rfind_char(struct span s, char c);
ptrdiff_t span_find(struct span s, struct span needle);

/* Without spaces and tabs at both ends. */
struct span span_trim(struct span s);

/* Cuts @s at the first @sep: returns what is before it and leaves what is after it in *s. Without a @sep all of *s is
 * returned and *s becomes empty with p == NULL, so that `while (s.p)` ends. */
struct span span_cut(struct span *s, char sep);

/* Decimal number without sign. Returns false, and leaves *v_r alone, if it is empty, has another octet or is over @max. */
bool span_to_u64(struct span s, uint64_t max, uint64_t *v_r);

/* ASCII only, no locale. */
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_is_alnum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* 0..15, or -1. */
static inline int ascii_hex_value(char c)
{
	return ascii_is_digit(c)      ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}
