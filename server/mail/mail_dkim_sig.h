/* mail/mail_dkim_sig.h - a signature field: read, written, and the header fields that it covers.
 *
 * DKIM-Signature, and the two fields of ARC that are written in its manner (ARC-Message-Signature, ARC-Seal).
 *
 * Pure: the time is an argument. Hashing and keys are not here (dkim/).
 * Ownership: spans point into the field or live in the arena given.
 * Units:   seconds since 1970-01-01 UTC; octets.
 * Source:  RFC 6376 sections 3.5, 3.7, 5.4, 6.1.1; RFC 8301; RFC 8463; RFC 8616 section 5; RFC 8617 section 4.1.
 * Tests:   tests/unit/mail/test_mail_dkim_sig.c, tests/fuzz/fuzz_mail_dkim_sig.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "mail/mail_dkim_canon.h"
#include "mail/mail_head.h"

enum {
	MAIL_DKIM_HASH_OCTETS = 32,     /* SHA-256; there is no other */
	MAIL_DKIM_NAMES_MAX = 200,      /* in h= */
	MAIL_DKIM_SIGNATURE_MAX = 2048, /* octets of b=: RSA of 16384 bits */
	MAIL_DKIM_DOMAIN_MAX = 255,     /* of d=, and of s= */
};

/* rsa-sha1 is known by name, so that it can be said why it does not count (RFC 8301 section 3.1). */
#define MAIL_DKIM_ALGORITHM_MAP(X)                                                                           \
	X(NONE, "none")                                                                                      \
	X(RSA_SHA1, "rsa-sha1")                                                                              \
	X(RSA_SHA256, "rsa-sha256")                                                                          \
	X(ED25519_SHA256, "ed25519-sha256")

enum mail_dkim_algorithm {
#define X(name, text) MAIL_DKIM_##name,
	MAIL_DKIM_ALGORITHM_MAP(X)
#undef X
};

const char *mail_dkim_algorithm_name(enum mail_dkim_algorithm a);

enum mail_dkim_kind { MAIL_DKIM_FIELD, MAIL_DKIM_ARC_MESSAGE, MAIL_DKIM_ARC_SEAL };

const char *mail_dkim_kind_name(enum mail_dkim_kind kind); /* of the field */

struct mail_dkim_sig {
	enum mail_dkim_kind kind;
	enum mail_dkim_algorithm algorithm;
	enum mail_dkim_canon head_canon, body_canon;
	struct span domain, selector; /* as written */
	struct span identity;         /* i=, empty: "@" and the domain */
	struct span identity_domain;  /* behind its "@", or the domain */
	struct span *names;           /* h= */
	size_t names_n;
	uint8_t body_hash[MAIL_DKIM_HASH_OCTETS];
	struct span signature;       /* octets */
	uint64_t limit_octets;       /* l=, or MAIL_DKIM_NO_LIMIT */
	int64_t signed_s, expires_s; /* -1: not said */
	unsigned instance;           /* of ARC: i= */
	struct span chain;           /* of ARC-Seal: cv= */
};

/* Reads the field @f. Returns 0, or
 *   -ERR_SYNTAX       it is not written as it must be
 *   -ERR_UNSUPPORTED  a version, algorithm, canonical form or way to the key that is not known here
 *   -ERR_TOOBIG       over a maximum
 * and *why_r is a constant phrase. In contrast to the custom of the house *sig_r then holds what was understood: a report names
 * the domain. */
int mail_dkim_sig_parse(struct arena *a, enum mail_dkim_kind kind, const struct mail_field *f,
			struct mail_dkim_sig *sig_r, const char **why_r);

/* Adds what the signature is computed over (RFC 6376 section 3.7): the fields that h= names, each time from the bottom up, a name
 * without a field left standing for nothing, and then @f itself without its signature. Not for ARC-Seal: see mail_arc.h.
 * False if @out is full. */
bool mail_dkim_sig_cover(struct buf *out, const struct mail_head *h, const struct mail_dkim_sig *sig,
			 const struct mail_field *f);

/* ---- making one ---------------------------------------------------------------------------------------- */

/* A signature that we are about to make is a struct mail_dkim_sig whose `signature` is empty. Adds the field as far as the "b="
 * that stands at its end, in folded lines. -ERR_INVAL if a value cannot stand in such a field. */
int mail_dkim_sig_write(struct buf *out, const struct mail_dkim_sig *sig);
/* Adds the value of b=, folded, and the line end: what mail_dkim_sig_write() began stays as it is. False if @out is full. */
bool mail_dkim_sig_finish(struct buf *out, struct span signature);

/* The names for h= when we sign @h: the fields that carry meaning to a reader, each as often as it is there; and once more those
 * that may be there once, so that nobody can add a second one that some reader believes (RFC 6376 section 8.15).
 * Returns how many; @names_r has room for MAIL_DKIM_NAMES_MAX, and of a message with more such fields the uppermost are not
 * covered. */
size_t mail_dkim_names_wanted(const struct mail_head *h, struct span *names_r);

/* Is @domain the same as @parent, or below it? Without case. */
bool mail_dkim_domain_within(struct span domain, struct span parent);
