/* Bodies: decoding gives the same for any chunks, in every mode; the end is where a search for CRLF.CRLF
 *         says; what
 * NORMALISE lets out has no bare CR or LF; encoding then decoding gives back what went in. The first two
 * octets: mode and chunk size. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "smtp/smtp_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	struct buf out;
	size_t consumed;
	bool ended;
	struct smtp_data_decoder d;
};

static struct result decode(struct span in, size_t chunk, enum smtp_data_mode mode, bool bdat)
{
	struct result r = { .out = BUF_INIT(1 << 22) };
	struct span run;

	if (bdat)
		smtp_data_decoder_init_bdat(&r.d, mode);
	else
		smtp_data_decoder_init(&r.d, mode);
	while (r.consumed < in.n && !r.ended) {
		const struct span part = span_first(span_skip(in, r.consumed), chunk);
		char *const copy = malloc(part.n);
		struct span rest = { copy, part.n };
		enum smtp_data_event ev;
		memcpy(copy, part.p, part.n);
		while ((ev = smtp_data_decode(&r.d, &rest, &run)) == SMTP_DATA_RUN) {
			require(run.n > 0);
			buf_add_span(&r.out, run);
		}
		r.ended = ev == SMTP_DATA_END;
		require(r.ended || rest.n == 0);
		r.consumed += part.n - rest.n;
		free(copy);
	}
	while (bdat && smtp_data_finish(&r.d, &run) == SMTP_DATA_RUN)
		buf_add_span(&r.out, run);
	require(r.out.n == r.d.octets);
	return r;
}

static void require_same(const struct result *a, const struct result *b)
{
	require(a->consumed == b->consumed && a->ended == b->ended &&
		span_eq(buf_span(&a->out), buf_span(&b->out)));
	require(a->d.flags == b->d.flags && a->d.bare_lfs == b->d.bare_lfs && a->d.bare_crs == b->d.bare_crs);
	require(a->d.long_lines == b->d.long_lines && a->d.line_octets_most == b->d.line_octets_most);
}

/* Where the message ends by the plainest reading of RFC 5321 section 4.1.1.4; 0 if it does not. */
static size_t end_of_data(struct span in)
{
	if (span_starts(in, SPAN(".\r\n")))
		return 3;
	const ptrdiff_t at = span_find(in, SPAN("\r\n.\r\n"));
	return at < 0 ? 0 : (size_t)at + 5;
}

static void require_whole_lines(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		require(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		require(s.p[i] != '\r' || i + 1 == s.n || s.p[i + 1] == '\n');
	}
}

static struct buf encode(struct span in, size_t chunk)
{
	struct buf out = BUF_INIT(1 << 22);
	struct smtp_data_encoder e;

	smtp_data_encoder_init(&e);
	while (in.n) {
		struct span part = span_first(in, chunk), run;
		in = span_skip(in, part.n);
		while (smtp_data_encode(&e, &part, &run) == SMTP_DATA_RUN) {
			require(run.n > 0);
			buf_add_span(&out, run);
		}
	}
	buf_add_span(&out, smtp_data_encode_end(&e));
	return out;
}

/* @body has whole lines. Its end may lack an ending, which the encoder adds. */
static void round_trip(struct span body, size_t chunk)
{
	struct buf wire = encode(body, chunk), other = encode(body, body.n + 1);
	struct result r = decode(buf_span(&wire), chunk, SMTP_DATA_REFUSE, false);
	struct buf want = BUF_INIT(1 << 22);

	require(span_eq(buf_span(&wire), buf_span(&other)));
	require(r.ended && r.consumed == wire.n);
	buf_add_span(&want, body);
	if (want.n && !span_ends(buf_span(&want), SPAN("\r\n")))
		buf_add_str(&want, "\r\n");
	require(span_eq(buf_span(&want), buf_span(&r.out)));
	require(!(r.d.flags & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF)));
	buf_free(&want);
	buf_free(&wire);
	buf_free(&other);
	buf_free(&r.out);
}

/* Whatever the spool holds: what goes out ends once, for every reading of a line end. */
static void nothing_else_ends_it(struct span body, size_t chunk)
{
	static const struct span ends[] = { SPAN_INIT("\r\n.\r\n"), SPAN_INIT("\n.\r\n"),
					    SPAN_INIT("\r\n.\n"),   SPAN_INIT("\n.\n"),
					    SPAN_INIT("\r.\r\n"),   SPAN_INIT("\r.\r"),
					    SPAN_INIT("\n.\r"),     SPAN_INIT("\r.\n") };
	struct buf wire = encode(body, chunk);

	require(span_ends(buf_span(&wire), SPAN(".\r\n")));
	const struct span inside = span_first(buf_span(&wire), wire.n - 1);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		const ptrdiff_t at = span_find(inside, ends[i]);
		require(at < 0 || (size_t)at + ends[i].n >= inside.n);
	}
	buf_free(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const struct span in = span_make(data + 2, size - 2);
	const size_t chunk = 1 + data[1] % 40u;
	const bool bdat = data[0] & 1;
	const enum smtp_data_mode mode = data[0] & 2 ? SMTP_DATA_NORMALISE : SMTP_DATA_REFUSE;
	struct result whole = decode(in, in.n + 1, mode, bdat), pieces = decode(in, chunk, mode, bdat);

	require_same(&whole, &pieces);
	if (!bdat) {
		require(whole.ended == (end_of_data(in) != 0));
		require(!whole.ended || whole.consumed == end_of_data(in));
	}
	if (mode == SMTP_DATA_NORMALISE) {
		require_whole_lines(buf_span(&whole.out));
		round_trip(buf_span(&whole.out), chunk);
	} else if (!(whole.d.flags & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF))) {
		require_whole_lines(buf_span(&whole.out));
		round_trip(buf_span(&whole.out), chunk);
	}
	nothing_else_ends_it(in, chunk);
	buf_free(&whole.out);
	buf_free(&pieces.out);
	return 0;
}
