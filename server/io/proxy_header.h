/* io/proxy_header.h - the PROXY protocol's header, versions 1 and 2: who is behind a load balancer.
 *
 * A pure parser of the first octets of a connection; whether the connecting host may say such a thing is the
 * caller's to know.
 * Source: "The PROXY protocol", haproxy, 2020/03/05, sections 2.1 (text) and 2.2 (binary).
 * Tests: tests/unit/io/test_proxy_header.c, tests/fuzz/fuzz_io_proxy_header.c
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/span.h"

enum { PROXY_HEADER_V1_MAX = 107, PROXY_HEADER_V2_MAX = 16 + 4096 };

struct proxy_header {
	bool known; /* false (LOCAL, UNKNOWN, unspecified): the connection's own addresses hold */
	struct ip_endpoint source, destination;
};

/* Returns how many octets the header has; -ERR_AGAIN: all of @in could be the beginning of one; -ERR_SYNTAX:
 * it is none; -ERR_TOOBIG: version 2 with more than 4 KiB behind its fixed part; -ERR_UNSUPPORTED: a socket
 * that is not TCP. */
int proxy_header_parse(struct span in, struct proxy_header *h_r);
