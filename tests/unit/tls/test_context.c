#include "tls/tls_context.h"

#include "tls_bed.h"

static struct cert root, middle, leaf;

static void set_up(void)
{
	certs_init();
	root = cert_make((struct cert_spec){ .cn = "Root", .ca = true });
	middle = cert_make((struct cert_spec){ .cn = "Middle", .ca = true, .issuer = &root });
	leaf = cert_make((struct cert_spec){ .cn = "mx",
					     .alt = "DNS:mx.example",
					     .issuer = &middle,
					     .info_access = "caIssuers;URI:http://ca.example/middle.der" });
}

static void tear_down(void)
{
	cert_free(&leaf);
	cert_free(&middle);
	cert_free(&root);
	certs_deinit();
}

/* What the operator is told about these files; "" and @ok when they are fine. */
static struct errtext told(const char *cert, const char *key, int *rc_r)
{
	const struct tls_cert one = { span_of(cert), span_of(key) };
	const struct tls_server_config cfg = { .certs = &one, .ncerts = 1, .security_level = -1 };
	struct tls_server *ts = NULL;
	struct errtext e = { "" };

	*rc_r = tls_server_new(&cfg, &ts, &e);
	CHECK((*rc_r == 0) == (ts != NULL));
	tls_server_unref(&ts);
	return e;
}

static void expect(int want_rc, const char *want, const char *cert, const char *key)
{
	int rc;
	const struct errtext e = told(cert, key, &rc);

	CHECK_INT(want_rc, rc);
	if ((want[0] && !strstr(e.s, want)) || (!want[0] && e.s[0]))
		FAIL("expected \"%s\", got \"%s\"", want, e.s);
	if (e.s[0] && !strstr(e.s, certs_dir))
		FAIL("no file is named in \"%s\"", e.s);
}

static void files_that_are_fine(void)
{
	set_up();
	const char *key = CERTS_WRITE("key.pem", KEY_OF(leaf));
	expect(0, "", CERTS_WRITE("full.pem", CERT_OF(leaf), CERT_OF(middle), CERT_OF(root)), key);
	expect(0, "", CERTS_WRITE("chain.pem", CERT_OF(leaf), CERT_OF(middle), CERT_OF(root)), key);
	expect(0, "",
	       CERTS_WRITE("combined.pem", KEY_OF(leaf), CERT_OF(leaf), CERT_OF(middle), CERT_OF(root)),
	       NULL);
	/* A private CA that does not say where its certificates are: who can tell what is missing? */
	struct cert own =
		cert_make((struct cert_spec){ .cn = "own", .alt = "DNS:own.example", .issuer = &root });
	expect(0, "", CERTS_WRITE("own.pem", CERT_OF(own), KEY_OF(own)), NULL);
	struct cert alone = cert_make((struct cert_spec){ .cn = "alone", .key = "ed25519" });
	expect(0, "", CERTS_WRITE("alone.pem", CERT_OF(alone), KEY_OF(alone)), NULL);
	cert_free(&own);
	cert_free(&alone);
	tear_down();
}

