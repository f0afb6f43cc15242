#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BLOCK_MIN = 1024, BLOCK_MAX = 256 * 1024, BLOCK_KEEP_MAX = 16 * 1024 };

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_EXACT true
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_EXACT true
#endif
#ifndef ARENA_EXACT
#define ARENA_EXACT false
#endif

struct block {
	struct block *next;
	size_t cap;
	alignas(max_align_t) char data[];
};

struct arena {
	struct block *head; /* the block that is being filled; older ones behind it */
	size_t at;          /* octets used of head */
	size_t used, max;
};

struct arena *arena_new(size_t bytes_max)
{
	struct arena *a = mem_alloc(sizeof *a);

	a->max = bytes_max;
	return a;
}

static void free_blocks(struct block *b)
{
	while (b) {
		struct block *next = b->next;
		free(b);
		b = next;
	}
}

void arena_free(struct arena **a)
{
	if (!*a)
		return;
	free_blocks((*a)->head);
	free(*a);
	*a = NULL;
}

void arena_reset(struct arena *a)
{
	if (!a->head || ARENA_EXACT || a->head->cap > BLOCK_KEEP_MAX) {
		arena_release(a);
		return;
	}
	free_blocks(a->head->next);
	a->head->next = NULL;
	a->at = a->used = 0;
}

void arena_release(struct arena *a)
{
	free_blocks(a->head);
	a->head = NULL;
	a->at = a->used = 0;
}

/* A new head with room for @n octets: twice the size of the last one, but not more than the arena may still hand out. */
static void add_block(struct arena *a, size_t n)
{
	size_t cap = a->head ? a->head->cap * 2 : BLOCK_MIN;

	cap = cap < BLOCK_MAX ? cap : BLOCK_MAX;
	cap = cap < a->max - a->used ? cap : a->max - a->used;
	cap = cap > n && !ARENA_EXACT ? cap : n;
	struct block *b = mem_alloc_raw(sizeof *b + cap);
	b->cap = cap;
	b->next = a->head;
	a->head = b;
	a->at = 0;
}

/* @n octets, not zeroed, at a multiple of @align. */
static void *take(struct arena *a, size_t n, size_t align)
{
	size_t pad = (align - a->at % align) % align;

	if (n > PTRDIFF_MAX / 2)
		return NULL;
	if (!a->head || ARENA_EXACT || a->head->cap - a->at < pad || a->head->cap - a->at - pad < n) {
		if (n > a->max - a->used)
			return NULL;
		add_block(a, n);
		pad = 0;
	} else if (pad + n > a->max - a->used) {
		return NULL;
	}
	void *p = a->head->data + a->at + pad;
	a->at += pad + n;
	a->used += pad + n;
	return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p = take(a, n, alignof(max_align_t));

	return p ? memset(p, 0, n) : NULL;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
	if (size && count > PTRDIFF_MAX / size)
		return NULL;
	return arena_alloc(a, count * size);
}

struct span arena_dup(struct arena *a, struct span s)
{
	char *p = s.n < PTRDIFF_MAX ? take(a, s.n + 1, 1) : NULL;

	if (!p)
		return (struct span){ NULL, 0 };
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return (struct span){ p, s.n };
}

const char *arena_strdup(struct arena *a, struct span s)
{
	return arena_dup(a, s).p;
}

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	const int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n >= 0 ? take(a, (size_t)n + 1, 1) : NULL;
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p ? (struct span){ p, (size_t)n } : (struct span){ NULL, 0 };
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
