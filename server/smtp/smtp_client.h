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
 *        STARTTLS    do the handshake, then smtp_client_tls_done(); or smtp_client_lost(). Nothing may be
 *                    unread by then: see below
 *        AUTH        smtp_client_auth_send(), later smtp_client_auth_next(), with what a SASL mechanism
 *                    says, or smtp_client_auth_abort()
 *        READY       smtp_client_begin() a transaction, or smtp_client_quit()
 *        CLOSE       close the connection; c->failure says why, if it was not planned
 *
 * While a body is being written replies may come and are told as they come; then ask for the next action
 * again, it may be CLOSE by now.
 *
 * The order of a session: GREETING, EHLO (HELO if it is refused), STARTTLS, HANDSHAKE and EHLO again, AUTH,
 * READY; then for each transaction ENVELOPE (RSET if the last one was not completed, MAIL, RCPT ..., DATA or
 * BDAT), CONTENT, READY; QUIT, CLOSED. With PIPELINING the envelope goes out as a group (RFC 2920).
 *
 * What the server said in the clear is forgotten with the handshake (RFC 3207 section 4.2). Octets that came
 * behind its 220 to STARTTLS and before the handshake may be anybody's: smtp_client_reply() says 1 after that
 * reply, the driver stops reading there and gives the connection up if something is unread.
 *
 * Pure: no I/O, no clock.
 * Ownership: embedded in its owner, not to be moved; the transaction is the caller's and must stay until it
 *            is taken back. Replies are read during the call only.
 * Threads:   one client, one thread.
 * Errors:    become results of the recipients, and c->failure when the connection is of no more use.
 * Tests:     tests/unit/smtp/test_client.c, test_client_opening.c, tests/fuzz/fuzz_smtp_client.c
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
	X(STARTTLS, "starttls")                                                                              \
	X(HANDSHAKE, "handshake") /* the driver's, on the other side of this machine */                      \
	X(AUTH, "auth")                                                                                      \
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
	SMTP_CLIENT_STARTTLS,
	SMTP_CLIENT_AUTH,
	SMTP_CLIENT_READY,
	SMTP_CLIENT_CLOSE,
};

enum smtp_client_tls {
	SMTP_CLIENT_TLS_NEVER,
	SMTP_CLIENT_TLS_IF_OFFERED, /* and if the server does as it offered */
	SMTP_CLIENT_TLS_REQUIRED,   /* without it nothing but QUIT is said: 4.7.4 */
};

enum {
	SMTP_CLIENT_COMMAND_MAX = 512,    /* AUTH with its initial response, and CRLF: RFC 4954 section 4 */
	SMTP_CLIENT_RESPONSE_MAX = 12288, /* a line within AUTH, without CRLF */
};

struct smtp_client_config {
	struct span name;      /* for EHLO: our host name or address literal; lives as long as the client */
	uint32_t hide_ext;     /* extensions of the peer that are not to be used */
	unsigned window;       /* commands in flight; 0: 100 */
	uint64_t chunk_octets; /* longest BDAT chunk; 0: 1 MiB. A peer's error shows only after a chunk */
	enum smtp_client_tls starttls;
	bool tls;       /* the connection is under TLS from its start */
	bool secure;    /* and as smtp_client_tls_done() has it */
	bool auth;      /* we authenticate before anything is sent */
	bool helo_only; /* for servers that cannot stand EHLO */
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
	bool tls, secure;  /* the connection is under TLS; and see smtp_client_tls_done() */
	bool tls_offered;  /* the server has offered STARTTLS */
	bool tls_required; /* the failure is that there is no TLS where there has to be */
	bool auth_open;    /* the server waits for the answer to its challenge */
	/* The text of the 334, until the driver reads its next reply. Empty: the server waits for the first response. */
	struct span auth_challenge;

	/* private */
	struct smtp_txn *txn;
	struct smtp_result mail;    /* the reply to MAIL */
	struct smtp_client_at next; /* to be sent */
	struct smtp_client_at due;  /* to be answered; equal to `next` when nothing is in flight */
	unsigned in_flight;
	unsigned accepted; /* recipients */
	bool said;         /* EHLO, HELO, STARTTLS or QUIT of the current state is out */
	bool aborted;      /* AUTH: given up by us, the server's word on that is awaited */
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

/* A complete reply came. Returns 0; 1 if the next action is to be done before anything more is read; or
 * -ERR_SYNTAX if it was out of place: the next action is then DONE or CLOSE. */
int smtp_client_reply(struct smtp_client *c, const struct smtp_reply *reply);

/* What BODY_DATA or BODY_CHUNK asked for has been written. */
void smtp_client_body_done(struct smtp_client *c);

/* The connection is lost: closed by the peer, a deadline, no SMTP reply, or our own failure to read the
 * message. Open recipients get a temporary result with @enhanced and @why. */
void smtp_client_lost(struct smtp_client *c, struct smtp_enhanced enhanced, const char *why);

/* After STARTTLS: the connection is under TLS from here on, and all that the server has said is forgotten.
 * @secure: its certificate was verified, under a name that an attacker of the DNS could not choose. */
void smtp_client_tls_done(struct smtp_client *c, bool secure);

/* After AUTH, with auth_open false: appends the command to @out. @initial is base64, empty an empty response,
 * {NULL, 0} none. False, with nothing done, if it cannot be sent like this: RFC 4954 section 4 has a long
 * initial response wait for the server's empty challenge. What was written is a secret: wipe it when it is sent.
 * @out has room for SMTP_CLIENT_RESPONSE_MAX + 2, here and below. */
bool smtp_client_auth_send(struct smtp_client *c, struct span mech, struct span initial, struct buf *out);
/* After AUTH, with auth_open true: the response, base64. False, with nothing done, if it is too long or no base64. */
bool smtp_client_auth_next(struct smtp_client *c, struct span response, struct buf *out);
/* After AUTH: we cannot authenticate; the connection is of no more use for that reason. */
void smtp_client_auth_abort(struct smtp_client *c, struct smtp_enhanced enhanced, const char *why,
			    struct buf *out);

/* In READY, with the transaction before taken back. Plans it: see smtp/smtp_txn.h. */
void smtp_client_begin(struct smtp_client *c, struct smtp_txn *txn);

/* The transaction back, all its recipients OK, TEMP or PERM. NULL if there is none or it is not done. */
struct smtp_txn *smtp_client_take(struct smtp_client *c);

/* In READY, with no transaction to be taken: say goodbye. After a refused greeting or EHLO it is said without
 * this. */
void smtp_client_quit(struct smtp_client *c);

/* What is being waited for or done: its smtp_step_timeout_s() is the deadline. */
enum smtp_step smtp_client_awaits(const struct smtp_client *c);
