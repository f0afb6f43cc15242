/* spool/envelope.h - the envelope and what was learnt at reception, as a value and as the bytes that the spool keeps.
 *
 * Encoded as tagged, length-prefixed fields, so that a newer version's unknown fields are skipped. What was said on the wire
 * stays as it was said (case, quoting) where it must be repeated; domains are lower-cased.
 *
 * Ownership: decoded spans point into the encoded bytes; the recipient array is in the caller's arena.
 * Threads: pure.  Format: schema/spool-v1.md, "meta".  Tests: tests/unit/spool/test_envelope.c, tests/fuzz/fuzz_spool_envelope.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ip.h"
#include "base/span.h"

enum envelope_flags {
	ENVELOPE_SMTPUTF8 = 1 << 0, /* MAIL said SMTPUTF8 */
	ENVELOPE_8BITMIME = 1 << 1, /* BODY=8BITMIME */
	ENVELOPE_BINARYMIME = 1 << 2,
	ENVELOPE_RET_FULL = 1 << 3,
	ENVELOPE_RET_HDRS = 1 << 4,
	ENVELOPE_HAS_8BIT = 1 << 5,  /* the content has octets over 127, whatever was declared */
	ENVELOPE_HELD = 1 << 6,      /* a policy said hold */
	ENVELOPE_BOUNCE = 1 << 7,    /* we made it: a delivery status notification */
	ENVELOPE_BY_NOTIFY = 1 << 8, /* DELIVERBY mode N; without it R */
	ENVELOPE_BY_TRACE = 1 << 9,
	ENVELOPE_REQUIRETLS = 1 << 10,
	ENVELOPE_TLS_OPTIONAL = 1 << 11, /* RFC 8689 section 3: "TLS-Required: No" */
};

enum envelope_notify {
	NOTIFY_DEFAULT = 0,
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8
};

struct envelope_rcpt {
	struct span address; /* canonical path without brackets: local@domain */
	struct span domain;  /* part of address; lower case */
	struct span orcpt;   /* as given, still encoded ("rfc822;a+2Bb@c"); empty: none */
	struct span route; /* a policy chose: a route's name or "[host]:port"; empty: by the configuration */
	uint8_t notify;    /* enum envelope_notify, or-ed */
};

struct envelope {
	uint32_t flags;
	int64_t arrived_at_us;                             /* wall clock */
	int64_t deliver_by_us;                             /* wall clock; 0: none (RFC 2852) */
	struct span sender;                                /* local@domain; empty: the null path */
	struct span envid;                                 /* as given, xtext; empty: none */
	struct span session;                               /* ids that join the log records */
	struct span device;                                /* who sent it: device id, principal or empty */
	struct span listener, helo, client_name, protocol; /* protocol: "ESMTP", "SMTP", ... (RFC 3848) */
	struct ip_addr client;
	struct span vars; /* msg.meta of the policies: JSON object text, or empty */
	struct span hold_reason;
	struct span message_id, subject; /* for traces; bounded by the session */
	struct envelope_rcpt *rcpt;
	uint32_t nrcpt;
};

enum { ENVELOPE_RCPT_MAX = 10000, ENVELOPE_OCTETS_MAX = 4 * 1024 * 1024 };

bool envelope_encode(const struct envelope *env, struct buf *out);
/* -ERR_CORRUPT, or -ERR_TOOBIG when @a is full. */
int envelope_decode(struct span in, struct arena *a, struct envelope *env_r);
