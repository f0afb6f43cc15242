/* main/cli_upstream.h - what `postern upstream` asks of C: "key value" lines in, JSON out (main/upstream_check.h).
 *
 * Threads: the caller's.  Errors: -ERR_x with words.  Tests: tests/interop/upstream_auth.py
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

int cli_upstream_check(void *arg, struct span in, struct buf *out, struct errtext *why);
