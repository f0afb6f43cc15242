/* fuzz_mail_rewrite.c - rewriting senders leaves a good head, touches nothing else, and does nothing the
 * second time. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/mail_fault.h"
#include "mail/mail_rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OCTETS_MAX = 64 * 1024 };

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

/* Anything goes as a template; what is accepted gives addresses that fit an envelope, and recognises them. */
static void check_template(struct arena *a, struct span in)
{
	const struct span template = span_cut(&in, '\n');
	const struct span local = span_cut(&in, '\n');
	const struct span domain = span_cut(&in, '\n');
	struct mail_rewritten r, again;
	const int rc = mail_rewrite_expand(a, template, local, domain, &r);

	if (rc <= 0)
		return;
	CLAIM(mail_rewrite_check(template, NULL) == 0);
	CLAIM(mail_address_valid(r.local, r.domain));
	CLAIM(mail_rewrite_expand(a, template, r.local, r.domain, &again) == 0);
}

static void write_again(struct arena *a, const struct mail_head *h, struct buf *out)
{
	struct mail_head *again = NULL;

	buf_reset(out);
	CLAIM(mail_head_write(h, out) == 0);
	CLAIM(mail_head_parse(a, buf_span(out), 4 * OCTETS_MAX, &again) == (int)out->n);
	CLAIM(again->count == h->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = span_make(data, size);
	struct arena *a = arena_new(8 * 1024 * 1024);
	struct buf out = BUF_INIT(4 * OCTETS_MAX);
	const struct mail_rewrite_rule rule = {
		.template = SPAN("scans+{local}-{domain}@relay.example.edu"),
		.default_domain = SPAN("host.example.edu"),
		.keep_original = true,
	};
	struct mail_head *h = NULL;
	struct mail_faults faults;

	check_template(a, in);
	if (mail_head_parse(a, in, OCTETS_MAX, &h) < 0)
		goto out;
	if (mail_rewrite_senders(h, &rule) >= 0) {
		write_again(a, h, &out);
		CLAIM(mail_rewrite_senders(h, &rule) == 0);
	}
	if (mail_fault_check(h, &faults) == 0) {
		const struct mail_fault_repair repair = { .wanted = ~0u,
							  .unique = SPAN("1"),
							  .host = SPAN("x"),
							  .from_local = SPAN("a"),
							  .from_domain = SPAN("b") };
		const int mended = mail_fault_mend(h, &faults, &repair);
		if (mended >= 0) {
			CLAIM(mail_fault_check(h, &faults) == 0);
			CLAIM((faults.found & (unsigned)mended & ~(unsigned)MAIL_FAULT_NO_SENDER) == 0);
			write_again(a, h, &out);
		}
	}
	if (mail_rewrite_author(h, SPAN("c4"), SPAN("example.edu"), true) == 0) {
		write_again(a, h, &out);
		CLAIM(mail_head_count(h, SPAN("From")) == 1 && mail_head_count(h, SPAN("Sender")) == 0);
	}
out:
	buf_free(&out);
	arena_free(&a);
	return 0;
}
