#include "mail/mail_dsn.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/err.h"
#include "base/utf8.h"
#include "mail/mail_address.h"
#include "mail/mail_char.h"
#include "mail/mail_date.h"
#include "mail/mail_dsn_priv.h"
#include "mail/mail_fold.h"
#include "mail/mail_head.h"
#include "mail/mail_mime.h"
#include "mail/mail_msgid.h"

enum {
	REPORT_OCTETS_MAX = 4 * 1024 * 1024,             /* all of the report but the whole message */
	PARSE_OCTETS_MAX = 4 * MAIL_DSN_HEAD_OCTETS_MAX, /* the fields of its head, for a look at them */
	TEXT_OCTETS_MAX = 2 * MAIL_LINE_MAX,
	SENDER_OCTETS_MAX = 2 * MAIL_DOMAIN_MAX,
	UNIQUE_MAX = 32,
};

const char *mail_dsn_action_name(enum mail_dsn_action action)
{
	static const char *const names[] = {
#define X(name, text) text,
		MAIL_DSN_ACTION_MAP(X)
#undef X
	};

	return (size_t)action < ARRAY_LEN(names) ? names[action] : "unknown";
}

enum mail_dsn_action mail_dsn_gravest(const struct mail_dsn *d)
{
	enum mail_dsn_action action = MAIL_DSN_EXPANDED;

	for (size_t i = 0; i < d->rcpt_count; i++)
		if (d->rcpts[i].action < action)
			action = d->rcpts[i].action;
	return action;
}

/* A number of at most three digits without leading zeros: RFC 3464 section 2.3.4. */
static bool status_number(struct span s)
{
	uint64_t v;

	return s.n <= 3 && (s.n == 1 || (s.n > 1 && s.p[0] != '0')) && span_to_u64(s, 999, &v);
}

bool mail_dsn_status_valid(struct span status)
{
	if (status.n < 5 || !strchr("245", status.p[0]) || status.p[1] != '.')
		return false;
	struct span rest = span_skip(status, 2);
	const struct span subject = span_cut(&rest, '.');
	return status_number(subject) && status_number(rest);
}

struct span mail_dsn_status(const struct mail_dsn_rcpt *r)
{
	if (mail_dsn_status_valid(r->status))
		return r->status;
	/* RFC 3461 section 6.3 (g) */
	return r->action == MAIL_DSN_FAILED    ? SPAN("5.0.0")
	       : r->action == MAIL_DSN_DELAYED ? SPAN("4.0.0")
					       : SPAN("2.0.0");
}

/* --- the fields for a program --- */

/* A report in the making. */
struct report {
	const struct mail_dsn *d;
	enum mail_dsn_width width; /* what may be used */
	enum mail_dsn_width needs; /* what was used */
	bool full;
	struct buf words, fields, head; /* its parts; without a head if the message is returned in full */
	const char *words_encoding, *fields_type, *fields_encoding, *third_type, *third_encoding;
};

static void field(struct buf *out, const char *name, struct span value, unsigned flags)
{
	mail_field_write(out, span_of(name), value, flags);
}

static void date_field(struct buf *out, const char *name, int64_t unix_s, int zone_min)
{
	const struct mail_date_text text = mail_date_format(unix_s, zone_min);

	field(out, name, span_of(text.s), 0);
}

/* "name: prefix value" with text that is cut to @max octets. */
static void text_field(struct buf *out, const char *name, const char *prefix, struct span text, size_t max,
		       unsigned flags)
{
	struct buf b = BUF_INIT(MAIL_FIELD_OCTETS_MAX);

	buf_add_str(&b, prefix);
	buf_add_span(&b, span_first(text, max));
	field(out, name, buf_span(&b), flags);
	buf_free(&b);
}

