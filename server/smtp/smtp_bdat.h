/* smtp/smtp_bdat.h - the argument of BDAT, and counting its chunks (RFC 3030 section 2).
 *
 * Pure.  Ownership: values.  Threads: one state, one thread.  Tests: tests/unit/smtp/test_bdat.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct smtp_bdat_chunk {
	uint64_t octets;
	bool is_last;
};

/* Parses "size" or "size LAST". Returns 0, or with *why_r
 *   -ERR_SYNTAX  malformed: 501 5.5.4, and the end of the session, for nobody knows what follows on the wire
 *   -ERR_TOOBIG  a size beyond all sense (over 2^63): the same */
int smtp_bdat_parse(struct span arg, struct smtp_bdat_chunk *chunk_r, const char **why_r);

/* The message as far as its chunks have come. */
struct smtp_bdat {
	uint64_t octets_max; /* of the whole message */
	uint64_t octets;     /* of the chunks so far, the current one included */
	uint64_t remaining;  /* of the current chunk, still on the wire */
	unsigned chunks;
	bool is_last; /* the current chunk is the last one: another BDAT is 503 */
};

void smtp_bdat_init(struct smtp_bdat *b, uint64_t octets_max);

/* Begins a chunk; the one before it must be complete.
 * Returns 0, -ERR_BUSY after the last chunk (503), or -ERR_TOOBIG: the message is over its maximum (552). In
 * both cases the chunk's octets are on their way and must be taken, and thrown away, all the same. */
int smtp_bdat_begin(struct smtp_bdat *b, struct smtp_bdat_chunk chunk);

/* Takes what belongs to the current chunk off *in. The chunk is complete when b->remaining is 0. */
struct span smtp_bdat_take(struct smtp_bdat *b, struct span *in);
