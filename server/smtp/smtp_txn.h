/* smtp/smtp_txn.h - one message on its way to one server: what to send, and what became of each recipient.
 *
 * smtp_txn_plan() compares what the message needs with what the peer offers, before anything is sent:
 *   - larger than the peer's SIZE                  all recipients fail, 5.3.4
 *   - BINARYMIME without BINARYMIME and CHUNKING   all fail, 5.6.3; we do not convert (RFC 3030 section 3)
 *   - header or sender not ASCII, no SMTPUTF8      all fail, 5.6.9 or 5.6.7 (RFC 6531 section 3.5)
 *   - a recipient not ASCII, no SMTPUTF8           that one fails, 5.6.7
 *   - REQUIRETLS over a connection that is not     all fail, 5.7.10 (RFC 8689 section 4.2.1); never a bounce
 *     secure as that RFC has it
 *   - REQUIRETLS without it in the peer's EHLO     all fail, 5.7.30; never a bounce
 *   - BY in mode R without DELIVERBY, or too late  all fail, 5.3.3 or 5.4.7
 *   - 8-bit content without 8BITMIME               sent as it is, noted
 *   - RET, ENVID, NOTIFY, ORCPT without DSN        left out, noted: "relayed" notices are then ours
 *                                                  (RFC 3461 section 5.2.2)
 *   - BY in mode N without DELIVERBY               left out, noted
 * smtp/smtp_client.h leads the dialogue. AUTH= is not passed on: that needs a connection that we have
 * authenticated.
 *
 * Pure: no I/O, no clock.
 * Ownership: the caller's, all of it; results' texts live in txn->mem. Nothing it points to may change before
 *            the end.
 * Threads: one transaction, one thread.
 * Tests: tests/unit/smtp/test_txn.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "smtp/smtp_ehlo.h"
#include "smtp/smtp_param.h"
#include "smtp/smtp_reply.h"

/* Steps of the outbound dialogue: name, text for people ("in reply to ..."), the least time to wait for its
 * reply in seconds (RFC 5321 section 4.5.3.2; BODY is one block of data). */
#define SMTP_STEP_MAP(X)                                                                                     \
	X(NONE, "no command", 300)                                                                           \
	X(GREETING, "connect", 300)                                                                          \
	X(EHLO, "EHLO", 300)                                                                                 \
	X(HELO, "HELO", 300)                                                                                 \
	X(STARTTLS, "STARTTLS", 120)                                                                         \
	X(TLS, "TLS handshake", 60)                                                                          \
	X(AUTH, "AUTH", 120)                                                                                 \
	X(RSET, "RSET", 300)                                                                                 \
	X(MAIL, "MAIL FROM", 300)                                                                            \
	X(RCPT, "RCPT TO", 300)                                                                              \
	X(DATA, "DATA", 120)                                                                                 \
	X(BODY, "message content", 180)                                                                      \
	X(END, "end of DATA", 600)                                                                           \
	X(BDAT, "BDAT", 600)                                                                                 \
	X(QUIT, "QUIT", 30)

enum smtp_step {
#define X(name, text, timeout_s) SMTP_STEP_##name,
	SMTP_STEP_MAP(X)
#undef X
		SMTP_STEP_MAX_
};

const char *smtp_step_text(enum smtp_step step);
unsigned smtp_step_timeout_s(enum smtp_step step);

enum smtp_result_kind {
	SMTP_RESULT_PENDING,
	SMTP_RESULT_ACCEPTED, /* RCPT was; the message is not yet */
	SMTP_RESULT_OK,
	SMTP_RESULT_TEMP,
	SMTP_RESULT_PERM,
};

enum {
	SMTP_RESULT_TEXT_MAX = 512,
	SMTP_TXN_ADDRESS_MAX = 960,  /* of a mailbox that we send; the parser's longest, quoted, is shorter */
	SMTP_TXN_COMMAND_MAX = 4096, /* no command that is formatted here is longer */
};

