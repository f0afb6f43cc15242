/* Good pairs have nothing said about them; each thing that can be wrong is said in words, with its grade. */
#include "tls/tls_cert_check.h"

#include "tls_certs.h"

static struct cert root, middle, leaf;

static void set_up(void)
{
	certs_init();
	root = cert_make((struct cert_spec){ .cn = "Root", .ca = true });
	middle = cert_make((struct cert_spec){ .cn = "Middle", .ca = true, .issuer = &root });
	leaf = cert_make(
		(struct cert_spec){ .cn = "mx",
				    .alt = "DNS:mx.example.org,DNS:*.relay.example.org,IP:192.0.2.25",
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

static void restrict_to_us(const char *path)
{
	if (path && access(path, F_OK) == 0)
		CHECK_INT(0, chmod(path, 0640));
}

static struct tls_cert_check question(const char *cert, const char *key, const char *ca)
{
	restrict_to_us(cert);
	restrict_to_us(key);
	return (struct tls_cert_check){
		.cert = span_of(cert), .key = span_of(key), .ca_file = span_of(ca), .now_s = time(NULL)
	};
}

/* The answer is @problems, and has @words in it (NULL: no findings at all). */
static void expect_of(const struct tls_cert_check *q, unsigned problems, const char *words)
{
	struct buf out = BUF_INIT(100000);
	struct json j = json_to(&out);
	const unsigned n = tls_cert_check(q, &j);

	CHECK(!out.overflow);
	if (n != problems)
		FAIL("expected %u problems, got %u: %s", problems, n, buf_cstr(&out));
	if (words && !strstr(buf_cstr(&out), words))
		FAIL("expected \"%s\" in %s", words, buf_cstr(&out));
	if (!words && !strstr(buf_cstr(&out), "\"findings\":[]"))
		FAIL("expected nothing to be found: %s", buf_cstr(&out));
	CHECK(!strstr(buf_cstr(&out), "MIGHAgEA")); /* how a PKCS#8 key on P-256 begins */
	buf_free(&out);
}

static void expect(unsigned problems, const char *words, const char *cert, const char *key, const char *ca)
{
	const struct tls_cert_check q = question(cert, key, ca);

	expect_of(&q, problems, words);
}

static const char *ca_file(void)
{
	return CERTS_WRITE("ca.pem", CERT_OF(root));
}

static void nothing_is_said_of_good_ones(void)
{
	set_up();
	const char *chain = CERTS_WRITE("chain.pem", CERT_OF(leaf), CERT_OF(middle)),
		   *key = CERTS_WRITE("key.pem", KEY_OF(leaf));
	expect(0, NULL, chain, key, ca_file());
	expect(0, NULL, CERTS_WRITE("both.pem", KEY_OF(leaf), CERT_OF(leaf), CERT_OF(middle)), NULL,
	       ca_file());
	expect(0, NULL, CERTS_WRITE("root.pem", CERT_OF(leaf), CERT_OF(middle), CERT_OF(root)), key,
	       ca_file());
	struct tls_cert_check q = question(chain, NULL, ca_file());
	q.without_key = true;
	CHECK_INT(0, chmod(chain, 0644)); /* there is no secret in it */
	expect_of(&q, 0, NULL);
	const struct span names[] = { SPAN("mx.example.org"), SPAN("MX.Example.ORG"),
				      SPAN("a.relay.example.org"), SPAN("192.0.2.25") };
	q.names = names;
	q.nnames = ARRAY_LEN(names);
	expect_of(&q, 0, NULL);
	tear_down();
}

static void facts_are_told(void)
{
	set_up();
	const char *both = CERTS_WRITE("both.pem", KEY_OF(leaf), CERT_OF(leaf), CERT_OF(middle));
	expect(0,
	       "\"subject\":\"mx\",\"issuer\":\"Middle\",\"names\":[\"mx.example.org\",\"*.relay.example.org\",\"192.0.2.25\"]",
	       both, NULL, ca_file());
	expect(0, "\"key_type\":\"ECDSA prime256v1\"", both, NULL, ca_file());
	expect(0, "\"chain\":[{\"subject\":\"Middle\",\"not_after\":", both, NULL, ca_file());
	tear_down();
}

/* what cannot be served. */
static void keys(void)
{
	set_up();
	const char *chain = CERTS_WRITE("chain.pem", CERT_OF(leaf), CERT_OF(middle)), *ca = ca_file();
	expect(1, "the private key is encrypted", chain,
	       CERTS_WRITE("locked.pem", LOCKED_KEY_OF(leaf, "secret")), ca);
	struct cert other = cert_make((struct cert_spec){ .cn = "other" });
	expect(1, "does not belong to the certificate", chain, CERTS_WRITE("other.pem", KEY_OF(other)), ca);
	cert_free(&other);
	expect(1, "holds no private key", chain, NULL, ca);
	expect(1, "No such file", chain, certs_path("none.pem"), ca);
	expect(1, "are cert and key swapped?", CERTS_WRITE("key.pem", KEY_OF(leaf)), chain, ca);
	expect(1, "No such file", certs_path("none.pem"), NULL, ca);
	expect(1, "holds no PEM certificate", certs_write_text("text.pem", "hello"), NULL, ca);
	expect(2, "the server's own must come first",
	       CERTS_WRITE("wrong.pem", CERT_OF(middle), CERT_OF(leaf)), CERTS_WRITE("k.pem", KEY_OF(leaf)),
	       ca); /* and a CA's certificate has no name */
	tear_down();
}

static void chains(void)
{
	set_up();
	const char *key = CERTS_WRITE("key.pem", KEY_OF(leaf)),
		   *alone = CERTS_WRITE("alone.pem", CERT_OF(leaf)), *ca = ca_file();
	expect(1, "the certificate of its issuer, Middle, is missing", alone, key, ca);
	expect(1, "fullchain.pem", alone, key, NULL); /* it says that there is more */
	const char *chain = CERTS_WRITE("chain.pem", CERT_OF(leaf), CERT_OF(middle));
	expect(0, "this machine does not know Root", chain, key, NULL);
	expect(0, "its root, Root, is not one that this machine trusts",
	       CERTS_WRITE("full.pem", CERT_OF(leaf), CERT_OF(middle), CERT_OF(root)), key, NULL);
	struct cert other = cert_make((struct cert_spec){ .cn = "Other", .ca = true });
	expect(1, "its root, Root, is not one that the given file trusts",
	       CERTS_WRITE("full.pem", CERT_OF(leaf), CERT_OF(middle), CERT_OF(root)), key,
	       CERTS_WRITE("o.pem", CERT_OF(other)));
	expect(0, "number 2 of the file is the certificate of Root, and that of Middle should be there",
	       CERTS_WRITE("order.pem", CERT_OF(leaf), CERT_OF(root), CERT_OF(middle)), key, ca);
	expect(1, "cannot be read as the certificates of CAs", chain, key, certs_write_text("bad.pem", "x"));
	struct cert own = cert_make((struct cert_spec){ .cn = "own", .alt = "DNS:own.example" });
	expect(0, "it signs itself", CERTS_WRITE("own.pem", CERT_OF(own), KEY_OF(own)), NULL, NULL);
	struct cert old = cert_make((struct cert_spec){ .cn = "Old",
							.ca = true,
							.issuer = &root,
							.from_s = -10L * CERT_DAY_S,
							.to_s = -5L * CERT_DAY_S }),
		    below = cert_make(
			    (struct cert_spec){ .cn = "b", .alt = "DNS:b.example", .issuer = &old });
	expect(1, "the certificate of Old, number 2 of the file, expired at",
	       CERTS_WRITE("b.pem", CERT_OF(below), CERT_OF(old)), CERTS_WRITE("bk.pem", KEY_OF(below)), ca);
	cert_free(&below);
	cert_free(&old);
	cert_free(&own);
	cert_free(&other);
	tear_down();
}

static void dates(void)
{
	static const struct {
		long from_s, to_s;
		unsigned problems;
		const char *words;
	} cases[] = {
		{ -20L * CERT_DAY_S, -3L * CERT_DAY_S - 60, 1, "the certificate expired at" },
		{ -20L * CERT_DAY_S, -3L * CERT_DAY_S - 60, 1, "3 days ago" },
		{ 2L * CERT_DAY_S, 20L * CERT_DAY_S, 1, "is the clock right?" },
		{ -20L * CERT_DAY_S, 5L * CERT_DAY_S + 600, 0, "in 5 days" },
		{ -20L * CERT_DAY_S, 15L * CERT_DAY_S, 0, NULL },
	};

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cert c = cert_make((struct cert_spec){ .cn = "c",
							      .alt = "DNS:c.example",
							      .issuer = &root,
							      .from_s = cases[i].from_s,
							      .to_s = cases[i].to_s });
		expect(cases[i].problems, cases[i].words, CERTS_WRITE("c.pem", CERT_OF(c), KEY_OF(c)), NULL,
		       ca_file());
		cert_free(&c);
	}
	tear_down();
}

static void names(void)
{
	const struct span wanted[] = { SPAN("mx.example.org"), SPAN("other.example.org"),
				       SPAN("a.b.relay.example.org"), SPAN("192.0.2.26"), SPAN("") };

	set_up();
	struct tls_cert_check q = question(
		CERTS_WRITE("both.pem", KEY_OF(leaf), CERT_OF(leaf), CERT_OF(middle)), NULL, ca_file());
	q.names = wanted;
	q.nnames = ARRAY_LEN(wanted);
	expect_of(
		&q, 4,
		"other.example.org is not among its names: mx.example.org, *.relay.example.org, 192.0.2.25");
	q.nnames = 0;
	q.hostname = SPAN("relay.example.org");
	expect_of(&q, 0, "the server's own name, relay.example.org, is not among its names: mx.example.org");
	q.hostname = SPAN("mx.example.org");
	expect_of(&q, 0, NULL);
	struct cert bare = cert_make((struct cert_spec){ .cn = "mx.example.org", .issuer = &root });
	expect(1, "no name in subjectAltName", CERTS_WRITE("bare.pem", CERT_OF(bare), KEY_OF(bare)), NULL,
	       ca_file());
	cert_free(&bare);
	tear_down();
}

static void strength(void)
{
	set_up();
	struct cert weak = cert_make((struct cert_spec){
		.cn = "w", .alt = "DNS:w.example", .issuer = &root, .key = "rsa", .bits = 1024 });
	expect(1, "an RSA key of 1024 bits is too short", CERTS_WRITE("w.pem", CERT_OF(weak), KEY_OF(weak)),
	       NULL, ca_file());
	NEED(X509_sign(weak.x, root.key, EVP_sha1()) > 0);
	expect(2, "signed with SHA1", CERTS_WRITE("w.pem", CERT_OF(weak), KEY_OF(weak)), NULL, ca_file());
	cert_free(&weak);
	struct cert client =
		cert_make((struct cert_spec){ .cn = "c", .alt = "DNS:c.example", .issuer = &root });
	cert_extension(client.x, root.x, NID_ext_key_usage, "clientAuth");
	NEED(X509_sign(client.x, root.key, EVP_sha256()) > 0);
	const char *path = CERTS_WRITE("c.pem", CERT_OF(client), KEY_OF(client));
	expect(1, "not meant for servers", path, NULL, ca_file());
	struct tls_cert_check q = question(path, NULL, ca_file());
	q.client = true;
	expect_of(&q, 0, NULL);
	cert_free(&client);
	struct cert forged =
		cert_make((struct cert_spec){ .cn = "f", .alt = "DNS:f.example", .issuer = &root });
	NEED(X509_sign(forged.x, middle.key, EVP_sha256()) > 0); /* says that root issued it */
	expect(1, "is not its issuer's", CERTS_WRITE("f.pem", CERT_OF(forged), KEY_OF(forged)), NULL,
	       ca_file());
	cert_free(&forged);
	tear_down();
}

/* */
static void permissions(void)
{
	set_up();
	const char *chain = CERTS_WRITE("chain.pem", CERT_OF(leaf), CERT_OF(middle)),
		   *key = CERTS_WRITE("key.pem", KEY_OF(leaf));
	const struct tls_cert_check q = question(chain, key, ca_file());
	CHECK_INT(0, chmod(chain, 0644));
	expect_of(&q, 0, NULL);
	CHECK_INT(0, chmod(key, 0644));
	expect_of(&q, 1, "everybody on this machine may read the key");
	CHECK_INT(0, chmod(key, 0662));
	expect_of(&q, 1, "may write the file of the key");
	tear_down();
}

TEST_MAIN(TEST(nothing_is_said_of_good_ones), TEST(facts_are_told), TEST(keys), TEST(chains), TEST(dates),
	  TEST(names), TEST(strength), TEST(permissions))