static void files_that_cannot_be_used(void)
{
	set_up();
	const char *key = CERTS_WRITE("key.pem", KEY_OF(leaf));
	const char *good = CERTS_WRITE("good.pem", CERT_OF(leaf), CERT_OF(middle));

	expect(-ERR_NOTFOUND, "No such file", certs_path("none.pem"), key);
	expect(-ERR_NOTFOUND, "No such file", good, certs_path("none.pem"));
	expect(-ERR_INVAL, "the file is empty", certs_write_text("empty.pem", ""), key);
	expect(-ERR_INVAL, "are cert and key swapped?", key, good);
	expect(-ERR_INVAL, "holds no PEM certificate", certs_write_text("text.pem", "hello\n"), key);
	expect(-ERR_INVAL, "seems to be DER", certs_write_text("der.pem", "0\x82\x01\x01"), key);
	expect(-ERR_INVAL, "a request for a certificate",
	       certs_write_text(
		       "req.pem",
		       "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n"),
	       key);
	expect(-ERR_INVAL, "certificate 1 of the file cannot be read",
	       certs_write_text("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
	       key);
	expect(-ERR_INVAL, "holds no private key", good, NULL);
	expect(-ERR_INVAL, "the private key cannot be read", good,
	       certs_write_text("badkey.pem",
				"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
	expect(-ERR_INVAL, "is encrypted and nobody can be asked", good,
	       CERTS_WRITE("locked.pem", LOCKED_KEY_OF(leaf, "secret")));
	expect(-ERR_INVAL, "the key does not belong to the certificate", good,
	       CERTS_WRITE("other.pem", KEY_OF(root)));
	expect(-ERR_INVAL, "the key belongs to certificate 2 of the file",
	       CERTS_WRITE("turned.pem", CERT_OF(middle), CERT_OF(leaf)), key);
	struct cert weak = cert_make((struct cert_spec){ .cn = "weak", .key = "rsa", .bits = 1024 });
	expect(-ERR_INVAL, "too weak for security level 2",
	       CERTS_WRITE("weak.pem", CERT_OF(weak), KEY_OF(weak)), NULL);
	cert_free(&weak);
	tear_down();
}

static void files_that_some_clients_will_mind(void)
{
	set_up();
	expect(0, "the issuer's certificate is missing", CERTS_WRITE("lone.pem", CERT_OF(leaf), KEY_OF(leaf)),
	       NULL);
	struct cert old =
		cert_make((struct cert_spec){ .cn = "old", .from_s = -9 * CERT_DAY_S, .to_s = -CERT_DAY_S });
	struct cert soon = cert_make((struct cert_spec){ .cn = "soon", .to_s = 3 * CERT_DAY_S });
	struct cert early = cert_make((struct cert_spec){ .cn = "early", .from_s = CERT_DAY_S });
	expect(0, "the certificate expired at 20", CERTS_WRITE("old.pem", CERT_OF(old), KEY_OF(old)), NULL);
	expect(0, "the certificate expires at 20", CERTS_WRITE("soon.pem", CERT_OF(soon), KEY_OF(soon)),
	       NULL);
	expect(0, "is not valid before 20", CERTS_WRITE("early.pem", CERT_OF(early), KEY_OF(early)), NULL);
	cert_free(&old);
	cert_free(&soon);
	cert_free(&early);
	tear_down();
}

static void settings_that_cannot_be(void)
{
	struct tls_server *ts = NULL;
	struct errtext e;

	set_up();
	const struct tls_cert one = { span_of(CERTS_WRITE("leaf.pem", CERT_OF(leaf), KEY_OF(leaf))), { 0 } };
	const struct {
		struct tls_server_config cfg;
		const char *why;
	} cases[] = {
		{ { .security_level = -1 }, "TLS needs a certificate" },
		{ { .certs = &one, .ncerts = 1, .min = TLS_VERSION_1_0, .security_level = -1 },
		  "need security level 0" },
		{ { .certs = &one,
		    .ncerts = 1,
		    .min = TLS_VERSION_1_3,
		    .max = TLS_VERSION_1_2,
		    .security_level = -1 },
		  "the highest TLS version is below the lowest" },
		{ { .certs = &one, .ncerts = 1, .security_level = 9 }, "security level 9" },
		{ { .certs = &one, .ncerts = 1, .security_level = -1, .ciphers = SPAN("NONSENSE") },
		  "ciphers \"NONSENSE\": no cipher match" },
		{ { .certs = &one, .ncerts = 1, .security_level = -1, .ciphersuites = SPAN("TLS_X") },
		  "ciphersuites \"TLS_X\": " },
		{ { .certs = &one, .ncerts = 1, .security_level = -1, .client_cert = TLS_CLIENT_CERT_ASK },
		  "client_ca" },
		{ { .certs = &one,
		    .ncerts = 1,
		    .security_level = -1,
		    .client_cert = TLS_CLIENT_CERT_ASK,
		    .client_ca = SPAN("/nowhere/ca.pem") },
		  "/nowhere/ca.pem: no CA for client certificates can be read: " },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		e.s[0] = 0;
		CHECK(tls_server_new(&cases[i].cfg, &ts, &e) < 0 && ts == NULL);
		if (!strstr(e.s, cases[i].why))
			FAIL("case %zu: expected \"%s\", got \"%s\"", i, cases[i].why, e.s);
	}
	struct tls_client *tc = NULL;
	const struct tls_client_config no_ca = { .security_level = -1, .ca_file = SPAN("/nowhere/ca.pem") };
	CHECK(tls_client_new(&no_ca, &tc, &e) < 0 && tc == NULL);
	CHECK(strstr(e.s, "/nowhere/ca.pem: no CA certificate can be read: ") == e.s);
	tear_down();
}

static void versions_are_parsed(void)
{
	static const struct {
		const char *text;
		enum tls_version version;
	} cases[] = { { "1.0", TLS_VERSION_1_0 },
		      { "TLSv1", TLS_VERSION_1_0 },
		      { "1.1", TLS_VERSION_1_1 },
		      { "TLSv1.2", TLS_VERSION_1_2 },
		      { "tlsv1.3", TLS_VERSION_1_3 } };
	static const char *const wrong[] = { "", "1.4", "SSLv3", "TLS1.2", "2", "1.2 " };
	enum tls_version v = TLS_VERSION_DEFAULT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_INT(0, tls_version_parse(span_of(cases[i].text), &v));
		CHECK_INT(cases[i].version, v);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK_INT(-ERR_SYNTAX, tls_version_parse(span_of(wrong[i]), &v));
}

/* ---- several certificates ---------------------------------------------------------------------------------- */

/* The common name of the certificate that a client gets who asks for @sni and can verify @ciphers. */
static void check_choice(struct tls_server *ts, const char *sni, const char *ciphers, const char *want)
{
	const struct tls_client_config cfg = { .security_level = -1, .ciphers = span_of(ciphers) };
	const struct tls_connect how = { .sni = span_of(sni), .verify = TLS_VERIFY_NONE };
	struct tls_client *tc = NULL;
	struct errtext e = { "" };
	struct bed b;

	NEED(tls_client_new(&cfg, &tc, &e) == 0);
	bed_memory(&b);
	bed_shake(&b, ts, tc, &how);
	if (b.client.s) {
		const struct tls_info *info = tls_info(b.client.s);
		if (!span_eq(span_of(want), info->common_name))
			FAIL("for \"%s\" with %s: expected \"%s\", got \"%.*s\"", sni, ciphers, want,
			     SPAN_ARG(info->common_name));
		CHECK_SPAN(sni, tls_info(b.server.s)->sni);
	} else {
		FAIL("for \"%s\" with %s: %s", sni, ciphers, b.client.h.why);
	}
	bed_end(&b);
	tls_client_unref(&tc);
}

static void names_choose_certificates(void)
{
	static const char ecdsa[] = "ECDHE-ECDSA-AES128-GCM-SHA256", rsa[] = "ECDHE-RSA-AES128-GCM-SHA256";
	struct cert a_ec, a_rsa, b_ec, wild;
	struct tls_cert files[4];

	certs_init();
	a_ec = cert_make((struct cert_spec){ .cn = "a-ec", .alt = "DNS:a.example,DNS:alias.example" });
	a_rsa = cert_make((struct cert_spec){ .cn = "a-rsa", .alt = "DNS:A.example", .key = "rsa" });
	b_ec = cert_make((struct cert_spec){ .cn = "b-ec", .alt = "DNS:b.example" });
	wild = cert_make((struct cert_spec){ .cn = "wild", .alt = "DNS:*.w.example" });
	files[0] = (struct tls_cert){ .cert = span_of(CERTS_WRITE("a-ec.pem", CERT_OF(a_ec), KEY_OF(a_ec))) };
	files[1] =
		(struct tls_cert){ .cert = span_of(CERTS_WRITE("a-rsa.pem", CERT_OF(a_rsa), KEY_OF(a_rsa))) };
	files[2] = (struct tls_cert){ .cert = span_of(CERTS_WRITE("b-ec.pem", CERT_OF(b_ec), KEY_OF(b_ec))) };
	files[3] = (struct tls_cert){ .cert = span_of(CERTS_WRITE("wild.pem", CERT_OF(wild), KEY_OF(wild))) };
	struct tls_server *ts = serve(&(struct tls_server_config){ .certs = files,
								   .ncerts = 4,
								   .max = TLS_VERSION_1_2,
								   .security_level = -1,
								   .session_lifetime_s = 60 });

	check_choice(ts, "a.example", ecdsa, "a-ec");
	check_choice(ts, "a.example", rsa, "a-rsa");
	check_choice(ts, "A.EXAMPLE", rsa, "a-rsa");
	check_choice(ts, "b.example", ecdsa, "b-ec");
	check_choice(ts, "x.w.example", ecdsa, "wild");
	check_choice(ts, "alias.example", ecdsa, "a-ec");
	check_choice(ts, "", ecdsa, "a-ec");
	check_choice(ts, "", rsa, "a-rsa"); /* shares a name with the first */
	check_choice(ts, "unknown.example", rsa, "a-rsa");
	check_choice(ts, "y.x.w.example", ecdsa, "a-ec"); /* a "*" is one label */
	check_choice(ts, "w.example", ecdsa, "a-ec");
	tls_server_unref(&ts);
	cert_free(&a_ec);
	cert_free(&a_rsa);
	cert_free(&b_ec);
	cert_free(&wild);
	certs_deinit();
}

/* ---- files that change ------------------------------------------------------------------------------------- */

static void new_files_serve_new_connections(void)
{
	struct errtext e = { "" };
	struct bed old, fresh;
	struct cert next;

	set_up();
	const char *cert = CERTS_WRITE("cert.pem", CERT_OF(leaf), CERT_OF(middle), CERT_OF(root));
	const char *key = CERTS_WRITE("key.pem", KEY_OF(leaf));
	struct tls_server *ts = serve_pair(cert, key);
	struct tls_client *tc = connecting(NULL);
	const struct tls_connect any = { .verify = TLS_VERIFY_NONE };

	CHECK_INT(0, tls_server_refresh(ts, &e));
	bed_memory(&old);
	bed_shake(&old, ts, tc, &any);
	NEED(old.client.s != NULL);
	next = cert_make((struct cert_spec){ .cn = "next", .alt = "DNS:mx.example" });
	CERTS_WRITE("cert.pem", CERT_OF(next));
	CHECK_INT(-ERR_INVAL, tls_server_refresh(ts, &e)); /* the key is the old one still */
	CHECK(strstr(e.s, "the key does not belong to the certificate") != NULL);
	CHECK_INT(0, tls_server_refresh(ts, &e)); /* and is not looked at again until something changes */
	check_choice(ts, "", "DEFAULT", "mx");
	CERTS_WRITE("key.pem", KEY_OF(next));
	CHECK_INT(1, tls_server_refresh(ts, &e));
	CHECK_STR("", e.s);
	CHECK_INT(0, tls_server_refresh(ts, &e));
	bed_memory(&fresh);
	bed_shake(&fresh, ts, tc, &any);
	NEED(fresh.client.s != NULL);
	CHECK_SPAN("next", tls_info(fresh.client.s)->common_name);
	/* The one that was open goes on, also when everything else of its context is gone. */
	tls_server_unref(&ts);
	tls_client_unref(&tc);
	CHECK_SPAN("mx", tls_info(old.client.s)->common_name);
	CHECK_INT(0, stream_write(old.client.s, SPAN("NOOP\r\n")));
	TURNS(&old, old.server.got.n == 6);
	CHECK_SPAN("NOOP\r\n", buf_span(&old.server.got));
	bed_end(&old);
	bed_end(&fresh);
	cert_free(&next);
	tear_down();
}

static void files_may_go_away_and_come_back(void)
{
	struct errtext e = { "" };

	set_up();
	const char *file = CERTS_WRITE("leaf.pem", CERT_OF(leaf), KEY_OF(leaf));
	struct tls_server *ts = serve_pair(file, NULL);
	struct tls_client *tc = connecting(file);
	CHECK_INT(0, unlink(file));
	CHECK_INT(-ERR_NOTFOUND, tls_server_refresh(ts, &e));
	CHECK(tls_client_refresh(tc, &e) < 0);
	check_choice(ts, "", "DEFAULT", "mx");
	CERTS_WRITE("leaf.pem", CERT_OF(leaf), KEY_OF(leaf));
	CHECK_INT(1, tls_server_refresh(ts, &e));
	CHECK_INT(1, tls_client_refresh(tc, &e));
	CHECK_INT(0, tls_client_refresh(tc, &e));
	tls_client_unref(&tc);
	tls_server_unref(&ts);
	tear_down();
}

TEST_MAIN(TEST(files_that_are_fine), TEST(files_that_cannot_be_used), TEST(files_that_some_clients_will_mind),
	  TEST(settings_that_cannot_be), TEST(versions_are_parsed), TEST(names_choose_certificates),
	  TEST(new_files_serve_new_connections), TEST(files_may_go_away_and_come_back))
