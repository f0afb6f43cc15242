#include "auth/auth_saslauthd_wire.h"

#include "base/check.h"
#include "base/err.h"

static bool add_counted(struct buf *out, struct span s)
{
	if (s.n > SASLAUTHD_FIELD_MAX || span_find_char(s, 0) >= 0)
		return false;
	return buf_add_char(out, (char)(s.n >> 8)) && buf_add_char(out, (char)(s.n & 0xff)) &&
	       buf_add_span(out, s);
}

bool saslauthd_request(struct buf *out, struct span login, struct span password, struct span service,
		       struct span realm)
{
	return add_counted(out, login) && add_counted(out, password) && add_counted(out, service) &&
	       add_counted(out, realm);
}

static bool mentions(struct span text, struct span words)
{
	for (; text.n >= words.n; text = span_skip(text, 1)) {
		if (span_istarts(text, words))
			return true;
	}
	return false;
}

/* "NO" stands for a wrong password and for much else. These are words of its mechanisms (PAM, LDAP, rimap, Kerberos, shadow)
 * that mean else; what is not among them is a wrong password, for an answer that is always "later" would never end a guesser. */
static enum auth_answer answer_of_no(struct span text)
{
	static const struct {
		struct span words;
		enum auth_answer answer;
	} reasons[] = {
		{ SPAN_INIT("internal"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("unavailable"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("couldn't contact"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("error synchronizing"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("unexpected response"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("no address given"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("start error"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("lookup failure"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("insufficient permission"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("krb5_verify_init_creds failed"), AUTH_ANSWER_TEMPFAIL },
		{ SPAN_INIT("invalid username"), AUTH_ANSWER_UNKNOWN_HERE },
		{ SPAN_INIT("invalid shadow username"), AUTH_ANSWER_UNKNOWN_HERE },
		{ SPAN_INIT("account expired"), AUTH_ANSWER_EXPIRED },
		{ SPAN_INIT("password expired"), AUTH_ANSWER_EXPIRED },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (mentions(text, reasons[i].words))
			return reasons[i].answer;
	}
	return AUTH_ANSWER_WRONG;
}

int saslauthd_reply(struct span in, enum auth_answer *answer_r, struct span *text_r)
{
	if (in.n < 2)
		return -ERR_AGAIN;
	const size_t n = (size_t)(uint8_t)in.p[0] << 8 | (uint8_t)in.p[1];
	if (n > SASLAUTHD_REPLY_MAX)
		return -ERR_TOOBIG;
	if (n < 2)
		return -ERR_SYNTAX;
	if (in.n < 2 + n)
		return -ERR_AGAIN;
	const struct span said = span_first(span_skip(in, 2), n), text = span_trim(span_skip(said, 2));
	const bool ends = said.n == 2 || said.p[2] == ' ' || said.p[2] == 0; /* "NOTHING" is not "NO" */
	if (!ends)
		return -ERR_SYNTAX;
	if (span_starts(said, SPAN("OK")))
		*answer_r = AUTH_ANSWER_RIGHT;
	else if (span_starts(said, SPAN("NO")))
		*answer_r = answer_of_no(text);
	else
		return -ERR_SYNTAX;
	*text_r = text;
	return (int)(2 + n);
}
