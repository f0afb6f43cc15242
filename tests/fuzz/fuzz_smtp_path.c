/* Paths: what parses is written in a form that parses strictly to the same value, holds nothing that could
 *        end a command,
 * and is within its limits. The first octets choose the flags. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/utf8.h"
#include "smtp/smtp_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ALLOW_ALL = SMTP_ALLOW_NULL | SMTP_ALLOW_POSTMASTER | SMTP_ALLOW_UTF8 };

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static void check_value(const struct smtp_path *p, unsigned flags)
{
	require((p->local.n == 0) == ((p->is & SMTP_PATH_IS_NULL) != 0));
	require(!(p->is & SMTP_PATH_IS_NULL) || ((flags & SMTP_ALLOW_NULL) && p->domain.n == 0));
	require(p->local.n <= (flags & SMTP_LAX_LONG ? SMTP_LOCAL_LONG_MAX : SMTP_LOCAL_MAX));
	require(p->domain.n <= SMTP_DOMAIN_MAX);
	require(!has_control(p->local) && !has_control(p->domain));
	require((p->tolerated & ~flags) == 0);
	require(utf8_valid(p->local) && utf8_valid(p->domain));
	const bool ascii = ascii_only(p->local) && ascii_only(p->domain);
	require(ascii == !(p->is & SMTP_PATH_IS_UTF8));
	require(ascii || (flags & SMTP_ALLOW_UTF8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const unsigned flags =
		((unsigned)(data[0] | data[1] << 8) & SMTP_LAX_ALL) | ((data[1] >> 2 & 7u) << 16);
	const struct span in = span_make(data + 2, size - 2);
	struct arena *a = arena_new(1 << 16);
	struct buf out = BUF_INIT(1 << 12), again = BUF_INIT(1 << 12);
	struct smtp_path p, q, m;
	const char *why = NULL;
	const int rc = smtp_path_parse(a, in, flags, &p, &why);

	require((rc > 0) != (why != NULL));
	if (rc > 0) {
		/* Forgiving more, it is still a path; forgiving nothing, only if nothing had to be. */
		require(smtp_path_parse(a, in, flags | SMTP_LAX_ALL | ALLOW_ALL, &q, &why) == rc);
		if (p.tolerated == 0)
			require(smtp_path_parse(a, in, flags & ALLOW_ALL, &q, &why) == rc &&
				smtp_path_eq(&p, &q));
		require((size_t)rc <= in.n);
		check_value(&p, flags);
		require(smtp_path_format(&p, &out) == 0);
		require(!has_control(buf_span(&out)));
		require(smtp_path_parse(a, buf_span(&out),
					ALLOW_ALL |
						(p.tolerated & (SMTP_LAX_LONG | SMTP_LAX_UNDERSCORE |
								SMTP_LAX_UNQUALIFIED)) |
						SMTP_LAX_LONG,
					&q, &why) == (int)out.n);
		require(smtp_path_eq(&p, &q) && p.is == q.is);
		require(smtp_path_format(&q, &again) == 0 && span_eq(buf_span(&out), buf_span(&again)));
		smtp_path_is_routed_local(&p);
	}
	const int mrc = smtp_path_parse_mailbox(a, in, flags, &m, &why);
	require(mrc < 0 || (size_t)mrc == in.n);
	buf_free(&out);
	buf_free(&again);
	arena_free(&a);
	return 0;
}