/* utf-8-addr-xtext of RFC 6533 section 3: for an address that is not ASCII where only ASCII may be. */
static void write_embedded(struct buf *out, struct span s)
{
	while (s.n) {
		const unsigned char *p = (const unsigned char *)s.p;
		const size_t n = utf8_char_len(s);
		uint32_t c = p[0];
		if (n > 1) {
			c = p[0] & (0x7fu >> n);
			for (size_t i = 1; i < n; i++)
				c = c << 6 | (p[i] & 0x3fu);
		}
		if (n == 0)
			buf_add_char(out, '?');
		else if (c <= ' ' || c >= 0x7f || c == '\\' || c == '+' || c == '=')
			buf_addf(out, "\\x{%02X}", (unsigned)c);
		else
			buf_add_char(out, (char)c);
		s = span_skip(s, n ? n : 1);
	}
}

/* Original-Recipient and Final-Recipient. @type is that of ORCPT, or empty. */
static void address_field(struct report *rep, const char *name, struct span type, struct span address)
{
	const bool ascii = ascii_only(address);
	struct buf b = BUF_INIT(MAIL_FIELD_OCTETS_MAX);

	if (type.n)
		mail_text_clean(&b, span_first(type, MAIL_DOMAIN_MAX), 0);
	else
		buf_add_str(&b, ascii ? "rfc822" : "utf-8");
	buf_add_str(&b, "; ");
	if (ascii || rep->width == MAIL_DSN_UTF8)
		buf_add_span(&b, address);
	else
		write_embedded(&b, address);
	if (!ascii && rep->width == MAIL_DSN_UTF8)
		rep->needs = MAIL_DSN_UTF8;
	field(&rep->fields, name, buf_span(&b), rep->width == MAIL_DSN_UTF8 ? MAIL_FOLD_UTF8 : 0);
	buf_free(&b);
}

/* RFC 3464 section 2.2 */
static void write_message_fields(struct report *rep)
{
	const struct mail_dsn *d = rep->d;
	struct buf *out = &rep->fields;

	if (d->envid.n)
		text_field(out, "Original-Envelope-Id", "", d->envid, MAIL_LINE_MAX, 0);
	text_field(out, "Reporting-MTA", "dns; ", d->host, MAIL_DOMAIN_MAX, 0);
	if (d->helo.n || d->ip.n) {
		struct buf b = BUF_INIT(TEXT_OCTETS_MAX);
		mail_text_clean(&b, d->helo.n ? span_first(d->helo, MAIL_DOMAIN_MAX) : SPAN("unknown"), 0);
		if (d->ip.n)
			buf_addf(&b, " (%.*s)", SPAN_ARG(span_first(d->ip, MAIL_DOMAIN_MAX)));
		text_field(out, "Received-From-MTA", "dns; ", buf_span(&b), MAIL_LINE_MAX, 0);
		buf_free(&b);
	}
	if (d->arrival_s)
		date_field(out, "Arrival-Date", d->arrival_s, d->zone_min);
	if (d->queue_id.n)
		text_field(out, "X-Postern-Queue-Id", "", d->queue_id, MAIL_DOMAIN_MAX, 0);
}

/* RFC 3464 section 2.3 */
static void write_rcpt_fields(struct report *rep, const struct mail_dsn_rcpt *r)
{
	const struct mail_dsn *d = rep->d;
	struct buf *out = &rep->fields;

	buf_add_str(out, "\r\n");
	if (r->orcpt_type.n)
		address_field(rep, "Original-Recipient", r->orcpt_type, r->orcpt);
	address_field(rep, "Final-Recipient", (struct span){ NULL, 0 }, r->address);
	field(out, "Action", span_of(mail_dsn_action_name(r->action)), 0);
	field(out, "Status", mail_dsn_status(r), 0);
	if (r->remote.n)
		text_field(out, "Remote-MTA", "dns; ", r->remote, MAIL_DOMAIN_MAX, 0);
	if (r->diagnostic.n)
		text_field(out, "Diagnostic-Code", r->remote.n ? "smtp; " : "x-postern; ", r->diagnostic,
			   MAIL_DSN_DIAGNOSTIC_OCTETS_MAX, 0);
	if (r->attempt_s)
		date_field(out, "Last-Attempt-Date", r->attempt_s, d->zone_min);
	if (r->action == MAIL_DSN_DELAYED && r->retry_until_s) /* section 2.3.9: in no other */
		date_field(out, "Will-Retry-Until", r->retry_until_s, d->zone_min);
}

