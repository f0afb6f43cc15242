/* base/rfc3339.h - moments as people write them into files: "2026-12-31T23:59:59Z".
 *
 * Threads: pure.  Source: RFC 3339.  Tests: tests/unit/base/test_rfc3339.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* "2026-12-31", "2026-12-31T23:59Z", "2026-12-31 23:59:59+01:00": RFC 3339, and less of it; without a zone it is UTC. From 1970 to
 * 9999. Returns false, and leaves *unix_s_r alone, when it is something else. */
bool rfc3339_parse(struct span s, int64_t *unix_s_r);

struct rfc3339_text {
	char s[24];
};

/* In UTC, to the second; "" when it is not of those years. */
struct rfc3339_text rfc3339_format(int64_t unix_s);
