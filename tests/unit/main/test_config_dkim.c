/* Keys that mail is signed with: which, whose, and what is wrong with them. */
#include "config_bed.h"

#include "tls/tls_sign.h"

#define HEAD "hostname = \"relay.example.org\"\n"
#define LISTENER                                                                                             \
	"listener \"relay\" { bind = \"127.0.0.1:2525\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } } }\n"

static void write_key(struct config_bed *bed, const char *name, enum tls_key_kind kind, unsigned bits,
		      mode_t mode)
{
	struct tls_private_key *key = NULL;
	struct secret pem = { 0 };
	struct errtext e = { "" };

	NEED(tls_private_key_make(kind, bits, &key, &e) == 0);
	NEED(tls_private_key_pem(key, &pem) == 0);
	char *text = mem_strndup(secret_span(&pem).p, secret_span(&pem).n);
	bed_write(bed, name, text);
	NEED(chmod(bed->made[bed->nmade - 1], mode) == 0);
	free(text);
	secret_deinit(&pem);
	tls_private_key_free(&key);
}

static void with_keys(struct config_bed *bed)
{
	bed_open(bed);
	write_key(bed, "rsa.pem", TLS_KEY_RSA, 2048, 0600);
	write_key(bed, "ed25519.pem", TLS_KEY_ED25519, 0, 0600);
	write_key(bed, "short.pem", TLS_KEY_RSA, 1024, 0644);
}

static void check_key(const struct config *cfg, size_t i, const char *domain, const char *selector,
		      enum tls_key_kind kind)
{
	struct span d = { NULL, 0 }, s = { NULL, 0 };
	const struct tls_private_key *key = dkim_signer_key(cfg->dkim, i, &d, &s);

	NEED(key != NULL);
	CHECK_SPAN(domain, d);
	CHECK_SPAN(selector, s);
	CHECK_INT(kind, tls_private_key_kind(key));
}

static void none(void)
{
	struct config_bed bed;

	bed_open(&bed);
	NEED(bed_load(&bed, HEAD LISTENER) == 0);
	CHECK(bed.cfg->dkim == NULL);
	bed_close(&bed);
}

static void one_or_several(void)
{
	struct config_bed bed;

	with_keys(&bed);
	NEED(bed_load(&bed, HEAD LISTENER
		      "dkim = { domain = \"relay.example.org\", selector = \"s1\", key = \"rsa.pem\" }\n") ==
	     0);
	CHECK_INT(0, bed.problems.n);
	CHECK_INT(1, dkim_signer_count(bed.cfg->dkim));
	check_key(bed.cfg, 0, "relay.example.org", "s1", TLS_KEY_RSA);
	NEED(bed_load(
		     &bed, HEAD LISTENER
		     "dkim = {\n"
		     " { domain = \"bio.example.org\", selector = \"b1\", key = \"rsa.pem\" },\n"
		     " { domain = \"Relay.example.org\", selector = \"s1\", key = \"rsa.pem\", default = true },\n"
		     " { domain = \"relay.example.org\", selector = \"e1\", key = \"ed25519.pem\" } }\n") ==
	     0);
	CHECK_INT(3, dkim_signer_count(bed.cfg->dkim));
	check_key(bed.cfg, 0, "bio.example.org", "b1", TLS_KEY_RSA);
	check_key(bed.cfg, 2, "relay.example.org", "e1", TLS_KEY_ED25519);
	struct mail_head *h = NULL;
	struct arena *a = arena_new(10000);
	NEED(mail_head_parse(a, SPAN("From: a@elsewhere.example\r\n\r\n"), 1000, &h) > 0);
	CHECK_SPAN("relay.example.org", dkim_signer_domain(bed.cfg->dkim, h));
	arena_free(&a);
	bed_close(&bed);
}

static void listeners_say_what_they_do(void)
{
	struct config_bed bed;

	with_keys(&bed);
	bed_need(
		&bed, HEAD LISTENER
		"dkim = { domain = \"a.example\", selector = \"s\", key = \"rsa.pem\" }\n"
		"listener \"b\" { bind = \"127.0.0.1:2526\", dkim_sign = false, dkim_verify = true,"
		" dkim_timeout = \"700ms\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } } }\n"
		"listener \"c\" { bind = \"127.0.0.1:2527\", dkim_verify = true, arc_seal = true,"
		" policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } } }\n");
	const struct session_listener *a = &bed.cfg->listeners[0].session,
				      *b = &bed.cfg->listeners[1].session,
				      *c = &bed.cfg->listeners[2].session;
	CHECK(a->signer == bed.cfg->dkim && !a->dkim_verify && !a->arc_seal);
	CHECK(!b->signer && b->dkim_verify && !b->arc_seal);
	CHECK_INT(700000, b->dkim_timeout_us);
	CHECK(c->signer && c->dkim_verify && c->arc_seal);
	CHECK_INT(5000000, c->dkim_timeout_us);
	bed_close(&bed);
}

