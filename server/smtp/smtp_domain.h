/* smtp/smtp_domain.h - <Domain> and <address-literal> (RFC 5321 sections 4.1.2 and 4.1.3).
 *
 * Pure: no I/O, no clock, no DNS.  Ownership: results are values or point into the input.  Threads: any.
 * Tests: tests/unit/smtp/test_domain.c, tests/fuzz/fuzz_smtp_path.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"
#include "base/span.h"
#include "smtp/smtp_syntax.h"

enum {
	SMTP_DOMAIN_MAX = 255,       /* RFC 5321 section 4.5.3.1.2 */
	SMTP_LABEL_MAX = 63,         /* RFC 1035 section 2.3.4 */
	SMTP_U_LABEL_CHARS_MAX = 59, /* "xn--" and an octet per character fit a label (RFC 5890 4.2) */
};

/* Is all of @s a domain name? With SMTP_ALLOW_UTF8 labels may hold UTF-8 (RFC 6531 section 3.3); whether they
 * are proper U-labels is for whoever converts them for DNS. SMTP_LAX_UNDERSCORE and SMTP_LAX_TRAILING_DOT
 * apply.
 *
 * Returns the length without a forgiven trailing dot (> 0), or -ERR_SYNTAX, -ERR_TOOBIG; *why_r is a constant
 * phrase. *tolerated gets bits added. */
int smtp_domain_check(struct span s, unsigned flags, unsigned *tolerated, const char **why_r);

struct smtp_literal {
	struct ip_addr addr;            /* none (len 0) for a General-address-literal */
	char text[SMTP_DOMAIN_MAX + 1]; /* canonical: "[192.0.2.1]", "[IPv6:2001:db8::1]" */
};

/* Is all of @s, brackets included, an address literal? SMTP_LAX_LITERAL applies. Returns 0 or as above. */
int smtp_literal_parse(struct span s, unsigned flags, unsigned *tolerated, struct smtp_literal *literal_r,
		       const char **why_r);

/* The literal's text for an address: what we call ourselves when we have no name. */
void smtp_literal_format(const struct ip_addr *addr, struct smtp_literal *literal_r);
