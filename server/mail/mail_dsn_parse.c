#include "mail/mail_dsn_parse.h"

#include "base/err.h"
#include "mail/mail_char.h"
#include "mail/mail_head.h"
#include "mail/mail_mime.h"
#include "mail/mail_msgid.h"

enum { HEAD_OCTETS_MAX = 256 * 1024, PART_OCTETS_MAX = 2 * HEAD_OCTETS_MAX, PARTS_MAX = 20 };

/* Cuts "type; value" in two; without a type all of it is the value. */
static struct span split_type(struct span s, struct span *type_r)
{
	const ptrdiff_t at = span_find_char(s, ';');

	if (at < 0) {
		*type_r = (struct span){ NULL, 0 };
		return mail_trim(s);
	}
	*type_r = mail_trim(span_first(s, (size_t)at));
	return mail_trim(span_skip(s, (size_t)at + 1));
}

static struct span typed_value(const struct mail_head *h, struct span name, struct span *type_r)
{
	return split_type(mail_head_value(h, name), type_r);
}

static enum mail_dsn_action find_action(struct span name)
{
	for (int i = 0; i < MAIL_DSN_ACTION_MAX_; i++)
		if (span_ieq(name, span_of(mail_dsn_action_name((enum mail_dsn_action)i))))
			return (enum mail_dsn_action)i;
	return MAIL_DSN_ACTION_MAX_;
}

/* The status in front of what some add to it: "5.1.1 (user unknown)". */
static struct span find_status(struct span value)
{
	size_t n = 0;

	while (n < value.n && (ascii_is_digit(value.p[n]) || value.p[n] == '.'))
		n++;
	value = span_first(value, n);
	return mail_dsn_status_valid(value) ? value : (struct span){ NULL, 0 };
}

static int read_rcpt(const struct mail_head *h, struct mail_dsn_report *r)
{
	struct span type;

	if (r->rcpt_count == MAIL_DSN_REPORT_RCPTS_MAX)
		return -ERR_TOOBIG;
	struct mail_dsn_report_rcpt *rcpt = &r->rcpts[r->rcpt_count++];
	*rcpt = (struct mail_dsn_report_rcpt){
		.action = find_action(mail_head_value(h, SPAN("Action"))),
		.status = find_status(mail_head_value(h, SPAN("Status"))),
		.remote = typed_value(h, SPAN("Remote-MTA"), &type),
		.diagnostic = typed_value(h, SPAN("Diagnostic-Code"), &type),
	};
	rcpt->final = typed_value(h, SPAN("Final-Recipient"), &rcpt->final_type);
	rcpt->original = typed_value(h, SPAN("Original-Recipient"), &rcpt->original_type);
	return 0;
}

/* The fields about the message, then those about each recipient, in groups with blank lines between (RFC 3464
 * section 2.1). */
static int read_status(struct arena *a, struct span s, struct mail_dsn_report *r)
{
	while (s.n) {
		struct mail_head *h = NULL;
		struct span type;
		const int octets = mail_head_parse(a, s, HEAD_OCTETS_MAX, &h);
		if (octets < 0)
			return octets;
		if (h->count == 0 && h->end == MAIL_HEAD_END_JUNK)
			return 0;
		if (mail_head_find(h, SPAN("Final-Recipient"), 0)) {
			const int rc = read_rcpt(h, r);
			if (rc < 0)
				return rc;
		} else if (mail_head_find(h, SPAN("Reporting-MTA"), 0)) {
			r->reporting = typed_value(h, SPAN("Reporting-MTA"), &type);
			r->envid = mail_head_value(h, SPAN("Original-Envelope-Id"));
		}
		s = span_skip(s, (size_t)octets);
	}
	return 0;
}

static void read_original(struct arena *a, struct span s, struct mail_dsn_report *r)
{
	struct mail_head *h = NULL;
	struct span id;

	if (mail_head_parse(a, s, HEAD_OCTETS_MAX, &h) >= 0 &&
	    mail_msgid_parse(mail_head_value(h, SPAN("Message-ID")), &id) == 0)
		r->message_id = id;
}

/* The content of a part, without its transfer encoding. */
static int decode(struct arena *a, enum mail_mime_encoding encoding, struct span body, struct span *content_r)
{
	struct buf b = BUF_INIT(PART_OCTETS_MAX);
	int rc = 0;

	if (encoding != MAIL_MIME_QUOTED_PRINTABLE && encoding != MAIL_MIME_BASE64) {
		*content_r = body;
		return 0;
	}
	rc = mail_mime_decode(&b, encoding, body);
	if (rc == 0) {
		*content_r = arena_dup(a, buf_span(&b));
		rc = content_r->p ? 0 : -ERR_TOOBIG;
	}
	buf_free(&b);
	return rc;
}

static int read_part(struct arena *a, struct span part, struct mail_dsn_report *r)
{
	struct mail_head *h = NULL;
	struct span content = { NULL, 0 };
	const int octets = mail_head_parse(a, part, HEAD_OCTETS_MAX, &h);

	if (octets < 0)
		return octets;
	const struct mail_mime m = mail_mime_peek(h, false);
	const bool status = mail_mime_type_is(&m.type, "message", "delivery-status") ||
			    mail_mime_type_is(&m.type, "message", "global-delivery-status");
	const bool original = mail_mime_type_is(&m.type, "text", "rfc822-headers") ||
			      mail_mime_type_is(&m.type, "message", "rfc822") ||
			      mail_mime_type_is(&m.type, "message", "global-headers") ||
			      mail_mime_type_is(&m.type, "message", "global");
	if (!status && !original)
		return 0;
	const int rc = decode(a, m.encoding, span_skip(part, (size_t)octets), &content);
	if (status)
		return rc < 0 ? rc : read_status(a, content, r);
	if (rc == 0) /* good to have, no more */
		read_original(a, content, r);
	return 0;
}

int mail_dsn_parse(struct arena *a, struct span message, struct mail_dsn_report *report_r)
{
	struct mail_dsn_report r = { .rcpt_count = 0 };
	struct mail_head *h = NULL;
	struct span part;
	int rc = mail_head_parse(a, message, HEAD_OCTETS_MAX, &h);

	if (rc < 0)
		return rc;
	struct span rest = span_skip(message, (size_t)rc);
	const struct mail_mime m = mail_mime_peek(h, false);
	const struct span kind = mail_mime_param(a, &m.type, SPAN("report-type"));
	const struct span boundary = mail_mime_param(a, &m.type, SPAN("boundary"));
	if (!mail_mime_type_is(&m.type, "multipart", "report") ||
	    (kind.n && !span_ieq(kind, SPAN("delivery-status"))) || boundary.n == 0)
		return -ERR_NOTFOUND;
	r.rcpts = arena_array(a, struct mail_dsn_report_rcpt, MAIL_DSN_REPORT_RCPTS_MAX);
	if (!r.rcpts)
		return -ERR_TOOBIG;
	for (unsigned i = 0; i < PARTS_MAX && mail_mime_next_part(&rest, boundary, &part); i++) {
		rc = read_part(a, part, &r);
		if (rc < 0)
			return rc;
	}
	if (r.rcpt_count == 0)
		return -ERR_SYNTAX;
	*report_r = r;
	return 0;
}
