/* auth/auth_saslprep.h - names and passwords made comparable (RFC 4013, SASLprep), for the characters that are in use.
 *
 * Printable ASCII stays as it is. Of the rest, these are prepared: the letters of Latin, Greek, Cyrillic and Armenian script,
 * kana, Chinese characters and Hangul in their composed forms, common punctuation, spaces (which become U+0020), invisible
 * characters (which go away) and the full-width forms of ASCII. Whatever else there is - combining marks, scripts that run
 * from right to left, compatibility forms - is refused: a full table of Unicode 3.2 would serve nobody here, and to let such
 * a string pass unprepared could make two names of one.
 *
 * Threads: pure.  Ownership: output goes behind what is in @out; it is never longer than the input.
 * Source: RFC 4013, RFC 3454 (tables B.1, C.1.2, C.2), Unicode 3.2 (NFKC).
 * Tests: tests/unit/auth/test_saslprep.c, tests/fuzz/fuzz_auth_saslprep.c
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* -ERR_SYNTAX: no UTF-8; -ERR_INVAL: a character that is forbidden (controls), or nothing is left; -ERR_UNSUPPORTED: one that we
 * have no table for; -ERR_TOOBIG: @out is full. @out is as it was then, but for octets behind its end. */
int auth_saslprep(struct span in, struct buf *out);
