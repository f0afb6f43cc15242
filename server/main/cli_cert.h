/* main/cli_cert.h - what `postern cert check` asks of C; lua/lib/cli/cert.lua is the other end.
 *
 * The request is lines "key value": config FILE, ca FILE, name NAME (any number), file PATH (likewise). The pairs of
 * certificate and key are those that the configuration names, and those of the files: a file without a certificate is the key
 * of the one before. The answer is JSON: { "problems": number, "pairs": [ as tls/tls_cert_check.h has it; "where": tls,
 * listener "x", route "x" ] }.
 *
 * Threads: the command line's.  Errors: -ERR_x with words.  Tests: tests/unit/main/test_cli_cert.c
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

int cli_cert_check(void *arg, struct span in, struct buf *out, struct errtext *why);
