/* base/secret_source.h - a secret and where it comes from: a file, which may be replaced at any time, or an environment variable.
 *
 *     secret_source_init(&s, SPAN("/etc/postern/secrets/upstream"), SPAN(""));
 *     secret_source_refresh(&s, &e);       // at first, and whenever it may have changed
 *     secret_source_span(&s);
 *
 * Ownership: it owns its bytes; a span of it is valid until the next refresh or write.  Threads: one at a time.
 * Errors: those of secret_read(); -ERR_INVAL: it is empty; -ERR_NOTFOUND: no such file, or the variable is not set. The secret that
 *         was there before stays. The texts name the file or the variable, never what is in it.
 * Tests: tests/unit/base/test_secret_source.c
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"

/* Which state of a file was read. */
struct secret_stamp {
	uint64_t device, inode, octets;
	int64_t changed_ns, modified_ns;
};

struct secret_source {
	char *path, *variable; /* one of them; neither: there is no secret, which is no error */
	bool exposed;          /* everybody may read the file */
	struct secret value_;
	struct secret_stamp seen_;
	bool read_;
};

void secret_source_init(struct secret_source *s, struct span path, struct span variable);
/* 1: it is another secret than before; 0: as before; or an error, and it is tried again when the file changes or next time. */
int secret_source_refresh(struct secret_source *s, struct errtext *e);
/* In memory only, until the file changes. */
int secret_source_replace(struct secret_source *s, struct span value);
/* Replaces the content of the file, so that after a crash there is the old one or the new one. -ERR_UNSUPPORTED: it is no file;
 * on any error the new value is kept in memory all the same. */
int secret_source_write(struct secret_source *s, struct span value, struct errtext *e);
void secret_source_deinit(struct secret_source *s); /* wiped */

static inline struct span secret_source_span(const struct secret_source *s)
{
	return secret_span(&s->value_);
}

static inline bool secret_source_is_there(const struct secret_source *s)
{
	return s->path || s->variable;
}
