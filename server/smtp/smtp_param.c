#include "smtp/smtp_param.h"

#include "base/check.h"
#include "base/err.h"
#include "base/utf8.h"
#include "smtp/smtp_path.h"
#include "smtp/smtp_xtext.h"

/* One parse of either command. */
struct parse {
	struct arena *a;
	uint32_t offered;
	bool utf8;
	struct smtp_mail_params mail;
	struct smtp_rcpt_params rcpt;
	const char *why;
};

static int fail(struct parse *p, const char *why, int err)
{
	p->why = why;
	return -err;
}

static int keep(struct parse *p, struct span value, struct span *span_r)
{
	const struct span copy = arena_dup(p->a, value);

	if (!copy.p)
		return fail(p, "no room for the parameter", ERR_NOMEM);
	*span_r = copy;
	return 0;
}

/* What is decoded only to be checked goes into the transaction's arena, too: at most 500 octets, and once. */
static int check_xtext(struct parse *p, struct span value, struct span *text_r)
{
	const int rc = smtp_xtext_decode(p->a, value, text_r);

	if (rc == -ERR_NOMEM)
		return fail(p, "no room for the parameter", ERR_NOMEM);
	return rc < 0 ? fail(p, "value is not xtext", ERR_SYNTAX) : 0;
}

/* ---- MAIL
 * ----------------------------------------------------------------------------------------------------- */

static int parse_size(struct parse *p, struct span value)
{
	/* RFC 1870 section 3: 1*20DIGIT, which is more than 64 bits hold; such a size is over every limit. */
	if (value.n > 20)
		return fail(p, "size has too many digits", ERR_SYNTAX);
	for (size_t i = 0; i < value.n; i++)
		if (!ascii_is_digit(value.p[i]))
			return fail(p, "size is not a number", ERR_SYNTAX);
	if (!span_to_u64(value, UINT64_MAX, &p->mail.size_octets))
		p->mail.size_octets = UINT64_MAX;
	return 0;
}

static int parse_body(struct parse *p, struct span value)
{
	if (span_ieq(value, SPAN("7BIT")))
		p->mail.body = SMTP_BODY_7BIT;
	else if (span_ieq(value, SPAN("8BITMIME")) && (p->offered & SMTP_EXT_8BITMIME))
		p->mail.body = SMTP_BODY_8BITMIME;
	else if (span_ieq(value, SPAN("BINARYMIME")) && (p->offered & SMTP_EXT_BINARYMIME) &&
		 (p->offered & SMTP_EXT_CHUNKING)) /* RFC 3030 section 3: only together */
		p->mail.body = SMTP_BODY_BINARYMIME;
	else
		return fail(p, "unknown body type", ERR_SYNTAX);
	return 0;
}

static int parse_ret(struct parse *p, struct span value)
{
	if (span_ieq(value, SPAN("FULL")))
		p->mail.ret = SMTP_RET_FULL;
	else if (span_ieq(value, SPAN("HDRS")))
		p->mail.ret = SMTP_RET_HDRS;
	else
		return fail(p, "expected FULL or HDRS", ERR_SYNTAX);
	return 0;
}

static int parse_envid(struct parse *p, struct span value)
{
	struct span text;

	if (value.n > SMTP_ENVID_MAX)
		return fail(p, "value too long", ERR_SYNTAX);
	const int rc = check_xtext(p, value, &text);
	if (rc < 0)
		return rc;
	if (!smtp_text_is_printable(text)) /* RFC 3461 section 4.4 */
		return fail(p, "value has unprintable characters", ERR_SYNTAX);
	return keep(p, value, &p->mail.envid);
}

