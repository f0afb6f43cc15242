/* mail/mail_dsn_text.c - the words of a report. Who reads them owns a copier and has never heard of SMTP;
 * below the plain words stands what the help desk wants to see. */
#include "base/arena.h"
#include "base/check.h"
#include "mail/mail_char.h"
#include "mail/mail_date.h"
#include "mail/mail_dsn_priv.h"
#include "mail/mail_fold.h"
#include "mail/mail_head.h"

enum {
	COLUMNS = 76,
	WORD_MAX = 400,
	ADDRESS_MAX = 2 * WORD_MAX,
	VALUE_MAX = 300, /* of a field of the original */
	LINE_OCTETS_MAX = 4 * MAIL_DSN_HELP_OCTETS_MAX,
	PARSE_OCTETS_MAX = 4 * MAIL_DSN_HEAD_OCTETS_MAX,
};

/* --- lines --- */

static void blank(struct buf *out)
{
	buf_add_str(out, "\r\n");
}

/* Adds one paragraph of clean text, broken at spaces, each line behind @indent. */
static void paragraph(struct buf *out, const char *indent, struct span text)
{
	const size_t margin = strlen(indent);
	size_t column = 0;

	while (text.p) {
		struct span word = span_cut(&text, ' ');
		while (word.n) {
			const struct span piece = span_first(word, WORD_MAX);
			word = span_skip(word, piece.n);
			if (column > 0 && column + 1 + piece.n > COLUMNS) {
				buf_add_str(out, "\r\n");
				column = 0;
			}
			buf_add_str(out, column ? " " : indent);
			buf_add_span(out, piece);
			column = (column ? column + 1 : margin) + piece.n;
		}
	}
	if (column)
		buf_add_str(out, "\r\n");
}

static void paragraph_str(struct buf *out, const char *indent, const char *text)
{
	paragraph(out, indent, span_of(text));
}

/* Adds foreign text: each of its lines is cleaned and becomes a paragraph. */
static void quote(struct buf *out, const char *indent, struct span text, size_t octets_max)
{
	text = span_first(text, octets_max);
	while (text.p && !out->overflow) {
		struct buf line = BUF_INIT(LINE_OCTETS_MAX);
		mail_text_clean(&line, span_cut(&text, '\n'), MAIL_FOLD_UTF8);
		if (line.n)
			paragraph(out, indent, buf_span(&line));
		buf_free(&line);
	}
}

/* --- what went wrong --- */

struct meaning {
	char status[8]; /* without the class; "7" is all of its subject */
	const char *what, *todo;
};

/* RFC 3463 and the registry of enhanced status codes, in the words of those who see the result. The first
 * that fits counts. */
