/* smtp/smtp_xtext.h - xtext (RFC 3461 section 4) and the UTF-8 address type of ORCPT (RFC 6533 section 3).
 *
 * ENVID, ORCPT and AUTH= are kept and passed on as they were written, because a relay must not change them
 * (RFC 3461 section 5.2.1); they are decoded where their meaning is wanted: for a report, for a log.
 *
 * Pure.  Ownership: decoded text lives in the caller's arena.  Threads: any.
 * Tests: tests/unit/smtp/test_xtext.c, tests/fuzz/fuzz_smtp_param.c
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

/* Appends @s as xtext: octets outside 33..126, and "+" and "=", become "+XX". False if @out is full. */
bool smtp_xtext_encode(struct buf *out, struct span s);

/* Returns 0, or -ERR_SYNTAX: not xtext, or -ERR_NOMEM. Decoded octets may be anything: see
 * smtp_text_is_printable(). */
int smtp_xtext_decode(struct arena *a, struct span xtext, struct span *text_r);

/* Graphic ASCII and space only, what ENVID and ORCPT may decode to (RFC 3461 sections 4.2 and 4.4). */
bool smtp_text_is_printable(struct span s);

struct smtp_orcpt {
	struct span type; /* "rfc822", "utf-8", ...; as written */
	struct span addr; /* decoded */
};

/* Decodes an ORCPT value "type;encoded". With @utf8 octets above ASCII are allowed in an address of type
 * utf-8. Returns 0, -ERR_SYNTAX or -ERR_NOMEM. */
int smtp_orcpt_decode(struct arena *a, struct span value, bool utf8, struct smtp_orcpt *orcpt_r);

/* Appends an ORCPT value in the form that a server without SMTPUTF8 takes: characters above ASCII as
 * "\x{...}"; all else as it is. False if @out is full. */
bool smtp_orcpt_to_ascii(struct buf *out, struct span value);

/* Appends the ORCPT value for an address in its canonical form: "rfc822;..." in xtext, or "utf-8;..." if it
 * is not ASCII. */
bool smtp_orcpt_encode(struct buf *out, struct span mailbox);
