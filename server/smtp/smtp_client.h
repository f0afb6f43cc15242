/* smtp/smtp_client.h - the outbound dialogue as a machine: says what to send next, is told what was answered.
 *
 * It owns no socket and knows no time. Whoever drives it does this, whenever something has happened:
 *
 *   do {
 *           act = smtp_client_next(c, &out);
 *           write out;
 *   } while (act == SMTP_CLIENT_MORE);
 *   act: WAIT        read; each complete reply goes to smtp_client_reply(), end of file or a deadline to
 *                    smtp_client_lost()
 *        BODY_DATA   write the message with dots doubled and its end (smtp/smtp_data.h), then
 *                    smtp_client_body_done()
 *        BODY_CHUNK  write c->chunk_octets octets of the message from c->chunk_at on as they are, then
 *                    smtp_client_body_done()
 *        DONE        every recipient of the transaction has its result: smtp_client_take()
 *        READY       smtp_client_begin() a transaction, or smtp_client_quit()
 *        CLOSE       close the connection; c->failure says why, if it was not planned
 *
 * While a body is being written replies may come and are told as they come; then ask for the next action
 * again, it may be CLOSE by now.
 *
 * The order of a session: GREETING, EHLO (HELO if it is refused), READY; then for each transaction ENVELOPE
 * (RSET if the last one was not completed, MAIL, RCPT ..., DATA or BDAT), CONTENT, READY; QUIT, CLOSED. With
 * PIPELINING the envelope goes out as a group (RFC 2920). STARTTLS (and EHLO again) and AUTH belong between
 * EHLO and READY; handshake_done() in the .c is where.
 *
 * Pure: no I/O, no clock.
 * Ownership: embedded in its owner, not to be moved; the transaction is the caller's and must stay until it
 *            is taken back. Replies are read during the call only.
 * Threads:   one client, one thread.
 * Errors:    become results of the recipients, and c->failure when the connection is of no more use.
 * Tests:     tests/unit/smtp/test_client.c, tests/fuzz/fuzz_smtp_client.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "smtp/smtp_ehlo.h"
#include "smtp/smtp_reply.h"
#include "smtp/smtp_txn.h"

#define SMTP_CLIENT_STATE_MAP(X)                                                                             \
	X(GREETING, "greeting") /* nothing was sent, the server speaks first */                              \
	X(EHLO, "ehlo")                                                                                      \
	X(HELO, "helo")                                                                                      \
	X(READY, "ready") /* between transactions, or with one whose results are to be taken */              \
	X(ENVELOPE, "envelope")                                                                              \
	X(CONTENT, "content") /* DATA or a chunk is being written */                                         \
	X(QUIT, "quit")                                                                                      \
	X(CLOSED, "closed")

enum smtp_client_state {
#define X(name, text) SMTP_CLIENT_IN_##name,
	SMTP_CLIENT_STATE_MAP(X)
#undef X
	SMTP_CLIENT_STATE_MAX_
};

const char *smtp_client_state_name(enum smtp_client_state state);

enum smtp_client_action {
	SMTP_CLIENT_MORE,
	SMTP_CLIENT_WAIT,
	SMTP_CLIENT_BODY_DATA,
	SMTP_CLIENT_BODY_CHUNK,
	SMTP_CLIENT_DONE,
	SMTP_CLIENT_READY,
	SMTP_CLIENT_CLOSE,
};

struct smtp_client_config {
	struct span name;      /* for EHLO: our host name or address literal; lives as long as the client */
	uint32_t hide_ext;     /* extensions of the peer that are not to be used */
	unsigned window;       /* commands in flight; 0: 100 */
	uint64_t chunk_octets; /* longest BDAT chunk; 0: 1 MiB. A peer's error shows only after a chunk */
	bool tls;              /* the connection is under TLS from its start */
	bool helo_only;        /* for servers that cannot stand EHLO */
};

/* One command of the envelope and what follows it. */
struct smtp_client_at {
	enum smtp_step step;
	uint32_t i; /* RCPT: which */
};

struct smtp_client {
	struct smtp_client_config cfg;
	enum smtp_client_state state;
	struct smtp_ehlo peer;      /* what may be used; name: how the server calls itself */
	struct smtp_result failure; /* PENDING: none. Why the connection is of no more use */
	uint64_t chunk_at, chunk_octets;

	/* private */
	struct smtp_txn *txn;
	struct smtp_result mail;    /* the reply to MAIL */
	struct smtp_client_at next; /* to be sent */
	struct smtp_client_at due;  /* to be answered; equal to `next` when nothing is in flight */
	unsigned in_flight;
	unsigned accepted; /* recipients */
	bool said;         /* EHLO, HELO or QUIT of the current state is out */
	bool is_open;      /* the peer has, or may have, a transaction: RSET before the next */
	bool go;           /* DATA was answered 354 */
	bool over;         /* nothing more of this transaction is to be sent */
	bool answered;     /* accepted recipients have the message's reply */
	char failure_text[SMTP_RESULT_TEXT_MAX];
};

void smtp_client_init(struct smtp_client *c, const struct smtp_client_config *cfg);

/* Appends what is to be sent now to @out, which must be empty and hold at least 2 * SMTP_TXN_COMMAND_MAX, and
 * says what then. Calling it again without news repeats the action and adds nothing. */
enum smtp_client_action smtp_client_next(struct smtp_client *c, struct buf *out);

/* A complete reply came. Returns 0, or -ERR_SYNTAX if it was out of place: the next action is then DONE or
 * CLOSE. */
int smtp_client_reply(struct smtp_client *c, const struct smtp_reply *reply);

/* What BODY_DATA or BODY_CHUNK asked for has been written. */
void smtp_client_body_done(struct smtp_client *c);

/* The connection is lost: closed by the peer, a deadline, no SMTP reply, or our own failure to read the
 * message. Open recipients get a temporary result with @enhanced and @why. */
void smtp_client_lost(struct smtp_client *c, struct smtp_enhanced enhanced, const char *why);

/* In READY, with the transaction before taken back. Plans it: see smtp/smtp_txn.h. */
void smtp_client_begin(struct smtp_client *c, struct smtp_txn *txn);

/* The transaction back, all its recipients OK, TEMP or PERM. NULL if there is none or it is not done. */
struct smtp_txn *smtp_client_take(struct smtp_client *c);

/* In READY, with no transaction to be taken: say goodbye. After a refused greeting or EHLO it is said without
 * this. */
void smtp_client_quit(struct smtp_client *c);

/* What is being waited for or done: its smtp_step_timeout_s() is the deadline. */
enum smtp_step smtp_client_awaits(const struct smtp_client *c);
