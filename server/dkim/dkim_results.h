/* dkim/dkim_results.h - what a verification found, as the value of Authentication-Results.
 *
 * Pure.  Source: RFC 8601 sections 2.2, 2.7.1; RFC 6008 (header.b); RFC 8617 section 4.1.1 (arc=).
 * Tests: tests/unit/dkim/test_verify.c
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "dkim/dkim_verify.h"

/* Adds the value, on one line, in the name of @id. "none" stands for a message without signatures. @chain: also that of ARC.
 * False if @out is full. */
bool dkim_results_write(struct buf *out, struct span id, const struct dkim_verify *v, bool chain);