static const struct meaning meanings[] = {
	{ "1.1", "There is no such address.",
	  "Look for a typing mistake in the address and send the message again." },
	{ "1.2", "There is no such mail domain, or it does not answer.",
	  "Look for a typing mistake behind the @ of the address and send the message again." },
	{ "1.3", "The address is not written correctly.", "Correct the address and send the message again." },
	{ "1.6", "The recipient has moved and left no new address.",
	  "Ask the recipient for the new address." },
	{ "1.7", "The sender's address is not written correctly.",
	  "Correct the sender's address in the settings of the device." },
	{ "1.8", "The sender's address was not accepted.",
	  "Set the sender's address of the device to one that exists and that may be used here." },
	{ "1.10", "This domain takes no mail at all.", "Ask the recipient for another address." },
	{ "1", "The address was not accepted.", "Check the address and send the message again." },
	{ "2.1", "The recipient's mailbox is switched off.", "Ask the recipient in another way." },
	{ "2.2", "The recipient's mailbox is full.",
	  "Ask the recipient to make room, then send the message again." },
	{ "2.3", "The message is too large for the recipient's mailbox.",
	  "Send it in smaller parts, or scan with fewer pages or a lower resolution." },
	{ "2", "The recipient's mailbox did not take the message.",
	  "Ask the recipient, or send it again later." },
	{ "3.4", "The message is too large for the recipient's system.",
	  "Send it in smaller parts, or scan with fewer pages or a lower resolution." },
	{ "3", "The recipient's mail system has a problem.", "Send the message again later." },
	{ "4.1", "The recipient's mail system does not answer.", "Send the message again later." },
	{ "4.2", "The connection to the recipient's mail system broke.", "Send the message again later." },
	{ "4.3", "The name service does not answer for the recipient's domain.",
	  "Send the message again later." },
	{ "4.4", "No way to the recipient's mail system is known.",
	  "Check the part of the address behind the @." },
	{ "4.6", "The message went round in circles between mail systems.",
	  "Tell the help desk: a forwarding is wrong, and sending again does not help." },
	{ "4.7", "The recipient's mail system could not be reached in time.",
	  "Send the message again later." },
	{ "4", "The recipient's mail system could not be reached.", "Send the message again later." },
	{ "6.7", "The recipient's mail system cannot handle addresses with other than plain English letters.",
	  "Use addresses in plain English letters." },
	{ "6", "The recipient's mail system cannot handle this kind of message.",
	  "Send it in another format." },
	{ "7.8", "The recipient's mail system wants a login that was not given.", "Tell the help desk." },
	{ "7", "The recipient's mail system refuses the message by its rules.",
	  "Read the answer below; if it does not help, ask the help desk." },
	{ "5", "The mail systems did not understand each other.", "Tell the help desk." },
	{ "", "The message was not accepted.",
	  "Read the answer below; if it does not help, ask the help desk." },
};

static const struct meaning *find_meaning(struct span status)
{
	const struct span rest = span_skip(status, 2); /* behind the class */

	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		const struct span s = span_of(meanings[i].status);
		if (s.n == 0 || span_eq(rest, s) ||
		    (s.n == 1 && span_starts(rest, s) && rest.n > 1 && rest.p[1] == '.'))
			return &meanings[i];
	}
	return &meanings[ARRAY_LEN(meanings) - 1];
}

/* --- the parts of the text --- */

static void write_intro(const struct mail_dsn *d, struct buf *out)
{
	static const char *const intros[MAIL_DSN_ACTION_MAX_] = {
		[MAIL_DSN_FAILED] =
			"Your message could not be delivered to the recipients below. It is not tried again.",
		[MAIL_DSN_DELAYED] =
			"Your message could not be delivered yet to the recipients below. You need not do "
			"anything: it is tried again, and you get another report if that fails.",
		[MAIL_DSN_DELIVERED] = "Your message was delivered to the recipients below.",
		[MAIL_DSN_RELAYED] = "Your message was passed on to the mail systems of the recipients "
				     "below. These do not "
				     "report what they do with it.",
		[MAIL_DSN_EXPANDED] =
			"Your message was passed on to those whom the addresses below stand for.",
	};
	struct buf b = BUF_INIT(1024);

	buf_add_str(&b, "This is the mail relay ");
	mail_text_clean(&b, span_first(d->host, WORD_MAX), MAIL_FOLD_UTF8);
	buf_add_char(&b, '.');
	paragraph(out, "", buf_span(&b));
	buf_free(&b);
	blank(out);
	paragraph_str(out, "", intros[mail_dsn_gravest(d)]);
	blank(out);
}

/* One line about the original, if its head has that field. */
static void write_field(struct buf *out, const struct mail_head *h, const char *label, struct span name)
{
	struct buf b = BUF_INIT(LINE_OCTETS_MAX);
	const struct span value = h ? mail_head_value(h, name) : (struct span){ NULL, 0 };

	/* An encoded-word (RFC 2047) says nothing to anybody. */
	if (value.n && span_find(value, SPAN("=?")) < 0) {
		buf_add_str(&b, label);
		mail_text_clean(&b, span_first(value, VALUE_MAX), MAIL_FOLD_UTF8);
		paragraph(out, "    ", buf_span(&b));
	}
	buf_free(&b);
}

