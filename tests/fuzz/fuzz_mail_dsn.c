/* fuzz_mail_dsn.c - whatever the parts of a report are made of: it is well-formed, as wide as it says, and
 * can be read back. */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "mail/mail_dsn.h"
#include "mail/mail_dsn_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

/* Takes the next string of the input: they are separated by 0xfe, which is in no UTF-8 text. */
static struct span take(struct span *in)
{
	return span_cut(in, '\xfe');
}

static void check_lines(struct span s)
{
	while (s.n) {
		const ptrdiff_t lf = span_find_char(s, '\n');
		CLAIM(lf > 0 && lf - 1 <= 998 && s.p[lf - 1] == '\r');
		CLAIM(span_find_char(span_first(s, (size_t)lf - 1), '\r') < 0);
		CLAIM(span_find_char(span_first(s, (size_t)lf), '\0') < 0);
		s = span_skip(s, (size_t)lf + 1);
	}
}

static void read_back(struct span report, const struct mail_dsn *d)
{
	struct arena *a = arena_new(8 << 20);
	struct mail_dsn_report r;

	CLAIM(mail_dsn_parse(a, report, &r) == 0);
	CLAIM(r.rcpt_count == d->rcpt_count);
	for (size_t i = 0; i < r.rcpt_count; i++) {
		CLAIM(r.rcpts[i].action == d->rcpts[i].action);
		CLAIM(r.rcpts[i].status.n >= 5);
	}
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size);
	const unsigned bits = size ? data[size - 1] : 0;
	struct mail_dsn_rcpt rcpts[3];
	struct mail_dsn d = {
		.host = SPAN("relay.example.edu"),
		.sender = bits & 1 ? SPAN("a@example.edu") : SPAN("\xc3\xa4@example.edu"),
		.unique = SPAN("u1"),
		.rcpts = rcpts,
		.rcpt_count = 1 + bits % 3,
		.width = (enum mail_dsn_width)(bits / 4 % 3),
		.original_8bit = bits & 32,
		.original_utf8 = bits & 64,
	};
	struct buf prefix = BUF_INIT(1 << 20), suffix = BUF_INIT(1000);
	struct mail_dsn_result result;

	d.queue_id = take(&in);
	d.envid = take(&in);
	d.help_text = take(&in);
	d.help_url = take(&in);
	d.helo = take(&in);
	d.ip = take(&in);
	for (size_t i = 0; i < d.rcpt_count; i++)
		rcpts[i] = (struct mail_dsn_rcpt){
			.address = take(&in),
			.orcpt_type = take(&in),
			.orcpt = take(&in),
			.status = take(&in),
			.remote = take(&in),
			.diagnostic = take(&in),
			.action = (enum mail_dsn_action)((bits + i) % MAIL_DSN_ACTION_MAX_),
			.attempt_s = (int64_t)size,
			.retry_until_s = (int64_t)bits,
		};
	d.original_head = in;
	CLAIM(mail_dsn_write(&d, &prefix, &suffix, &result) == 0);
	CLAIM(!result.full);
	CLAIM(result.needs <= d.width || !ascii_only(d.sender));
	buf_add_span(&prefix, buf_span(&suffix));
	check_lines(buf_span(&prefix));
	CLAIM(result.needs != MAIL_DSN_7BIT || ascii_only(buf_span(&prefix)));
	CLAIM(utf8_valid(buf_span(&prefix)));
	read_back(buf_span(&prefix), &d);
	buf_free(&prefix);
	buf_free(&suffix);
	return 0;
}
