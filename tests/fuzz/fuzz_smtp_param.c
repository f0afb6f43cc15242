/* Parameters of MAIL and RCPT: what parses is written back in a form that parses to the same; xtext and ORCPT
 * survive a round trip. The first octet: 0 MAIL, 1 RCPT, 2 RCPT with SMTPUTF8, 3 xtext and ORCPT; the next
 * four: the extensions offered. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/utf8.h"
#include "smtp/smtp_param.h"
#include "smtp/smtp_xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_safe(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		require((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
}

static void mail(struct arena *a, struct span in, uint32_t offered)
{
	struct smtp_mail_params p = { 0 }, q = { 0 };
	struct smtp_param_error e = { 0 };
	struct buf out = BUF_INIT(1 << 14), again = BUF_INIT(1 << 14);

	const int rc = smtp_mail_params_parse(a, in, offered, &p, &e);
	require((rc < 0) == (e.why != NULL));
	if (rc == 0) {
		require(smtp_mail_params_format(&p, &out) == 0);
		is_safe(buf_span(&out));
		require(smtp_mail_params_parse(a, buf_span(&out), offered, &q, &e) == 0);
		require(q.has == p.has && smtp_mail_params_format(&q, &again) == 0);
		require(span_eq(buf_span(&out), buf_span(&again)));
	}
	buf_free(&out);
	buf_free(&again);
}

static void rcpt(struct arena *a, struct span in, uint32_t offered, bool utf8)
{
	struct smtp_rcpt_params p = { 0 }, q = { 0 };
	struct smtp_param_error e = { 0 };
	struct smtp_orcpt o, o2;
	struct buf out = BUF_INIT(1 << 14), ascii = BUF_INIT(1 << 14);

	const int rc = smtp_rcpt_params_parse(a, in, offered, utf8, &p, &e);
	require((rc < 0) == (e.why != NULL));
	if (rc == 0) {
		require(smtp_rcpt_params_format(&p, false, &out) == 0);
		is_safe(buf_span(&out));
		require(smtp_rcpt_params_parse(a, buf_span(&out), offered, utf8, &q, &e) == 0);
		require(q.has == p.has && q.notify == p.notify && span_eq(q.orcpt, p.orcpt));
		require(smtp_rcpt_params_format(&p, true, &ascii) == 0 && ascii_only(buf_span(&ascii)));
	}
	if (rc == 0 && (p.has & SMTP_RCPT_ORCPT)) {
		/* the ASCII form means the same address */
		struct buf plain = BUF_INIT(1 << 14);
		require(smtp_orcpt_to_ascii(&plain, p.orcpt));
		require(smtp_orcpt_decode(a, p.orcpt, utf8, &o) == 0 &&
			smtp_orcpt_decode(a, buf_span(&plain), false, &o2) == 0);
		require(span_eq(o.addr, o2.addr) && utf8_valid(o.addr));
		buf_free(&plain);
	}
	buf_free(&out);
	buf_free(&ascii);
}

static void xtext(struct arena *a, struct span in)
{
	struct buf out = BUF_INIT(1 << 16);
	struct smtp_orcpt o;
	struct span text;

	require(smtp_xtext_encode(&out, in) && ascii_only(buf_span(&out)));
	require(smtp_xtext_decode(a, buf_span(&out), &text) == 0 && span_eq(text, in));
	smtp_xtext_decode(a, in, &text);
	buf_reset(&out);
	bool printable = in.n > 0 && utf8_valid(in);
	for (size_t i = 0; i < in.n; i++)
		printable &= (unsigned char)in.p[i] >= ' ' && in.p[i] != 0x7f;
	if (printable) {
		require(smtp_orcpt_encode(&out, in));
		require(smtp_orcpt_decode(a, buf_span(&out), true, &o) == 0 && span_eq(o.addr, in));
	}
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 5 || size > 4096)
		return 0;
	const uint32_t offered = (uint32_t)data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 |
				 (uint32_t)data[4] << 24;
	const struct span in = span_make(data + 5, size - 5);
	struct arena *a = arena_new(1 << 18);

	if (data[0] % 4 == 0)
		mail(a, in, offered);
	else if (data[0] % 4 == 3)
		xtext(a, in);
	else
		rcpt(a, in, offered, data[0] % 4 == 2);
	arena_free(&a);
	return 0;
}
