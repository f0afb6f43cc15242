#include "mail/mail_punycode.h"

#include "test.h"

static void names(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "relay.Example.edu", "relay.Example.edu" },
		{ "b\xc3\xbc"
		  "cher.example",
		  "xn--bcher-kva.example" },
		/* RFC 3492 section 7.1 (A) and (C), and names in use */
		{ "\xd9\x84\xd9\x8a\xd9\x87\xd9\x85\xd8\xa7\xd8\xa8\xd8\xaa\xd9\x83\xd9\x84\xd9\x85\xd9\x88\xd8\xb4\xd8\xb9"
		  "\xd8\xb1\xd8\xa8\xd9\x8a\xd8\x9f",
		  "xn--egbpdaj6bu4bxfgehfvwxn" },
		{ "\xe4\xbb\x96\xe5\x80\x91\xe7\x88\xb2\xe4\xbb\x80\xe9\xba\xbd\xe4\xb8\x8d\xe8\xaa\xaa\xe4\xb8\xad\xe6\x96"
		  "\x87",
		  "xn--ihqwctvzc91f659drss3x8bo0yb" },
		{ "\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "xn--r8jz45g.xn--zckzah" },
		{ "fa\xc3\x9f.de", "xn--fa-hia.de" },
		{ "\xf0\x9f\x92\xa9.la", "xn--ls8h.la" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(300);
		CHECK_INT(0, mail_domain_to_ascii(&b, span_of(cases[i].in)));
		CHECK_SPAN(cases[i].out, buf_span(&b));
		buf_free(&b);
	}
}

static void what_cannot_be_a_name(void)
{
	struct buf b = BUF_INIT(300), long_label = BUF_INIT(300), small = BUF_INIT(5);

	CHECK_INT(-ERR_SYNTAX, mail_domain_to_ascii(&b, SPAN("a.\xff")));
	for (int i = 0; i < 64; i++)
		buf_add_str(&long_label, "\xc3\xbc");
	CHECK_INT(-ERR_SYNTAX, mail_domain_to_ascii(&b, buf_span(&long_label)));
	/* Its characters fit, coded they do not. */
	buf_reset(&long_label);
	for (unsigned i = 0; i < 50; i++)
		buf_addf(&long_label, "\xe4%c%c", (int)(0x80 + i), (int)(0xbf - i));
	CHECK_INT(-ERR_SYNTAX, mail_domain_to_ascii(&b, buf_span(&long_label)));
	CHECK_INT(0, b.n);
	CHECK_INT(-ERR_TOOBIG, mail_domain_to_ascii(&small, SPAN("abc.def")));
	CHECK_INT(0, small.n);
	buf_free(&b);
	buf_free(&small);
	buf_free(&long_label);
}

TEST_MAIN(TEST(names), TEST(what_cannot_be_a_name))