static void write_fields(struct report *rep)
{
	write_message_fields(rep);
	for (size_t i = 0; i < rep->d->rcpt_count; i++)
		write_rcpt_fields(rep, &rep->d->rcpts[i]);
	/* RFC 6533 section 4.4: without other than ASCII the traditional type is understood by more. */
	const bool ascii = ascii_only(buf_span(&rep->fields));
	rep->fields_type = ascii ? "message/delivery-status" : "message/global-delivery-status";
	rep->fields_encoding = ascii ? "7bit" : "8bit";
}

/* --- the other parts --- */

/* Puts quoted-printable in the place of @b. */
static void encode_qp(struct buf *b)
{
	struct buf qp = BUF_INIT(b->max);

	qp.overflow = b->overflow || !mail_mime_write_qp(&qp, buf_span(b));
	buf_free(b);
	*b = qp;
}

/* How @part can be sent, if @need is what its octets above 127 need. It is encoded if there is no other
 * way. */
static const char *choose_encoding(struct report *rep, struct buf *part, enum mail_dsn_width need)
{
	const struct span s = buf_span(part);

	if (mail_mime_lines_ok(s) && ascii_only(s))
		return "7bit";
	if (mail_mime_lines_ok(s) && utf8_valid(s) && need <= rep->width) {
		rep->needs = rep->needs > need ? rep->needs : need;
		return "8bit";
	}
	encode_qp(part);
	return "quoted-printable";
}

/* The header section of the message without its blank line, cut at a line end if it is very long. */
static struct span head_lines(struct span head)
{
	struct mail_head_scan scan = MAIL_HEAD_SCAN_INIT;

	if (mail_head_scan_feed(&scan, head))
		head = span_first(head, (size_t)scan.line_octets);
	if (span_ends(head, SPAN("\n\r\n")))
		head.n -= 2;
	else if (span_ends(head, SPAN("\n\n")))
		head.n -= 1;
	if (head.n > MAIL_DSN_HEAD_OCTETS_MAX) {
		head.n = MAIL_DSN_HEAD_OCTETS_MAX;
		head.n = (size_t)(span_rfind_char(head, '\n') + 1);
	}
	return head;
}

/* Adds lines with proper ends: CRLF, and no CR or NUL elsewhere. */
static void write_lines(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n')
			buf_add_str(out, "\r\n");
		else if (s.p[i] != '\r' || i + 1 == s.n || s.p[i + 1] != '\n')
			buf_add_char(out, s.p[i] == '\r' || s.p[i] == '\0' ? ' ' : s.p[i]);
	}
}

static void write_third(struct report *rep)
{
	const struct mail_dsn *d = rep->d;
	const struct span head = head_lines(d->original_head);
	const bool ascii = ascii_only(head);
	const enum mail_dsn_width need = d->original_utf8             ? MAIL_DSN_UTF8
					 : d->original_8bit || !ascii ? MAIL_DSN_8BIT
								      : MAIL_DSN_7BIT;

	/* RFC 3461 section 6.2: the whole message only with bad news; RFC 6533 section 4.5: only as far as it
	 * can go. */
	rep->full = d->full && mail_dsn_gravest(d) == MAIL_DSN_FAILED && need <= rep->width;
	if (rep->full) {
		rep->needs = rep->needs > need ? rep->needs : need;
		rep->third_type = d->original_utf8 ? "message/global" : "message/rfc822";
		rep->third_encoding = need == MAIL_DSN_7BIT ? "7bit" : "8bit";
		return;
	}
	write_lines(&rep->head, head);
	rep->third_type = d->original_utf8 && !ascii ? "message/global-headers" : "text/rfc822-headers";
	rep->third_encoding =
		choose_encoding(rep, &rep->head, d->original_utf8 ? MAIL_DSN_UTF8 : MAIL_DSN_8BIT);
}

