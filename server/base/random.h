/* base/random.h - random bytes and the ids made of them.
 *
 * Ids are 12 characters of a lower-case base32 alphabet without the look-alikes 0, 1, l and o: 60 random bits, short enough to read
 * out on the telephone. Session ids, queue ids and case ids are of this form.
 *
 * Threads: any; the bytes come from the system.  Tests: tests/unit/base/test_random.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { ID_LEN = 12 };

struct id {
	char s[ID_LEN + 1]; /* NUL-terminated */
};

void random_bytes(void *p, size_t n); /* the process ends if the system has none */
uint64_t random_u64(void);
uint64_t random_below(uint64_t bound); /* uniform in 0 .. bound-1; bound > 0 */

/* The id that stands for the low 60 bits of @v, and back. id_parse returns false when @s is not an id; capitals will do. */
struct id id_from_u64(uint64_t v);
bool id_parse(struct span s, uint64_t *v_r);
struct id id_random(void);
