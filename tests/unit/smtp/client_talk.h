/* client_talk.h - an smtp_client and the server's side of its dialogue, as text. */
#pragma once

#include "smtp/smtp_client.h"

#include "base/check.h"
#include "base/err.h"
#include "test.h"

enum { RCPT_MAX = 300 };

/* A client and the server's side of its dialogue, as text with "\n" for CRLF. */
struct talk {
	struct smtp_client c;
	struct smtp_reply_parser parser;
	struct arena *mem;
	struct smtp_txn txn;
	struct smtp_txn_rcpt rcpt[RCPT_MAX];
	char names[RCPT_MAX][16];
};

static struct talk *talk_new(struct smtp_client_config cfg)
{
	struct talk *t = calloc(1, sizeof *t);

	if (!cfg.name.n)
		cfg.name = SPAN("relay.example");
	smtp_client_init(&t->c, &cfg);
	smtp_reply_parser_init(&t->parser, SMTP_REPLY_TEXT_MAX);
	t->mem = arena_new(1 << 20);
	return t;
}

static void talk_free(struct talk *t)
{
	smtp_reply_parser_deinit(&t->parser);
	arena_free(&t->mem);
	free(t);
}

/* What the client sends until it has nothing more to say, and what it does then. */
static void client_(struct talk *t, const char *want, enum smtp_client_action action, const char *file,
		    int line)
{
	struct buf all = BUF_INIT(1 << 20);
	enum smtp_client_action got;

	do {
		struct buf out = BUF_INIT(2 * SMTP_TXN_COMMAND_MAX);
		got = smtp_client_next(&t->c, &out);
		for (size_t i = 0; i < out.n; i++)
			if (out.p[i] != '\r')
				buf_add_char(&all, out.p[i]);
		buf_free(&out);
	} while (got == SMTP_CLIENT_MORE);
	if (got != action || strcmp(want, buf_cstr(&all)) != 0) {
		test_fail(file, line);
		printf("expected action %d and \"%s\", got %d and \"%s\"\n", action, want, got,
		       buf_cstr(&all));
	}
	buf_free(&all);
}

/* The server says this; returns what the client said to the last reply. */
static int server(struct talk *t, const char *text)
{
	struct buf in = BUF_INIT(1 << 16);
	struct span rest;
	const char *why = "";
	int rc = 0;

	for (; *text; text++) {
		if (*text == '\n')
			buf_add_char(&in, '\r');
		buf_add_char(&in, *text);
	}
	rest = buf_span(&in);
	while (rest.n && rc == 0) {
		CHECK_INT(1, smtp_reply_parse(&t->parser, &rest, &why));
		rc = smtp_client_reply(&t->c, &t->parser.reply);
	}
	buf_free(&in);
	return rc;
}

#define CLIENT(want, action) client_(t, want, SMTP_CLIENT_##action, __FILE__, __LINE__)
#define SERVER(text)         CHECK_INT(0, server(t, text))

static inline void plan(struct talk *t, unsigned nrcpt, unsigned needs, uint64_t octets)
{
	memset(t->rcpt, 0, sizeof t->rcpt);
	for (unsigned i = 0; i < nrcpt; i++) {
		snprintf(t->names[i], sizeof t->names[i], "r%u@d", i);
		t->rcpt[i].address = span_of(t->names[i]);
	}
	t->txn = (struct smtp_txn){ .mem = t->mem,
				    .sender = SPAN("s@d"),
				    .octets = octets,
				    .needs = needs,
				    .rcpt = t->rcpt,
				    .nrcpt = nrcpt };
}

static inline void begin(struct talk *t, unsigned nrcpt, unsigned needs, uint64_t octets)
{
	plan(t, nrcpt, needs, octets);
	smtp_client_begin(&t->c, &t->txn);
}
