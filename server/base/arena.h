/* base/arena.h - memory that goes all at once, with a maximum.
 *
 * An arena belongs to one lifetime (a transaction, a loop turn, a configuration). What a peer can make grow goes through an
 * arena or a buf; over the maximum the allocation returns NULL and the caller turns it into a 4xx or 5xx. Under AddressSanitizer
 * each allocation is a block of its own, so that a step over its end or a use after the reset is seen.
 *
 * Ownership: the creator frees. What was allocated is valid until arena_reset()/arena_free().
 * Threads:   one at a time.
 * Errors:    NULL when over the maximum; out of system memory ends the process (base/mem.h).
 * Tests:     tests/unit/base/test_arena.c
 */
#pragma once

#include <stddef.h>

#include "base/span.h"

struct arena;

/* A new arena costs nothing but itself (32 octets) until its first allocation. */
struct arena *arena_new(size_t bytes_max);
void arena_free(struct arena **a);

/* Forgets all allocations; keeps one block for reuse unless it is large. */
void arena_reset(struct arena *a);
/* As arena_reset, and gives the last block back too: for sessions that go idle. */
void arena_release(struct arena *a);

/* Zeroed, aligned for any type. NULL if the arena would grow over its maximum, or if count * size is no size. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_alloc_array(struct arena *a, size_t count, size_t size);

/* A NUL-terminated copy; the NUL is not counted. {NULL, 0} if it does not fit; a copy of the empty span is not NULL. */
struct span arena_dup(struct arena *a, struct span s);
const char *arena_strdup(struct arena *a, struct span s);
struct span arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Octets handed out since the last reset, with what alignment took. */
size_t arena_used(const struct arena *a);

#define arena_new_of(a, type)       ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc_array((a), (count), sizeof(type)))
