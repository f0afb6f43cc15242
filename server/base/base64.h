/* base/base64.h - octets as base64 text and back (RFC 4648 section 4: with padding, without line ends).
 *
 * Threads: pure.  Ownership: output goes behind what is in @out.
 * Errors: false, -ERR_TOOBIG: @out is full; -ERR_SYNTAX. Then @out holds what it held before.
 * Tests: tests/unit/base/test_base64.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* Characters of the text for @n octets. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

bool base64_encode(struct buf *out, struct span octets);

/* Strict: no white space, all of the padding, no bits set that stand for no octet (RFC 4648 section 3.5), so that no two texts
 * stand for the same octets. The empty text is no octets. */
int base64_decode(struct buf *out, struct span text);

/* 0..63, or -1. */
int base64_value(char c);
