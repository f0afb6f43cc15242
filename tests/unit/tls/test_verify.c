#include "tls_bed.h"

static struct cert root, middle, leaf, other;

static void set_up(void)
{
	certs_init();
	root = cert_make((struct cert_spec){ .cn = "Root", .ca = true });
	middle = cert_make((struct cert_spec){ .cn = "Middle", .ca = true, .issuer = &root });
	leaf = cert_make((struct cert_spec){
		.cn = "cn.example",
		.alt = "DNS:mx.example,DNS:*.wild.example,IP:192.0.2.25,email:post@mx.example",
		.issuer = &middle });
	other = cert_make((struct cert_spec){ .cn = "Other", .ca = true });
	CERTS_WRITE("root.pem", CERT_OF(root));
	CERTS_WRITE("middle.pem", CERT_OF(middle));
	CERTS_WRITE("other.pem", CERT_OF(other));
	CERTS_WRITE("leaf.pem", CERT_OF(leaf), CERT_OF(middle), KEY_OF(leaf));
}

static void tear_down(void)
{
	cert_free(&leaf);
	cert_free(&middle);
	cert_free(&root);
	cert_free(&other);
	certs_deinit();
}

struct outcome {
	int status;
	enum tls_fault fault;
	char why[TLS_WHY_MAX], cert_why[120];
	bool cert_ok, dane;
};

static struct outcome connect_to(const char *cert_file, const char *ca_file, const struct tls_connect *how)
{
	struct tls_server *ts = serve_pair(cert_file, NULL);
	struct tls_client *tc = connecting(ca_file);
	struct outcome o = { 0 };
	struct bed b;

	bed_memory(&b);
	bed_shake(&b, ts, tc, how);
	o.status = b.client.status;
	o.fault = b.client.h.fault;
	snprintf(o.why, sizeof o.why, "%s", b.client.h.why);
	if (b.client.s) {
		const struct tls_info *info = tls_info(b.client.s);
		o.cert_ok = info->cert_ok;
		o.dane = info->dane;
		snprintf(o.cert_why, sizeof o.cert_why, "%.*s", SPAN_ARG(info->cert_why));
	} else if (o.status == -ERR_DENIED) {
		/* The server was told before it was sent anything. */
		CHECK_INT(0, b.server.got.n);
		CHECK(b.server.status == -ERR_REFUSED || b.server.closed == 1);
	}
	bed_end(&b);
	tls_server_unref(&ts);
	tls_client_unref(&tc);
	return o;
}

static struct outcome by_name(const char *cert_file, const char *ca, const char *name)
{
	const struct span names[] = { span_of(name) };
	const struct tls_connect how = { .verify = TLS_VERIFY_NAME, .names = names, .nnames = 1 };

	return connect_to(certs_path(cert_file), certs_path(ca), &how);
}

static void names_are_compared(void)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{ "mx.example", true },     { "MX.Example", true },        { "mx.example.", true },
		{ "a.wild.example", true }, { "a.b.wild.example", false }, { "wild.example", false },
		{ "other.example", false }, { "cn.example", false }, /* the common name is no name */
		{ ".example", true },                                /* MTA-STS: "*.example" */
		{ ".wild.example", true },  { ".mx.example", false },      { ".other.example", false },
		{ "192.0.2.25", true },     { "192.0.2.26", false },       { "2001:db8::25", false },
	};

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct outcome o = by_name("leaf.pem", "root.pem", cases[i].name);
		if ((o.status == 0) != cases[i].ok)
			FAIL("\"%s\": expected %s, got %d: %s", cases[i].name,
			     cases[i].ok ? "it matches" : "no match", o.status, o.why);
		if (!cases[i].ok) {
			CHECK_INT(-ERR_DENIED, o.status);
			CHECK_INT(TLS_FAULT_CERT_NAME, o.fault);
		}
	}
	const struct outcome o = by_name("leaf.pem", "root.pem", "other.example");
	CHECK_STR("certificate not accepted: hostname mismatch; it is for mx.example, *.wild.example", o.why);
	tear_down();
}

