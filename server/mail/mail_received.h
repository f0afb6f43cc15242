/* mail/mail_received.h - the Received field that we add, and what those of others tell about loops.
 *
 *   Received: from copier4 (copier4.example.edu [192.0.2.7])
 *           (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))
 *           (No client certificate requested)
 *           by relay.example.edu (Postern) with ESMTPS id k7m2p9qr3s4t
 *           for <office@example.edu>; Thu, 21 Nov 2024 07:15:00 -0600
 *
 * Everything that a peer said is cut to length and stripped of what could end a word, a comment or the field.
 *
 * Pure.  Source: RFC 5321 section 4.4, RFC 3848, RFC 6531 section 3.7.3.
 * Tests: tests/unit/mail/test_mail_received.c, tests/fuzz/fuzz_mail_received.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ip.h"
#include "base/span.h"
#include "mail/mail_head.h"

enum { MAIL_RECEIVED_NOTES_MAX = 4 };

/* How the message came. */
enum mail_received_how {
	MAIL_RECEIVED_ESMTP = 1 << 0, /* after EHLO */
	MAIL_RECEIVED_LMTP = 1 << 1,  /* after LHLO */
	MAIL_RECEIVED_TLS = 1 << 2,
	MAIL_RECEIVED_AUTH = 1 << 3,
	MAIL_RECEIVED_UTF8 = 1 << 4, /* MAIL had SMTPUTF8: UTF-8 may stand in the field */
};

struct mail_received {
	struct span helo;     /* as the client said it; empty: "unknown" */
	struct span ptr_name; /* name of its address, confirmed; empty: "unknown" */
	struct ip_addr ip;
	struct span notes[MAIL_RECEIVED_NOTES_MAX]; /* comments, each on its own line; empty: none */
	struct span host;                           /* our name */
	unsigned how;                               /* enum mail_received_how */
	struct span id;                             /* queue id */
	size_t rcpt_count; /* the recipient is named only if there is one: RFC 5321 section 7.2 */
	struct span rcpt_local, rcpt_domain;
	int64_t unix_s; /* time of arrival */
	int zone_min;
};

/* The keyword behind "with" for @how: registered ones only. */
const char *mail_received_keyword(unsigned how);

/* Adds the field with its CRLF. Returns 0, -ERR_INVAL if there is no host, or -ERR_TOOBIG if @out is full. */
int mail_received_write(struct buf *out, const struct mail_received *r);

/* How often was the message received by anybody, and how often by a Postern of the name @host? The first
 * counts hops (RFC 5321 section 6.3), the second finds a loop through ourselves sooner. */
size_t mail_received_count(const struct mail_head *h);
size_t mail_received_count_own(const struct mail_head *h, struct span host);

/* Is there a Delivered-To field with this address? Then delivering to it again would be a loop. */
bool mail_received_delivered_to(const struct mail_head *h, struct span local, struct span domain);

/* Takes Return-Path fields out: only the last system of all may add one. Returns how many there were. */
size_t mail_received_drop_return_path(struct mail_head *h);
