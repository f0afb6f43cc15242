/* main/cli_dkim.h - what `postern dkim ...` asks of C; lua/lib/cli/dkim.lua is the other end.
 *
 * Each takes lines "key value", an empty line, and for a message its octets; a message with bare LFs is taken as a file of such
 * lines. Looking a key up takes a loop and a resolver of their own, for the time of the call.
 *
 *   keygen  domain, selector, type, bits, dir      -> JSON: the file, and what is to be published
 *   check   config; or domain, selector [, key]; [server]  -> JSON: a list, one object for each key
 *   verify  [config] [server] and a message        -> JSON: results, and the value of Authentication-Results
 *   sign    config and a message                   -> the message, signed
 *
 * Threads: the caller's.  Errors: -ERR_x with words.  Tests: tests/unit/main/test_cli_dkim.c, tests/interop/dkim_signatures.py
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

int cli_dkim_keygen(void *arg, struct span in, struct buf *out, struct errtext *why);
int cli_dkim_check(void *arg, struct span in, struct buf *out, struct errtext *why);
int cli_dkim_verify(void *arg, struct span in, struct buf *out, struct errtext *why);
int cli_dkim_sign(void *arg, struct span in, struct buf *out, struct errtext *why);
