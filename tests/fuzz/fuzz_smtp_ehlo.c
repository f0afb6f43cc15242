/* EHLO sets: whatever a server lists, the set is bounded, and written by us reads back the same; names of
 * clients are judged without surprise. The first octet chooses between the two. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "smtp/smtp_domain.h"
#include "smtp/smtp_ehlo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void offers(struct span in)
{
	const struct smtp_reply reply = { .code = 250, .text = in };
	struct smtp_ehlo e, back;
	struct smtp_reply_parser p;
	struct buf out = BUF_INIT(1 << 14);
	const char *why = NULL;

	require(smtp_ehlo_parse(&reply, &e) == 0);
	require(strlen(e.auth) <= SMTP_EHLO_AUTH_MAX && strlen(e.name) <= SMTP_EHLO_NAME_MAX);
	require(e.ext < 1u << SMTP_EXT_COUNT_);
	if (!e.auth[0])
		e.ext &= ~(uint32_t)SMTP_EXT_AUTH;
	require(smtp_ehlo_format(&e, in, true, &out));
	smtp_reply_parser_init(&p, SMTP_REPLY_TEXT_MAX);
	struct span wire = buf_span(&out);
	require(smtp_reply_parse(&p, &wire, &why) == 1 && wire.n == 0 && p.reply.code == 250);
	require(smtp_ehlo_parse(&p.reply, &back) == 0);
	require(e.ext == back.ext && strcmp(e.auth, back.auth) == 0);
	require(e.size_octets_max == back.size_octets_max && e.deliverby_min_s == back.deliverby_min_s);
	smtp_reply_parser_deinit(&p);
	buf_free(&out);
}

static void name(struct span in)
{
	unsigned tolerated = 0, lax_tolerated = 0, ignored = 0;
	struct span strict = { 0 }, lax = { 0 };
	const char *why = NULL;
	const int rc = smtp_helo_name_check(in, 0, &strict, &tolerated, &why);

	require((rc < 0) == (why != NULL) && tolerated == 0 && rc != SMTP_HELO_OTHER);
	const int lax_rc = smtp_helo_name_check(in, SMTP_LAX_HELO, &lax, &lax_tolerated, &why);
	require(rc < 0 || (rc == lax_rc && span_eq(strict, lax) && lax_tolerated == 0));
	require(lax_rc != SMTP_HELO_OTHER || lax_tolerated == SMTP_LAX_HELO);
	for (size_t i = 0; lax_rc >= 0 && i < lax.n; i++)
		require(lax.p[i] > ' ' && lax.p[i] <= '~');
	if (rc == SMTP_HELO_DOMAIN)
		require(smtp_domain_check(strict, 0, &ignored, &why) == (int)strict.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] & 1)
		offers(span_make(data + 1, size - 1));
	else
		name(span_make(data + 1, size - 1));
	return 0;
}