/* RFC 2852 section 4: by-time ";" by-mode [by-trace] */
static int parse_by(struct parse *p, struct span value)
{
	struct span mode = value, time = span_cut(&mode, ';');
	struct smtp_by by = { 0 };
	bool negative = false;
	uint64_t seconds;

	if (time.n && (time.p[0] == '-' || time.p[0] == '+')) {
		negative = time.p[0] == '-';
		time = span_skip(time, 1);
	}
	if (time.n > 9 || !span_to_u64(time, 999999999, &seconds))
		return fail(p, "time is not a number of up to 9 digits", ERR_SYNTAX);
	by.seconds = negative ? -(int32_t)seconds : (int32_t)seconds;

	if (mode.n == 2 && ascii_upper(mode.p[1]) == 'T')
		by.trace = true;
	else if (mode.n != 1)
		return fail(p, "expected mode N or R, and T for a trace", ERR_SYNTAX);
	by.is_return = ascii_upper(mode.p[0]) == 'R';
	if (!by.is_return && ascii_upper(mode.p[0]) != 'N')
		return fail(p, "expected mode N or R", ERR_SYNTAX);
	if (by.is_return && by.seconds <= 0)
		return fail(p, "mode R needs a time to come", ERR_SYNTAX);
	p->mail.by = by;
	return 0;
}

static int parse_auth(struct parse *p, struct span value)
{
	if (value.n > SMTP_AUTH_PARAM_MAX)
		return fail(p, "value too long", ERR_SYNTAX);
	if (!span_eq(value, SPAN("<>"))) {
		const unsigned flags = SMTP_LAX_LONG | (p->offered & SMTP_EXT_SMTPUTF8 ? SMTP_ALLOW_UTF8 : 0);
		struct smtp_path path;
		struct span text;
		int rc = check_xtext(p, value, &text);
		if (rc < 0)
			return rc;
		rc = smtp_path_parse_mailbox(p->a, text, flags, &path, &p->why);
		if (rc < 0)
			return rc == -ERR_NOMEM ? rc
						: fail(p, "value is neither <> nor a mailbox", ERR_SYNTAX);
	}
	return keep(p, value, &p->mail.auth);
}

/* ---- RCPT
 * ----------------------------------------------------------------------------------------------------- */

static int parse_notify(struct parse *p, struct span value)
{
	bool never = false;
	unsigned notify = 0;

	while (value.p) {
		const struct span word = span_cut(&value, ',');
		if (span_ieq(word, SPAN("NEVER")))
			never = true;
		else if (span_ieq(word, SPAN("SUCCESS")))
			notify |= SMTP_NOTIFY_SUCCESS;
		else if (span_ieq(word, SPAN("FAILURE")))
			notify |= SMTP_NOTIFY_FAILURE;
		else if (span_ieq(word, SPAN("DELAY")))
			notify |= SMTP_NOTIFY_DELAY;
		else if (word.n) /* empty elements are in the grammar of RFC 822 lists */
			return fail(p, "expected NEVER, SUCCESS, FAILURE or DELAY", ERR_SYNTAX);
	}
	if (never && notify) /* RFC 3461 section 4.1 */
		return fail(p, "NEVER stands alone", ERR_SYNTAX);
	if (!never && !notify)
		return fail(p, "expected NEVER, SUCCESS, FAILURE or DELAY", ERR_SYNTAX);
	p->rcpt.notify = notify;
	return 0;
}

static int parse_orcpt(struct parse *p, struct span value)
{
	struct smtp_orcpt orcpt;

	if (value.n > SMTP_ORCPT_MAX)
		return fail(p, "value too long", ERR_SYNTAX);
	const int rc = smtp_orcpt_decode(p->a, value, p->utf8, &orcpt);
	if (rc == -ERR_NOMEM)
		return fail(p, "no room for the parameter", ERR_NOMEM);
	if (rc < 0)
		return fail(p, "expected type;address in xtext", ERR_SYNTAX);
	return keep(p, value, &p->rcpt.orcpt);
}

/* ---- both
 * ----------------------------------------------------------------------------------------------------- */

struct rule {
	struct span keyword;
	unsigned bit;
	uint32_t ext;                                     /* any of these offered */
	int (*parse)(struct parse *p, struct span value); /* NULL: takes no value */
};