/* --- all of it --- */

/* A line that is in none of the parts we hold. A message that the caller copies cannot have it either:
 * @unique was made later. */
static struct buf make_boundary(const struct report *rep)
{
	struct buf b = BUF_INIT(70); /* RFC 2046 section 5.1.1 */

	for (unsigned i = 0; i < 1000; i++) {
		buf_reset(&b);
		buf_add_str(&b, "=_");
		for (size_t k = 0; k < rep->d->unique.n && k < UNIQUE_MAX; k++)
			buf_add_char(&b, ascii_is_alnum(rep->d->unique.p[k]) ? rep->d->unique.p[k] : '-');
		buf_addf(&b, ".%u", i);
		if (span_find(buf_span(&rep->words), buf_span(&b)) < 0 &&
		    span_find(buf_span(&rep->fields), buf_span(&b)) < 0 &&
		    span_find(buf_span(&rep->head), buf_span(&b)) < 0)
			break;
	}
	return b;
}

/* The Message-ID of the original, so that a mail program can show both together: RFC 3834 section 3.1.5. */
static void write_in_reply_to(const struct mail_dsn *d, struct buf *out)
{
	struct arena *a = arena_new(PARSE_OCTETS_MAX);
	struct mail_head *h = NULL;
	struct span id;

	if (mail_head_parse(a, d->original_head, MAIL_DSN_HEAD_OCTETS_MAX, &h) >= 0 &&
	    mail_msgid_parse(mail_head_value(h, SPAN("Message-ID")), &id) == 0 && ascii_only(id))
		field(out, "In-Reply-To", id, 0);
	arena_free(&a);
}

static void write_top(const struct report *rep, struct span boundary, struct buf *out)
{
	static const char *const subjects[MAIL_DSN_ACTION_MAX_] = {
		[MAIL_DSN_FAILED] = "Your message could not be delivered",
		[MAIL_DSN_DELAYED] = "Your message is delayed",
		[MAIL_DSN_DELIVERED] = "Your message was delivered",
		[MAIL_DSN_RELAYED] = "Your message was passed on",
		[MAIL_DSN_EXPANDED] = "Your message was passed on",
	};
	const struct mail_dsn *d = rep->d;
	const unsigned flags = rep->needs == MAIL_DSN_UTF8 ? MAIL_FOLD_UTF8 : 0;
	struct buf b = BUF_INIT(MAIL_LINE_MAX);

	/* RFC 3464 section 2: a reply should reach a person. */
	buf_addf(&b, "Mail Delivery System <postmaster@%.*s>",
		 SPAN_ARG(span_first(d->host, MAIL_DOMAIN_MAX)));
	field(out, "From", d->from.n ? d->from : buf_span(&b), flags);
	buf_reset(&b);
	buf_addf(&b, "<%.*s>", SPAN_ARG(d->sender));
	field(out, "To", buf_span(&b), flags);
	field(out, "Subject", span_of(subjects[mail_dsn_gravest(d)]), 0);
	date_field(out, "Date", d->now_s, d->zone_min);
	buf_reset(&b);
	mail_msgid_write(&b, span_first(d->unique, MAIL_DOMAIN_MAX), span_first(d->host, MAIL_DOMAIN_MAX));
	field(out, "Message-ID", buf_span(&b), 0);
	write_in_reply_to(d, out);
	field(out, "Auto-Submitted", SPAN("auto-replied"), 0); /* RFC 3834 section 5 */
	field(out, "MIME-Version", SPAN("1.0"), 0);
	buf_reset(&b);
	buf_addf(&b, "multipart/report; report-type=delivery-status; boundary=\"%.*s\"", SPAN_ARG(boundary));
	field(out, "Content-Type", buf_span(&b), 0);
	if (rep->needs != MAIL_DSN_7BIT)
		field(out, "Content-Transfer-Encoding", SPAN("8bit"), 0);
	out->overflow |= b.overflow;
	buf_free(&b);
}