static void what_is_wrong(void)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
		bool warning;
	} cases[] = {
		{ "dkim = {}\n", 0, NULL, false },
		{ "dkim = \"key.pem\"\n", 3, "dkim: \"key.pem\" is no table; write dkim = { ... }", false },
		{ "dkim = { domain = \"a.example\", selector = \"s\" }\n", 3, "dkim.key is missing", false },
		{ "dkim = { { domain = \"a.example\",\n selector = \"s\", kye = \"x\" } }\n", 4,
		  "dkim.kye is no option; did you mean key?", false },
		{ "dkim = { domain = \"a.example\", selector = \"s\", key = \"nowhere.pem\" }\n", 3,
		  "nowhere.pem", false },
		{ "dkim = { domain = \"a.example\", selector = \"s\", key = \"postern.lua\" }\n", 3,
		  "postern.lua", false },
		{ "dkim = { domain = \"a.example\", selector = \"two words\", key = \"rsa.pem\" }\n", 3,
		  "dkim: no names in the DNS", false },
		{ "dkim = {\n { domain = \"a.example\", selector = \"s\", key = \"rsa.pem\" },\n"
		  " { domain = \"a.example\", selector = \"S\", key = \"rsa.pem\" } }\n",
		  5, "a.example has two keys with the selector s", false },
		{ "dkim = {\n { domain = \"a.example\", selector = \"s\", key = \"rsa.pem\", default = true },\n"
		  " { domain = \"b.example\", selector = \"s\", key = \"rsa.pem\", default = true } }\n",
		  5, "two domains cannot both sign what has no key", false },
		{ "listener \"b\" { bind = \"127.0.0.1:2526\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } }, arc_seal = true }\n",
		  3, "listener \"b\": arc_seal wants dkim_verify = true", false },
		{ "listener \"b\" { bind = \"127.0.0.1:2526\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } }, dkim_verify = true, arc_seal = true }\n",
		  3, "listener \"b\": arc_seal wants dkim_sign, and an RSA key", false },
		{ "dkim = { domain = \"a.example\", selector = \"s\", key = \"ed25519.pem\" }\nlistener \"b\" { bind = \"127.0.0.1:2526\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } }, dkim_verify = true, arc_seal = true }\n",
		  4, "listener \"b\": arc_seal wants dkim_sign, and an RSA key", false },
		{ "listener \"b\" { bind = \"127.0.0.1:2526\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } }, dkim_timeout = \"1h\" }\n",
		  3, "dkim_timeout: 1h is not between 100ms and 1m", false },
		{ "dkim = { domain = \"a.example\", selector = \"s\", key = \"short.pem\" }\n", 3,
		  "has 1024 bits; 2048 are recommended", true },
		{ "dkim = { domain = \"a.example\", selector = \"s\", key = \"short.pem\" }\n", 3,
		  "everybody may read", true },
	};
	struct config_bed bed;

	with_keys(&bed);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[1000];
		snprintf(text, sizeof text, "%s%s%s", HEAD, LISTENER, cases[i].text);
		const int err = bed_load(&bed, text);
		CHECK_INT(!cases[i].says || cases[i].warning ? 0 : -ERR_INVAL, err);
		bool said = !cases[i].says;
		for (size_t k = 0; k < bed.problems.n && cases[i].says; k++)
			said |= bed.problems.v[k].line == cases[i].line &&
				bed.problems.v[k].warning == cases[i].warning &&
				span_find(bed.problems.v[k].text, span_of(cases[i].says)) >= 0;
		if (!said)
			FAIL("case %zu: not \"%s\" in line %u but \"%.*s\" in line %u", i, cases[i].says,
			     cases[i].line, bed.problems.n ? SPAN_PRECISION(bed.problems.v[0].text) : 0,
			     bed.problems.n ? bed.problems.v[0].text.p : "",
			     bed.problems.n ? bed.problems.v[0].line : 0);
	}
	bed_close(&bed);
}

TEST_MAIN(TEST(none), TEST(one_or_several), TEST(listeners_say_what_they_do), TEST(what_is_wrong))
