/* mail/mail_authres.h - Authentication-Results: what a verifier found, written for those behind it; and such fields of others.
 *
 *   Authentication-Results: relay.example.edu;
 *    dkim=pass header.d=lab.example.org header.s=k1 header.b="pB0n/7Qz"
 *
 * Pure.  Ownership: spans point into the value, or live in the arena given.
 * Errors: -ERR_SYNTAX, -ERR_TOOBIG.
 * Source: RFC 8601 sections 2.2 to 2.7, 5.
 * Tests:  tests/unit/mail/test_mail_authres.c, tests/fuzz/fuzz_mail_authres.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "mail/mail_head.h"

enum { MAIL_AUTHRES_MAX = 64 /* results in one field */, MAIL_AUTHRES_PROPS_MAX = 8 /* of one result */ };

/* header.d=lab.example.org */
struct mail_authres_prop {
	struct span type, name, value;
};

/* dkim=pass reason="..." header.d=... */
struct mail_authres_result {
	struct span method, result, reason;
	size_t props_n;
	struct mail_authres_prop prop[MAIL_AUTHRES_PROPS_MAX]; /* more are left out */
};

struct mail_authres {
	struct span id; /* of the service that did it (authserv-id) */
	unsigned version;
	size_t n; /* 0: "none" */
	struct mail_authres_result *v;
};

/* Parses the value of a field (as mail_field_value() gives it, or folded). */
int mail_authres_parse(struct arena *a, struct span value, struct mail_authres *r_r);

/* Only the id in front. -ERR_SYNTAX if it cannot be told. */
int mail_authres_id(struct arena *a, struct span value, struct span *id_r);

/* Adds the value, on one line: mail_fold.h folds it. What does not fit the syntax is quoted. False if @out is full. */
bool mail_authres_write(struct buf *out, const struct mail_authres *r);

/* Takes out the fields that claim to be written by us, and those that name us in a way that only a careless
 * reader understands (RFC 8601 section 5). The head must not have ours yet. Returns how many there were, or -ERR_TOOBIG. */
int mail_authres_drop(struct mail_head *h, struct span id);