static void any_of_several_names(void)
{
	const struct span names[] = { SPAN("a.example"), SPAN(".b.example"), SPAN("mx.example") };
	struct tls_connect how = { .verify = TLS_VERIFY_NAME, .names = names, .nnames = 3 };

	set_up();
	CHECK_INT(0, connect_to(certs_path("leaf.pem"), certs_path("root.pem"), &how).status);
	how.nnames = 2;
	CHECK_INT(-ERR_DENIED, connect_to(certs_path("leaf.pem"), certs_path("root.pem"), &how).status);
	how.nnames = 0; /* would be any */
	const struct outcome o = connect_to(certs_path("leaf.pem"), certs_path("root.pem"), &how);
	CHECK_INT(-ERR_INVAL, o.status);
	CHECK_STR("verification needs a name to compare with", o.why);
	tear_down();
}

static void chains_are_checked(void)
{
	set_up();
	CHECK_INT(0, by_name("leaf.pem", "root.pem", "mx.example").status);
	CHECK_INT(0, by_name("leaf.pem", "middle.pem", "mx.example").status); /* trusted as it stands */
	struct outcome o = by_name("leaf.pem", "other.pem", "mx.example");
	CHECK_INT(-ERR_DENIED, o.status);
	CHECK_INT(TLS_FAULT_CERT_UNTRUSTED, o.fault);
	CHECK_STR("certificate not accepted: unable to get local issuer certificate (/CN=Middle)", o.why);
	struct cert own = cert_make((struct cert_spec){ .cn = "own", .alt = "DNS:mx.example" });
	CERTS_WRITE("own.pem", CERT_OF(own), KEY_OF(own));
	o = by_name("own.pem", "root.pem", "mx.example");
	CHECK_INT(-ERR_DENIED, o.status);
	CHECK_STR("certificate not accepted: self-signed certificate (/CN=own)", o.why);
	CHECK_INT(0, by_name("own.pem", "own.pem", "mx.example").status);
	struct cert old = cert_make((struct cert_spec){ .cn = "old",
							.alt = "DNS:mx.example",
							.issuer = &root,
							.from_s = -9 * CERT_DAY_S,
							.to_s = -CERT_DAY_S });
	CERTS_WRITE("old.pem", CERT_OF(old), KEY_OF(old));
	o = by_name("old.pem", "root.pem", "mx.example");
	CHECK_INT(-ERR_DENIED, o.status);
	CHECK_INT(TLS_FAULT_CERT_EXPIRED, o.fault);
	CHECK_STR("certificate not accepted: certificate has expired (/CN=old)", o.why);
	cert_free(&own);
	cert_free(&old);
	tear_down();
}

static void not_verifying_says_what_verifying_would_have(void)
{
	const struct span right = SPAN("mx.example"), wrong = SPAN("no.example");
	struct tls_connect how = { .verify = TLS_VERIFY_NONE };

	set_up();
	struct outcome o = connect_to(certs_path("leaf.pem"), certs_path("root.pem"), &how);
	CHECK_INT(0, o.status);
	CHECK(o.cert_ok);
	CHECK_STR("", o.cert_why);
	o = connect_to(certs_path("leaf.pem"), certs_path("other.pem"), &how);
	CHECK_INT(0, o.status);
	CHECK(!o.cert_ok);
	CHECK_STR("unable to get local issuer certificate", o.cert_why);
	how.names = &right;
	how.nnames = 1;
	CHECK(connect_to(certs_path("leaf.pem"), certs_path("root.pem"), &how).cert_ok);
	how.names = &wrong;
	o = connect_to(certs_path("leaf.pem"), certs_path("root.pem"), &how);
	CHECK_INT(0, o.status);
	CHECK(!o.cert_ok);
	CHECK_STR("hostname mismatch", o.cert_why);
	tear_down();
}

/* ---- DANE ------------------------------------------------------------------------------------------------- */

