/* main/simulate_client.h - the client of `postern simulate`: says one transaction and writes down the dialogue; private to main/.
 *
 * Ownership: embedded in its owner; the stream is the session's.  Threads: the loop's.
 * Tests: tests/unit/main/test_simulate.c
 */
#pragma once

#include "base/json.h"
#include "hook/hook.h"
#include "io/memory_stream.h"
#include "main/simulate.h"
#include "smtp/smtp_ehlo.h"
#include "smtp/smtp_reply.h"

enum simulate_stage {
	SIMULATE_GREETING,
	SIMULATE_HELO,
	SIMULATE_STARTTLS,
	SIMULATE_AUTH,
	SIMULATE_MAIL,
	SIMULATE_RCPT,
	SIMULATE_DATA,
	SIMULATE_BODY,
	SIMULATE_QUIT,
	SIMULATE_OVER,
};

struct simulate_client {
	const struct simulate_request *req;
	struct span message; /* CRLF line ends */
	bool message_8bit;
	struct memory_peer peer;
	struct smtp_reply_parser parser;
	struct smtp_ehlo server;
	enum simulate_stage stage;
	bool tls, authenticated;
	size_t rcpt_at, rcpts_accepted;
	struct buf said;      /* the command that waits for its reply; empty: none, the greeting */
	struct buf decisions; /* JSON, of those that were made since the last reply */
	/* JSON without the brackets around it */
	struct buf dialogue, recipients, answer; /* answer: of the message, members of an object */
	bool message_ok;
	const char *broken; /* the server's octets were no replies */
};

void simulate_client_init(struct simulate_client *c, const struct simulate_request *req, struct span message);
void simulate_client_deinit(struct simulate_client *c);
/* The stream for session_start(). */
struct stream *simulate_client_connect(struct simulate_client *c, struct loop *loop);
void simulate_client_decided(struct simulate_client *c, const struct decision *d);