static void write_part_top(struct buf *out, struct span boundary, const char *description, const char *type,
			   const char *encoding)
{
	buf_addf(out, "--%.*s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", SPAN_ARG(boundary),
		 description, type);
	buf_addf(out, "Content-Transfer-Encoding: %s\r\n\r\n", encoding);
}

static void assemble(const struct report *rep, struct buf *prefix, struct buf *suffix)
{
	struct buf boundary = make_boundary(rep);
	const struct span b = buf_span(&boundary);
	const bool ascii = !strcmp(rep->words_encoding, "7bit");

	write_top(rep, b, prefix);
	buf_add_str(prefix, "\r\n");
	write_part_top(prefix, b, "Notification",
		       ascii ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8",
		       rep->words_encoding);
	buf_add_span(prefix, buf_span(&rep->words));
	buf_add_str(prefix, "\r\n");
	write_part_top(prefix, b, "Delivery report", rep->fields_type, rep->fields_encoding);
	buf_add_span(prefix, buf_span(&rep->fields));
	buf_add_str(prefix, "\r\n");
	write_part_top(prefix, b, rep->full ? "Your message" : "Head of your message", rep->third_type,
		       rep->third_encoding);
	buf_add_span(prefix, buf_span(&rep->head));
	buf_addf(suffix, "\r\n--%.*s--\r\n", SPAN_ARG(b));
	buf_free(&boundary);
}

/* Is the sender exactly one address, as it has to be in To? */
static bool sender_ok(struct span sender)
{
	struct arena *a = arena_new(PARSE_OCTETS_MAX);
	struct mail_address_list list;
	const bool ok = sender.n < SENDER_OCTETS_MAX && mail_address_parse(a, sender, 1, &list) == 0 &&
			list.n == 1 && list.broken == 0 && list.groups == 0 &&
			span_eq(list.boxes[0].spec, sender);

	arena_free(&a);
	return ok;
}

int mail_dsn_write(const struct mail_dsn *d, struct buf *prefix, struct buf *suffix,
		   struct mail_dsn_result *result_r)
{
	struct report rep = {
		.d = d,
		.width = d->width,
		.words = BUF_INIT(REPORT_OCTETS_MAX),
		.fields = BUF_INIT(REPORT_OCTETS_MAX),
		.head = BUF_INIT(REPORT_OCTETS_MAX),
	};

	if (d->rcpt_count == 0 || d->host.n == 0 || d->unique.n == 0 || !sender_ok(d->sender))
		return -ERR_INVAL;
	/* His address alone needs SMTPUTF8, so that the rest may have it too. */
	if (!ascii_only(d->sender))
		rep.width = rep.needs = MAIL_DSN_UTF8;
	mail_dsn_write_words(d, &rep.words);
	rep.words_encoding = choose_encoding(&rep, &rep.words, MAIL_DSN_8BIT);
	write_fields(&rep);
	write_third(&rep);
	assemble(&rep, prefix, suffix);
	const bool full = prefix->overflow || suffix->overflow || rep.words.overflow || rep.fields.overflow ||
			  rep.head.overflow;
	buf_free(&rep.words);
	buf_free(&rep.fields);
	buf_free(&rep.head);
	if (full)
		return -ERR_TOOBIG;
	*result_r = (struct mail_dsn_result){ .full = rep.full, .needs = rep.needs };
	return 0;
}
