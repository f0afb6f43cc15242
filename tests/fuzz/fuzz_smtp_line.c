/* Lines in any pieces: the same lines and flags, whatever the chunks; nothing is lost and nothing comes
 * twice. The first two octets choose the limit and the chunk size. Each line goes on into the command parser,
 * strict and lax. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "smtp/smtp_cmd.h"
#include "smtp/smtp_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct span line)
{
	const char *why = NULL;
	struct smtp_cmd strict, lax;
	unsigned tolerated = 0;

	const int rc = smtp_cmd_parse(line, 0, &strict, &why);
	require(rc == 0 || why);
	const int lax_rc = smtp_cmd_parse(line, SMTP_LAX_ALL, &lax, &why);
	require(rc < 0 || (lax_rc == 0 && lax.verb == strict.verb && strict.tolerated == 0));
	if (lax_rc < 0)
		return;
	require(smtp_cmd_octets_max(line) > 0 && smtp_verb_name(lax.verb)[0]);
	const int taken = smtp_cmd_keyword(lax.arg, SPAN("FROM"), SMTP_LAX_ALL, &tolerated, &why);
	require(taken < 0 || (size_t)taken <= lax.arg.n);
	smtp_cmd_arg_check(&lax, SMTP_LAX_ALL, &why);
}

/* The lines of @in, written down: length, flags, text; over-long ones as a mark. Returns the octets that were
 * used up. */
static size_t lines(struct span in, size_t chunk, size_t max, struct buf *out)
{
	struct smtp_line_reader r = SMTP_LINE_READER_INIT;
	struct smtp_line line;
	size_t at = 0, end = 0;

	while (end < in.n) {
		end = in.n - end > chunk ? end + chunk : in.n;
		/* An exact copy, so that the sanitizer sees a look at what has not come yet. */
		const size_t n = end - at;
		char *const copy = malloc(n ? n : 1);
		struct span unread = { copy, n };
		memcpy(copy, in.p + at, n);
		for (;;) {
			if (r.skipping) {
				const size_t skipped = smtp_line_skip(&r, unread);
				require(skipped <= unread.n && (skipped == unread.n || !r.skipping));
				unread = span_skip(unread, skipped);
				if (r.skipping)
					break;
			}
			const int rc = smtp_line_next(&r, unread, max, &line);
			if (rc == -ERR_AGAIN)
				break;
			if (rc == -ERR_TOOBIG) {
				buf_add_str(out, "[long]");
				continue;
			}
			require(rc > 0 && (size_t)rc <= unread.n && (size_t)rc <= max &&
				unread.p[rc - 1] == '\n');
			require(line.text.n == (size_t)rc - (line.flags & SMTP_LINE_BARE_LF ? 1 : 2));
			buf_addf(out, "[%zu %u]", line.text.n, line.flags);
			buf_add_span(out, line.text);
			parse(line.text);
			unread = span_skip(unread, (size_t)rc);
		}
		at = end - unread.n;
		free(copy);
	}
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const size_t max = 4 + data[0], chunk = 1 + data[1] % 64u;
	const struct span in = span_make(data + 2, size - 2);
	struct buf whole = BUF_INIT(1 << 20), pieces = BUF_INIT(1 << 20);

	/* What is unread at the end differs only while an over-long line is being thrown away. */
	lines(in, in.n + 1, max, &whole);
	lines(in, chunk, max, &pieces);
	require(span_eq(buf_span(&whole), buf_span(&pieces)));
	buf_free(&whole);
	buf_free(&pieces);
	return 0;
}