/* The data of a record for @c: selector 0 the certificate, 1 its key; matching 0 all, 1 SHA-256, 2 SHA-512. */
static struct tls_tlsa record_of(const struct cert *c, uint8_t usage, uint8_t selector, uint8_t matching)
{
	static unsigned char data[4][4096];
	static unsigned at;
	unsigned char *p = data[at++ % 4], *der = NULL;
	unsigned n = 0;
	const int der_n = selector ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->x), &der) : i2d_X509(c->x, &der);

	NEED(der_n > 0 && der_n < 4096);
	if (matching == 0) {
		memcpy(p, der, (size_t)der_n);
		n = (unsigned)der_n;
	} else {
		NEED(EVP_Digest(der, (size_t)der_n, p, &n, matching == 1 ? EVP_sha256() : EVP_sha512(),
				NULL) == 1);
	}
	OPENSSL_free(der);
	return (struct tls_tlsa){ usage, selector, matching, span_make(p, n) };
}

static struct outcome by_dane(const char *cert_file, const struct tls_tlsa *tlsa, size_t n, const char *name)
{
	const struct span names[] = { span_of(name) };
	const struct tls_connect how = {
		.verify = TLS_VERIFY_DANE, .names = names, .nnames = 1, .tlsa = tlsa, .ntlsa = n
	};

	/* The CAs that are trusted otherwise count for nothing. */
	return connect_to(certs_path(cert_file), certs_path("other.pem"), &how);
}

static void dane_ee_looks_at_the_key_alone(void)
{
	set_up();
	struct cert old =
		cert_make((struct cert_spec){ .cn = "old", .from_s = -9 * CERT_DAY_S, .to_s = -CERT_DAY_S });
	CERTS_WRITE("old.pem", CERT_OF(old), KEY_OF(old));
	for (uint8_t selector = 0; selector < 2; selector++)
		for (uint8_t matching = 0; matching < 3; matching++) {
			const struct tls_tlsa good = record_of(&old, 3, selector, matching);
			const struct tls_tlsa bad = record_of(&leaf, 3, selector, matching);
			/* RFC 7672 section 3.1.1: neither name nor date */
			struct outcome o = by_dane("old.pem", &good, 1, "whatever.example");
			if (o.status != 0 || !o.dane || !o.cert_ok)
				FAIL("3 %u %u: %d %s", selector, matching, o.status, o.why);
			o = by_dane("old.pem", &bad, 1, "whatever.example");
			CHECK_INT(-ERR_DENIED, o.status);
			const struct tls_tlsa both[] = { bad, good };
			CHECK_INT(0, by_dane("old.pem", both, 2, "whatever.example").status);
		}
	const struct tls_tlsa bad = record_of(&leaf, 3, 1, 1);
	const struct outcome o = by_dane("old.pem", &bad, 1, "whatever.example");
	CHECK_INT(TLS_FAULT_TLSA, o.fault);
	CHECK_STR("certificate not accepted: no matching DANE TLSA records (/CN=old)", o.why);
	cert_free(&old);
	tear_down();
}