struct smtp_result {
	enum smtp_result_kind kind;
	enum smtp_step step;           /* what it is the reply to, or where it was decided without one */
	unsigned code;                 /* the reply's; 0: there was none, the text is ours */
	struct smtp_enhanced enhanced; /* always there, and its class agrees with the kind */
	struct span text; /* the reply's without its code, lines joined by "\n", cut; or our reason */
};

/* The result that a reply stands for; its text is copied to @mem, as much as fits. @reply->code is 2xx, 4xx
 * or 5xx. */
struct smtp_result smtp_result_of_reply(struct arena *mem, enum smtp_step step,
					const struct smtp_reply *reply);

struct smtp_txn_rcpt {
	struct span address; /* canonical mailbox without brackets, as smtp_path_format_mailbox() writes it */
	struct smtp_rcpt_params params; /* as received */
	struct smtp_result result;
	bool skip;           /* the plan refused it: it is not sent */
	bool notice_is_ours; /* delivered, NOTIFY=SUCCESS was asked, and the peer does no DSN */
};

enum smtp_txn_needs {
	SMTP_TXN_HAS_8BIT = 1 << 0,   /* the content has octets over 127 */
	SMTP_TXN_HAS_UTF8 = 1 << 1,   /* header fields are not ASCII (RFC 6532) */
	SMTP_TXN_USE_BDAT = 1 << 2,   /* rather BDAT than DATA if the peer has CHUNKING; BINARYMIME always */
	SMTP_TXN_EAGER_BDAT = 1 << 3, /* a single chunk, with the envelope, before its replies */
};

enum smtp_txn_progress {
	SMTP_TXN_UNTRIED,  /* the peer has said nothing about it: it may be tried elsewhere at once */
	SMTP_TXN_ENVELOPE, /* it has */
	SMTP_TXN_BODY,     /* content has been sent */
	SMTP_TXN_SENT,     /* all of it: if no reply came, the peer may have it */
};

enum smtp_txn_notes {
	SMTP_TXN_8BIT_UNDECLARED = 1 << 0,
	SMTP_TXN_DSN_LOST = 1 << 1, /* parameters of RFC 3461 were left out */
	SMTP_TXN_BY_LOST = 1 << 2,
	SMTP_TXN_REQUIRETLS_LOST = 1 << 3, /* a bounce, sent without */
};

struct smtp_txn {
	/* what to send */
	struct arena *mem;
	struct span sender;             /* canonical mailbox; empty: the null path */
	struct smtp_mail_params params; /* as received; but by.seconds is what remains */
	uint64_t octets;                /* of the message with CRLFs, no dots doubled; exact */
	unsigned needs;                 /* enum smtp_txn_needs */
	struct smtp_txn_rcpt *rcpt;
	unsigned nrcpt;

	/* how it goes */
	unsigned notes; /* enum smtp_txn_notes */
	enum smtp_txn_progress progress;
	struct smtp_mail_params send; /* what MAIL carries */
	bool utf8, dsn, bdat;         /* what this transaction uses */
};

/* Decides what can be sent to @peer; see above. @secure: the connection is under TLS with a peer that was
 * verified, under a name that nobody on the way can have put there (RFC 8689 section 4.2.1). Sets every
 * recipient's result to PENDING or to a failure. Returns how many recipients are left to be tried. */
unsigned smtp_txn_plan(struct smtp_txn *txn, const struct smtp_ehlo *peer, bool secure);

/* Appends the command with its CRLF. False if @out is full. */
bool smtp_txn_format_mail(const struct smtp_txn *txn, struct buf *out);
bool smtp_txn_format_rcpt(const struct smtp_txn *txn, unsigned i, struct buf *out);

/* Gives @result to all recipients that are in state @kind. */
void smtp_txn_settle(struct smtp_txn *txn, enum smtp_result_kind kind, const struct smtp_result *result);