static const struct rule mail_rules[] = {
	{ SPAN_INIT("SIZE"), SMTP_MAIL_SIZE, SMTP_EXT_SIZE, parse_size },
	{ SPAN_INIT("BODY"), SMTP_MAIL_BODY, SMTP_EXT_8BITMIME | SMTP_EXT_BINARYMIME, parse_body },
	{ SPAN_INIT("SMTPUTF8"), SMTP_MAIL_SMTPUTF8, SMTP_EXT_SMTPUTF8, NULL },
	{ SPAN_INIT("RET"), SMTP_MAIL_RET, SMTP_EXT_DSN, parse_ret },
	{ SPAN_INIT("ENVID"), SMTP_MAIL_ENVID, SMTP_EXT_DSN, parse_envid },
	{ SPAN_INIT("BY"), SMTP_MAIL_BY, SMTP_EXT_DELIVERBY, parse_by },
	{ SPAN_INIT("AUTH"), SMTP_MAIL_AUTH, SMTP_EXT_AUTH, parse_auth },
	{ SPAN_INIT("REQUIRETLS"), SMTP_MAIL_REQUIRETLS, SMTP_EXT_REQUIRETLS, NULL },
};

static const struct rule rcpt_rules[] = {
	{ SPAN_INIT("NOTIFY"), SMTP_RCPT_NOTIFY, SMTP_EXT_DSN, parse_notify },
	{ SPAN_INIT("ORCPT"), SMTP_RCPT_ORCPT, SMTP_EXT_DSN, parse_orcpt },
};

static bool is_keyword(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && (s.p[i] != '-' || i == 0))
			return false;
	return s.n > 0;
}

/* esmtp-value = 1*(%d33-60 / %d62-126), and with RFC 6531 section 3.3 UTF-8. Whether a parameter may have
 * UTF-8 is its own matter: only ORCPT may. */
static bool is_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		const unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c == '=' || c == 0x7f)
			return false;
	}
	return s.n > 0 && utf8_valid(s);
}

static int parse_one(struct parse *p, struct span param, struct span keyword, const struct rule *rules,
		     size_t n, unsigned *has)
{
	const bool has_value = keyword.n < param.n;
	const struct span value = span_skip(param, keyword.n + 1);

	if (!is_keyword(keyword))
		return fail(p, "malformed parameter", ERR_SYNTAX);
	if (has_value && !is_value(value))
		return fail(p, "malformed value", ERR_SYNTAX);
	for (size_t i = 0; i < n; i++) {
		const struct rule *const r = &rules[i];
		if (!span_ieq(keyword, r->keyword))
			continue;
		if (!(p->offered & r->ext))
			return fail(p, "parameter not supported", ERR_UNSUPPORTED);
		if (*has & r->bit)
			return fail(p, "parameter given twice", ERR_SYNTAX);
		if (has_value != (r->parse != NULL))
			return fail(p, has_value ? "parameter takes no value" : "value missing", ERR_SYNTAX);
		*has |= r->bit;
		return r->parse ? r->parse(p, value) : 0;
	}
	return fail(p, "parameter not supported", ERR_UNSUPPORTED);
}

static int parse_all(struct parse *p, struct span in, const struct rule *rules, size_t n, unsigned *has,
		     struct smtp_param_error *error_r)
{
	for (;;) {
		while (in.n && (in.p[0] == ' ' || in.p[0] == '\t'))
			in = span_skip(in, 1);
		if (in.n == 0)
			return 0;
		size_t len = 0;
		while (len < in.n && in.p[len] != ' ' && in.p[len] != '\t')
			len++;
		const struct span param = span_first(in, len);
		struct span rest = param;
		const struct span keyword = span_cut(&rest, '=');
		const int rc = parse_one(p, param, keyword, rules, n, has);
		if (rc < 0) {
			*error_r = (struct smtp_param_error){ p->why, keyword };
			return rc;
		}
		in = span_skip(in, len);
	}
}

int smtp_mail_params_parse(struct arena *a, struct span in, uint32_t offered,
			   struct smtp_mail_params *params_r, struct smtp_param_error *error_r)
{
	struct parse p = { .a = a, .offered = offered };
	const int rc = parse_all(&p, in, mail_rules, ARRAY_LEN(mail_rules), &p.mail.has, error_r);

