/* base/secret.h - a password, a key, a token: bytes that are wiped when they are let go.
 *
 * There is no way to print one: who needs the bytes asks for them with secret_span() and does not copy them into anything that
 * is logged, stored or kept. The type is a struct of its own so that a secret cannot be passed where a text is meant.
 *
 * Ownership: the secret owns its bytes; a zeroed struct is an empty one.  Threads: one at a time.
 * Errors: -ERR_TOOBIG over SECRET_MAX; and those of a file.  Tests: tests/unit/base/test_secret.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

enum { SECRET_MAX = 64 * 1024 };

struct secret {
	char *p_;
	size_t n_;
};

/* A copy of @s replaces what was there, which is wiped. */
int secret_set(struct secret *x, struct span s);

/* The content of a file without the line end behind it. Returns 1 when everybody may read that file, which deserves a warning
 * but is how container runtimes mount secrets. */
int secret_read(struct secret *x, const char *path, struct errtext *e);

void secret_deinit(struct secret *x); /* wiped, empty, usable again */

static inline struct span secret_span(const struct secret *x)
{
	return (struct span){ x->p_, x->n_ };
}

/* Takes the same time wherever they differ; that the lengths differ may be seen. */
bool secret_eq(const struct secret *x, struct span s);