static void write_original(const struct mail_dsn *d, struct buf *out)
{
	struct arena *a = arena_new(PARSE_OCTETS_MAX);
	struct mail_head *h = NULL;
	const size_t before = out->n;

	mail_head_parse(a, d->original_head, MAIL_DSN_HEAD_OCTETS_MAX, &h);
	write_field(out, h, "Subject: ", SPAN("Subject"));
	write_field(out, h, "Sent: ", SPAN("Date"));
	write_field(out, h, "From: ", SPAN("From"));
	write_field(out, h, "Message-ID: ", SPAN("Message-ID"));
	arena_free(&a);
	if (d->queue_id.n) {
		buf_add_str(out, "    Number at the relay: ");
		mail_text_clean(out, span_first(d->queue_id, WORD_MAX), MAIL_FOLD_UTF8);
		blank(out);
	}
	if (out->n > before)
		blank(out);
}

static void write_answer(const struct mail_dsn_rcpt *r, struct buf *out)
{
	struct buf b = BUF_INIT(2048);

	if (r->remote.n) {
		buf_add_str(&b, "Answer of ");
		mail_text_clean(&b, span_first(r->remote, WORD_MAX), MAIL_FOLD_UTF8);
		buf_add_char(&b, ':');
	} else {
		buf_add_str(&b, "The relay noted:");
	}
	paragraph(out, "    ", buf_span(&b));
	quote(out, "        ", r->diagnostic, MAIL_DSN_DIAGNOSTIC_OCTETS_MAX);
	buf_free(&b);
}

static void write_rcpt(const struct mail_dsn *d, const struct mail_dsn_rcpt *r, struct buf *out)
{
	const struct span status = mail_dsn_status(r);
	const struct meaning *m = find_meaning(status);

	buf_add_char(out, '<');
	mail_text_clean(out, span_first(r->address, ADDRESS_MAX), MAIL_FOLD_UTF8);
	buf_add_str(out, ">\r\n");
	if (r->action == MAIL_DSN_FAILED || r->action == MAIL_DSN_DELAYED) {
		struct buf b = BUF_INIT(1024);
		buf_addf(&b, "What happened: %s (%.*s)", m->what, SPAN_ARG(status));
		paragraph(out, "    ", buf_span(&b));
		buf_reset(&b);
		if (r->action == MAIL_DSN_FAILED) {
			buf_addf(&b, "What to do: %s", m->todo);
		} else if (r->retry_until_s) {
			const struct mail_date_text date = mail_date_format(r->retry_until_s, d->zone_min);
			buf_addf(&b, "It is tried again until %s.", date.s);
		}
		paragraph(out, "    ", buf_span(&b));
		buf_free(&b);
	}
	if (r->diagnostic.n)
		write_answer(r, out);
	blank(out);
}

void mail_dsn_write_words(const struct mail_dsn *d, struct buf *out)
{
	const size_t shown =
		d->rcpt_count < MAIL_DSN_RCPTS_SHOWN_MAX ? d->rcpt_count : MAIL_DSN_RCPTS_SHOWN_MAX;

	write_intro(d, out);
	write_original(d, out);
	for (size_t i = 0; i < shown; i++)
		write_rcpt(d, &d->rcpts[i], out);
	if (shown < d->rcpt_count) {
		buf_addf(out,
			 "... and %zu more recipients, who are named in the second part of this "
			 "report.\r\n\r\n",
			 d->rcpt_count - shown);
	}
	if (d->help_text.n || d->help_url.n) {
		quote(out, "", d->help_text, MAIL_DSN_HELP_OCTETS_MAX);
		if (d->help_url.n) {
			struct buf b = BUF_INIT(2048);
			buf_add_str(&b, "Help: ");
			mail_text_clean(&b, span_first(d->help_url, WORD_MAX), MAIL_FOLD_UTF8);
			paragraph(out, "", buf_span(&b));
			buf_free(&b);
		}
		blank(out);
	}
}