static void dane_ta_wants_chain_and_name(void)
{
	set_up();
	CERTS_WRITE("full.pem", CERT_OF(leaf), CERT_OF(middle), CERT_OF(root), KEY_OF(leaf));
	const struct tls_tlsa ta = record_of(&root, 2, 1, 1), mid = record_of(&middle, 2, 0, 1),
			      wrong = record_of(&other, 2, 1, 1);
	const struct tls_tlsa ta_full = record_of(&root, 2, 0, 0);

	CHECK_INT(0, by_dane("full.pem", &ta, 1, "mx.example").status);
	CHECK(by_dane("full.pem", &ta, 1, "mx.example").dane);
	CHECK_INT(0, by_dane("full.pem", &mid, 1, "mx.example").status);
	CHECK_INT(0, by_dane("leaf.pem", &ta_full, 1, "mx.example")
			     .status); /* the record brings the root with it */
	CHECK_INT(-ERR_DENIED, by_dane("leaf.pem", &ta, 1, "mx.example").status);
	CHECK_INT(-ERR_DENIED, by_dane("full.pem", &wrong, 1, "mx.example").status);
	struct outcome o = by_dane("full.pem", &ta, 1, "no.example");
	CHECK_INT(-ERR_DENIED, o.status);
	CHECK_INT(TLS_FAULT_CERT_NAME, o.fault);
	struct cert old = cert_make((struct cert_spec){ .cn = "old",
							.alt = "DNS:mx.example",
							.issuer = &root,
							.from_s = -9 * CERT_DAY_S,
							.to_s = -CERT_DAY_S });
	CERTS_WRITE("old.pem", CERT_OF(old), CERT_OF(root), KEY_OF(old));
	o = by_dane("old.pem", &ta, 1, "mx.example");
	CHECK_INT(-ERR_DENIED, o.status);
	CHECK_INT(TLS_FAULT_CERT_EXPIRED, o.fault);
	cert_free(&old);
	tear_down();
}

static void records_that_cannot_be_used(void)
{
	set_up();
	static const char digest[32];
	const struct tls_tlsa cases[] = {
		record_of(&leaf, 0, 0, 1), /* RFC 7672 section 3.1.3: PKIX-TA, PKIX-EE */
		record_of(&leaf, 1, 1, 1),          { 3, 2, 1, span_make(digest, 32) },
		{ 3, 1, 3, span_make(digest, 32) }, { 3, 1, 1, span_make(digest, 31) },
		{ 3, 1, 2, span_make(digest, 32) }, { 3, 1, 0, { 0 } },
		{ 4, 1, 1, span_make(digest, 32) },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (tls_tlsa_usable(&cases[i]))
			FAIL("case %zu: expected it to be unusable", i);
	const struct tls_tlsa good = record_of(&leaf, 3, 1, 1);
	CHECK(tls_tlsa_usable(&good));
	struct outcome o = by_dane("leaf.pem", cases, ARRAY_LEN(cases), "mx.example");
	CHECK_INT(-ERR_UNSUPPORTED, o.status);
	CHECK_INT(TLS_FAULT_TLSA, o.fault);
	CHECK_STR("none of the 8 TLSA records can be used", o.why);
	const struct tls_tlsa no_cert = { 3, 0, 0, SPAN("this is no certificate") };
	CHECK_INT(-ERR_UNSUPPORTED, by_dane("leaf.pem", &no_cert, 1, "mx.example").status);
	const struct tls_tlsa mixed[] = { cases[0], no_cert, good };
	CHECK_INT(0, by_dane("leaf.pem", mixed, 3, "mx.example").status);
	tear_down();
}

/* ---- certificates of clients ------------------------------------------------------------------------------- */

static struct tls_server *asking(enum tls_client_cert mode, enum tls_version max)
{
	const struct tls_cert one = { .cert = span_of(certs_path("leaf.pem")) };

	return serve(&(struct tls_server_config){ .certs = &one,
						  .ncerts = 1,
						  .max = max,
						  .security_level = -1,
						  .client_cert = mode,
						  .client_ca = span_of(certs_path("root.pem")),
						  .session_lifetime_s = 60 });
}

static struct tls_client *showing(const char *file)
{
	const struct tls_client_config cfg = { .security_level = -1,
					       .cert = span_of(file ? certs_path(file) : NULL) };
	struct tls_client *tc = NULL;
	struct errtext e = { "" };

	NEED(tls_client_new(&cfg, &tc, &e) == 0);
	return tc;
}

static void clients_show_certificates(void)
{
	static const struct tls_connect any = { .verify = TLS_VERIFY_NONE };
	struct bed b;

	set_up();
	struct cert device =
		cert_make((struct cert_spec){ .cn = "Drucker \xc3\xa4",
					      .alt = "email:device@x.example,DNS:printer.example",
					      .issuer = &middle });
	CERTS_WRITE("device.pem", CERT_OF(device), CERT_OF(middle), KEY_OF(device));
	CERTS_WRITE("stranger.pem", CERT_OF(other), KEY_OF(other));
	static const struct {
		enum tls_client_cert mode;
		const char *file;
		bool goes, given, ok;
		enum tls_fault fault;
	} cases[] = {
		{ TLS_CLIENT_CERT_NONE, "device.pem", true, false, false, TLS_FAULT_NONE },
		{ TLS_CLIENT_CERT_ASK, "device.pem", true, true, true, TLS_FAULT_NONE },
		{ TLS_CLIENT_CERT_ASK, "stranger.pem", true, true, false, TLS_FAULT_NONE },
		{ TLS_CLIENT_CERT_ASK, NULL, true, false, false, TLS_FAULT_NONE },
		{ TLS_CLIENT_CERT_REQUIRE, "device.pem", true, true, true, TLS_FAULT_NONE },
		{ TLS_CLIENT_CERT_REQUIRE, "stranger.pem", false, true, false, TLS_FAULT_CERT_UNTRUSTED },
		{ TLS_CLIENT_CERT_REQUIRE, NULL, false, false, false, TLS_FAULT_CERT_MISSING },
	};
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		const size_t at = i / 2;
		struct tls_server *ts = asking(cases[at].mode, i % 2 ? TLS_VERSION_1_2 : TLS_VERSION_DEFAULT);
		struct tls_client *tc = showing(cases[at].file);
		bed_memory(&b);
		bed_shake(&b, ts, tc, &any);
		if (cases[at].goes != (b.server.s != NULL))
			FAIL("case %zu: %d %s", at, b.server.status, b.server.h.why);
		if (b.server.s) {
			const struct tls_info *info = tls_info(b.server.s);
			CHECK_INT(cases[at].given, info->cert_given);
			CHECK_INT(cases[at].ok, info->cert_ok);
			if (cases[at].ok) {
				CHECK_SPAN("CN=Drucker \\C3\\A4", info->subject);
				CHECK_SPAN("Drucker \xc3\xa4", info->common_name);
				CHECK_SPAN("device@x.example", info->email);
				CHECK_SPAN("printer.example", info->dns_name);
				CHECK_SPAN("CN=Middle", info->issuer);
			}
		} else {
			CHECK_INT(-ERR_DENIED, b.server.status);
			CHECK_INT(cases[at].fault, b.server.h.fault);
		}
		bed_end(&b);
		tls_server_unref(&ts);
		tls_client_unref(&tc);
	}
	cert_free(&device);
	tear_down();
}

