/* tls/tls_cert_check.h - everything that can be said about a certificate and its key before clients say it: the chain, whether they
 * belong together, names, dates, strength, who may read the key. In words for an operator, as JSON.
 *
 *     { "where", "cert", "key", "subject", "issuer", "names": [...], "not_before", "not_after", "key_type", "sha256",
 *       "chain": [ { "subject", "not_after" } ], "findings": [ { "grade": "problem" | "warning", "about", "text" } ] }
 *
 * What cannot be known (of a file that cannot be read) is left out. A problem keeps the pair from being served, or clients that
 * verify from accepting it, or gives the key away; a warning is what some will mind, or will become a problem.
 *
 * Nothing of the key is written. Blocks (it reads files).
 *
 * Threads: any.  Source: RFC 5280, RFC 6125, CA/Browser Forum's rules on strength.
 * Tests: tests/unit/tls/test_cert_check.c
 */
#pragma once

#include <stdint.h>

#include "base/json.h"
#include "base/span.h"

struct tls_cert_check {
	struct span where;        /* goes into the answer: for what it is used; may be empty */
	struct span cert;         /* file */
	struct span key;          /* file; empty: in the same one */
	bool without_key;         /* the key is not at hand: everything else is looked at */
	const struct span *names; /* that must be in it: host names, addresses */
	size_t nnames;
	struct span hostname; /* that should be in it; empty: none */
	bool client;          /* it is shown to servers, and names do not matter */
	struct span ca_file;  /* of those who shall trust it; empty: the system's */
	int64_t now_s;        /* Unix time */
};

/* Writes one object and returns how many problems it has. */
unsigned tls_cert_check(const struct tls_cert_check *q, struct json *out);
