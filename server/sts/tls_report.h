/* sts/tls_report.h - how TLS fared, by recipient domain and day: the counters of SMTP TLS reporting, and the report made of them.
 *
 * One for the process; today (UTC) and the day before are kept. A report is what RFC 8460 section 4.4 calls it, for all domains or
 * for one: `postern tls-report` prints it, and who wants to send it takes it from there.
 *
 * Ownership: main's.  Threads: any, it locks.
 * Limits:    TLS_REPORT_DOMAINS a day (what comes after is counted under "*"), TLS_REPORT_DETAILS kinds of failure of a domain.
 * Source:    RFC 8460 sections 4.2 to 4.4.
 * Tests:     tests/unit/sts/test_tls_report.c
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/ip.h"
#include "base/span.h"

enum { TLS_REPORT_DOMAINS = 5000, TLS_REPORT_DETAILS = 16 };

#define TLS_REPORT_POLICY_MAP(X) X(NONE, "no-policy-found") X(STS, "sts") X(TLSA, "tlsa")

enum tls_report_policy {
#define X(name, text) TLS_REPORT_POLICY_##name,
	TLS_REPORT_POLICY_MAP(X)
#undef X
		TLS_REPORT_POLICY_MAX_
};

/* RFC 8460 section 4.3. */
#define TLS_REPORT_RESULT_MAP(X)                                                                             \
	X(SUCCESS, "success")                                                                                \
	X(NO_STARTTLS, "starttls-not-supported")                                                             \
	X(HOST_MISMATCH, "certificate-host-mismatch")                                                        \
	X(EXPIRED, "certificate-expired")                                                                    \
	X(NOT_TRUSTED, "certificate-not-trusted")                                                            \
	X(VALIDATION, "validation-failure")                                                                  \
	X(TLSA_INVALID, "tlsa-invalid")                                                                      \
	X(DNSSEC_INVALID, "dnssec-invalid")                                                                  \
	X(DANE_REQUIRED, "dane-required")                                                                    \
	X(STS_FETCH, "sts-policy-fetch-error")                                                               \
	X(STS_INVALID, "sts-policy-invalid")                                                                 \
	X(STS_WEBPKI, "sts-webpki-invalid")

enum tls_report_result {
#define X(name, text) TLS_REPORT_##name,
	TLS_REPORT_RESULT_MAP(X)
#undef X
		TLS_REPORT_RESULT_MAX_
};

const char *tls_report_result_name(enum tls_report_result result);

struct tls_report;

struct tls_report *tls_report_new(void);
void tls_report_free(struct tls_report **r);

struct tls_report_session {
	int64_t wall_us;
	struct span domain; /* of the recipients, lower case */
	enum tls_report_policy policy;
	enum tls_report_result result;
	struct span mx; /* host that was tried; may be empty */
	struct ip_addr addr;
	struct span reason; /* OpenSSL's words and the like; may be empty */
};

void tls_report_add(struct tls_report *r, const struct tls_report_session *s);

/* The JSON document of the day that @wall_us is in. @domain empty: all of them. How many domains; -ERR_TOOBIG: @out is full. */
int tls_report_json(struct tls_report *r, int64_t wall_us, struct span organization, struct span contact,
		    struct span domain, struct buf *out);
