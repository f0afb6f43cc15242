/* mail/mail_dsn.h - writes a delivery status notification: what became of a message, for its sender and for
 * his machines.
 *
 * The report is a multipart/report of three parts: words for a person, fields for a program, and the message
 * that it is about, or only its head. The builder makes all but the whole message: that is copied by the
 * caller, from the spool, between the two buffers it gets.
 *
 *   prefix   head of the report, the two parts, head of the third
 *            ... the message, octet for octet, if result.full
 *   suffix   the last boundary
 *
 * The caller sends it with the null return path and NOTIFY=NEVER, never for a message that had the null
 * return path itself (RFC 3461 sections 5.2 and 6.1), and names only recipients whose sender asked for this.
 *
 * What the report needs of the way it takes is kept within `width`: where that is too narrow, a whole message
 * is reduced to its head, heads are quoted-printable, addresses are written in ASCII. Only a sender's address
 * that is not ASCII forces SMTPUTF8.
 *
 * Pure.  Ownership: spans in struct mail_dsn are borrowed for the call.
 * Source: RFC 3464, RFC 6522, RFC 6533, RFC 3461 section 6, RFC 3834.
 * Tests:  tests/unit/mail/test_mail_dsn.c, tests/fuzz/fuzz_mail_dsn.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

/* RFC 3464 section 2.3.3 */
#define MAIL_DSN_ACTION_MAP(X)                                                                               \
	X(FAILED, "failed")                                                                                  \
	X(DELAYED, "delayed")                                                                                \
	X(DELIVERED, "delivered")                                                                            \
	X(RELAYED, "relayed")                                                                                \
	X(EXPANDED, "expanded")

enum mail_dsn_action {
#define X(name, text) MAIL_DSN_##name,
	MAIL_DSN_ACTION_MAP(X)
#undef X
		MAIL_DSN_ACTION_MAX_
};

const char *mail_dsn_action_name(enum mail_dsn_action action);

/* What may be sent to the sender of the message: the widest that his system is known to take. */
enum mail_dsn_width {
	MAIL_DSN_7BIT,
	MAIL_DSN_8BIT, /* BODY=8BITMIME */
	MAIL_DSN_UTF8, /* SMTPUTF8, and BODY=8BITMIME with it */
};

/* Maxima of what is taken over; longer text is cut, except the addresses. */
enum {
	MAIL_DSN_HEAD_OCTETS_MAX = 64 * 1024,
	MAIL_DSN_DIAGNOSTIC_OCTETS_MAX = 1024,
	MAIL_DSN_HELP_OCTETS_MAX = 4096,
	MAIL_DSN_RCPTS_SHOWN_MAX = 50, /* in the words; the fields have all */
};

struct mail_dsn_rcpt {
	struct span address;    /* local@domain as in the envelope */
	struct span orcpt_type; /* of ORCPT: "rfc822"; empty if there was none */
	struct span orcpt;      /* its address, decoded */
	enum mail_dsn_action action;
	struct span status;     /* "5.1.1"; what is none is replaced by one that says little */
	struct span remote;     /* name of the system that answered; empty if none did */
	struct span diagnostic; /* its reply, lines separated by LF or CRLF; without remote: our words */
	int64_t attempt_s;      /* time of the last attempt; 0: none */
	int64_t retry_until_s;  /* for MAIL_DSN_DELAYED; 0: not known */
};

struct mail_dsn {
	struct span host;   /* our name */
	struct span from;   /* mailbox for From, with a display name; empty: postmaster at our name */
	struct span sender; /* local@domain: where it goes */
	struct span unique; /* makes Message-ID and boundary; not known before to whoever sent the message */
	int64_t now_s;
	int zone_min;

	struct span envid;    /* ENVID, decoded; empty if there was none */
	struct span queue_id; /* of the message */
	int64_t arrival_s;    /* of the message; 0: not known */
	struct span helo, ip; /* of who brought it; may be empty */

	struct span help_text; /* the operator's, lines separated by LF or CRLF; may be empty */
	struct span help_url;

	bool full;                 /* the whole message was asked for: RET=FULL */
	bool original_8bit;        /* it has octets above 127 */
	bool original_utf8;        /* it came with SMTPUTF8 */
	struct span original_head; /* its header section */
	enum mail_dsn_width width;

	const struct mail_dsn_rcpt *rcpts;
	size_t rcpt_count; /* at least one */
};

struct mail_dsn_result {
	bool full;                 /* the caller copies the message between prefix and suffix */
	enum mail_dsn_width needs; /* how the report has to be sent */
};

/* Adds the report to the two buffers, which should be empty. Returns 0, -ERR_INVAL if there is no recipient,
 * no host, no unique or the sender is no address, or -ERR_TOOBIG if a buffer is full. On error *result_r is
 * untouched. */
int mail_dsn_write(const struct mail_dsn *d, struct buf *prefix, struct buf *suffix,
		   struct mail_dsn_result *result_r);

/* Is it of the form of a status code, "5.1.1" (RFC 3463 section 2)? */
bool mail_dsn_status_valid(struct span status);