	if (rc == 0)
		*params_r = p.mail;
	return rc;
}

int smtp_rcpt_params_parse(struct arena *a, struct span in, uint32_t offered, bool utf8,
			   struct smtp_rcpt_params *params_r, struct smtp_param_error *error_r)
{
	struct parse p = { .a = a, .offered = offered, .utf8 = utf8 };
	const int rc = parse_all(&p, in, rcpt_rules, ARRAY_LEN(rcpt_rules), &p.rcpt.has, error_r);

	if (rc == 0)
		*params_r = p.rcpt;
	return rc;
}

/* ---- writing
 * -------------------------------------------------------------------------------------------------- */

const char *smtp_body_name(enum smtp_body body)
{
	static const char *const names[] = { "7BIT", "8BITMIME", "BINARYMIME" };

	return (unsigned)body < ARRAY_LEN(names) ? names[body] : "";
}

static int add(struct buf *out, const char *keyword, struct span value)
{
	if (!is_value(value))
		return -ERR_INVAL;
	return buf_add_char(out, ' ') && buf_add_str(out, keyword) && buf_add_char(out, '=') &&
			       buf_add_span(out, value)
		       ? 0
		       : -ERR_TOOBIG;
}

int smtp_mail_params_format(const struct smtp_mail_params *params, struct buf *out)
{
	const unsigned has = params->has;
	const size_t before = out->n;
	bool ok = true;
	int rc = 0;

	if (has & SMTP_MAIL_SIZE)
		ok = buf_add_str(out, " SIZE=") && buf_add_u64(out, params->size_octets);
	if (has & SMTP_MAIL_BODY)
		ok = ok && buf_add_str(out, " BODY=") && buf_add_str(out, smtp_body_name(params->body));
	if (has & SMTP_MAIL_SMTPUTF8)
		ok = ok && buf_add_str(out, " SMTPUTF8");
	if (has & SMTP_MAIL_RET)
		ok = ok && buf_add_str(out, params->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (has & SMTP_MAIL_BY)
		ok = ok && buf_addf(out, " BY=%ld;%c%s", (long)params->by.seconds,
				    params->by.is_return ? 'R' : 'N', params->by.trace ? "T" : "");
	if (has & SMTP_MAIL_REQUIRETLS)
		ok = ok && buf_add_str(out, " REQUIRETLS");
	if (!ok)
		rc = -ERR_TOOBIG;
	if (rc == 0 && (has & SMTP_MAIL_ENVID))
		rc = add(out, "ENVID", params->envid);
	if (rc == 0 && (has & SMTP_MAIL_AUTH))
		rc = add(out, "AUTH", params->auth);
	if (rc < 0)
		out->n = before;
	return rc;
}

int smtp_rcpt_params_format(const struct smtp_rcpt_params *params, bool ascii, struct buf *out)
{
	const size_t before = out->n;
	int rc = 0;

	if (params->has & SMTP_RCPT_NOTIFY) {
		char list[32] = "";
		size_t n = 0;
		static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };
		for (unsigned i = 0; i < ARRAY_LEN(words); i++)
			if (params->notify & (1u << i)) {
				const size_t len = strlen(words[i]);
				if (n)
					list[n++] = ',';
				memcpy(list + n, words[i], len + 1);
				n += len;
			}
		rc = add(out, "NOTIFY", n ? span_make(list, n) : SPAN("NEVER"));
	}
	if (rc == 0 && (params->has & SMTP_RCPT_ORCPT)) {
		if (!is_value(params->orcpt))
			rc = -ERR_INVAL;
		else if (!ascii)
			rc = add(out, "ORCPT", params->orcpt);
		else if (!buf_add_str(out, " ORCPT=") || !smtp_orcpt_to_ascii(out, params->orcpt))
			rc = -ERR_TOOBIG;
	}
	if (rc < 0)
		out->n = before;
	return rc;
}
