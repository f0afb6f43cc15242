/* mail/mail_dkim_key.h - the record in the DNS that a signature's key is in: read and written.
 *
 * Pure.  Ownership: spans point into the text, or live in the arena given.
 * Source: RFC 6376 sections 3.6.1, 3.6.2, 6.1.2; RFC 8463 section 4; RFC 8616 section 5.
 * Tests:  tests/unit/mail/test_mail_dkim_key.c, tests/fuzz/fuzz_mail_dkim_key.c
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "mail/mail_dkim_sig.h"

enum { MAIL_DKIM_RECORD_MAX = 8 * 1024 };

enum mail_dkim_key_kind { MAIL_DKIM_KEY_RSA, MAIL_DKIM_KEY_ED25519 };

struct mail_dkim_key {
	enum mail_dkim_key_kind kind;
	struct span
		octets; /* p=: RSA: DER of a SubjectPublicKeyInfo or RSAPublicKey; Ed25519: the 32 octets */
	bool revoked;   /* p= is empty */
	bool testing;   /* t=y */
	bool strict;    /* t=s: i= must be in d= itself */
	bool no_sha256; /* h= leaves SHA-256 out */
	bool not_for_mail; /* s= leaves mail out */
};

/* 0; -ERR_SYNTAX: no key record; -ERR_UNSUPPORTED: a kind of key that is not known here; -ERR_TOOBIG. *why_r is a constant
 * phrase. */
int mail_dkim_key_parse(struct arena *a, struct span text, struct mail_dkim_key *key_r, const char **why_r);

/* May a signature of this algorithm and identity use the key? NULL, or why not (RFC 6376 section 6.1.2 steps 6 to 8). */
const char *mail_dkim_key_refuses(const struct mail_dkim_key *key, const struct mail_dkim_sig *sig);

/* Adds the record for a key. False if @out is full. */
bool mail_dkim_key_write(struct buf *out, enum mail_dkim_key_kind kind, struct span octets);

/* Adds the text as it stands in a zone file: strings of at most 255 octets in quotes (RFC 1035 section 5.1). */
bool mail_dkim_key_zone_text(struct buf *out, struct span record);

/* Adds the name where the key is: selector._domainkey.domain, U-labels as A-labels. -ERR_INVAL if that is no name. */
int mail_dkim_key_name(struct buf *out, struct span selector, struct span domain);
