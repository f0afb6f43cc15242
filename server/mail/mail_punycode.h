/* mail/mail_punycode.h - a domain whose labels are in UTF-8, as the DNS wants it: xn--...
 *
 * A U-label of a signature is in its final form by definition (lower case, NFC: RFC 5890 section 2.3.2.1); so nothing is mapped
 * here, and what is not in that form becomes a name that does not exist.
 *
 * Pure.  Source: RFC 3492, RFC 5890, RFC 8616 section 5.
 * Tests: tests/unit/mail/test_mail_punycode.c, tests/fuzz/fuzz_mail_dkim_key.c
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* Adds @domain with every label that is not ASCII as an A-label. 0; -ERR_SYNTAX: not UTF-8, or a label that would be longer than
 * 63 octets; -ERR_TOOBIG: @out is full. On error @out holds what it held before. */
int mail_domain_to_ascii(struct buf *out, struct span domain);
