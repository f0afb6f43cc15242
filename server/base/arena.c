#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BLOCK_MIN = 1024, BLOCK_KEEP_MAX = 16 * 1024 };

struct block {
	struct block *next;
	size_t cap;
	alignas(max_align_t) char data[];
};

struct arena {
	struct block *head;  /* the block that is being filled; older ones behind it */
	size_t at;           /* octets used of head */
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
	if (a->head) {
		free_blocks(a->head->next);
		a->head->next = NULL;
		if (a->head->cap > BLOCK_KEEP_MAX) {
			free(a->head);
			a->head = NULL;
		}
	}
	a->at = a->used = 0;
}

void arena_release(struct arena *a)
{
	free_blocks(a->head);
	a->head = NULL;
	a->at = a->used = 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
	if (n > a->max || a->used > a->max - n)
		return NULL;
	const size_t rounded = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!a->head || a->head->cap - a->at < rounded) {
		size_t cap = a->head ? a->head->cap * 2 : BLOCK_MIN;
		if (cap > 256 * 1024)
			cap = 256 * 1024;
		if (cap < rounded)
			cap = rounded;
		struct block *b = mem_alloc_raw(sizeof *b + cap);
		b->cap = cap;
		b->next = a->head;
		a->head = b;
		a->at = 0;
	}
	void *p = a->head->data + a->at;
	a->at += rounded;
	a->used += n;
	memset(p, 0, n);
	return p;
}

struct span arena_dup(struct arena *a, struct span s)
{
	char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

	if (!p)
		return (struct span){ NULL, 0 };
	if (s.n)
		memcpy(p, s.p, s.n);
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
	char *p = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p ? (struct span){ p, (size_t)n } : (struct span){ NULL, 0 };
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
