/* dns/dns_wire.h - a DNS message becomes an answer.
 *
 * c-ares carries the messages; its own readers of them lose the TTLs of MX, TXT and PTR records and all of
 * the authority section, which a cache needs, so this one is ours. It reads what anybody may have sent: every
 * length is checked, compression pointers go backwards only (so they end), the number of records looked at
 * and kept is limited.
 *
 * Pure.  Ownership: the answer is the caller's.  Threads: any.
 * Source: RFC 1035 section 4, RFC 2181 (sections 5.2, 8, 10), RFC 2308 (sections 2, 5), RFC 6891 (section
 *   6.1.3), RFC 6698.
 * Tests: tests/unit/dns/test_wire.c, tests/fuzz/fuzz_dns_wire.c
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"
#include "dns/dns_answer.h"
#include "dns/dns_name.h"

/* What @msg says about @name and @type: records behind at most eight CNAMEs, that there are none, or
 * (DNS_TEMPFAIL) that the server could or would not say. Returns 0, or -ERR_SYNTAX when it is not a
 * well-formed response to that question. */
int dns_wire_parse(struct span msg, const struct dns_name *name, enum dns_type type,
		   struct dns_answer **answer_r);

/* Is it the refusal of a server that does not know EDNS (RFC 6891 section 7)? */
bool dns_wire_refuses_edns(struct span msg);