static void names_that_would_deceive_are_left_out(void)
{
	static const struct tls_connect any = { .verify = TLS_VERIFY_NONE };
	struct bed b;

	set_up();
	struct cert odd = cert_make((struct cert_spec){ .cn = "two\nlines", .issuer = &middle });
	CERTS_WRITE("odd.pem", CERT_OF(odd), CERT_OF(middle), KEY_OF(odd));
	struct tls_server *ts = asking(TLS_CLIENT_CERT_ASK, TLS_VERSION_DEFAULT);
	struct tls_client *tc = showing("odd.pem");
	bed_memory(&b);
	bed_shake(&b, ts, tc, &any);
	NEED(b.server.s != NULL);
	CHECK_SPAN("CN=two\\0Alines", tls_info(b.server.s)->subject);
	CHECK_SPAN("", tls_info(b.server.s)->common_name);
	bed_end(&b);
	tls_server_unref(&ts);
	tls_client_unref(&tc);
	cert_free(&odd);
	tear_down();
}

TEST_MAIN(TEST(names_are_compared), TEST(any_of_several_names), TEST(chains_are_checked),
	  TEST(not_verifying_says_what_verifying_would_have), TEST(dane_ee_looks_at_the_key_alone),
	  TEST(dane_ta_wants_chain_and_name), TEST(records_that_cannot_be_used),
	  TEST(clients_show_certificates), TEST(names_that_would_deceive_are_left_out))
