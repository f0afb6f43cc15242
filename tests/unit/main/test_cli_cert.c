/* postern cert check, in this process: what it prints, and its status. */
#include "main/cli.h"

#include "base/buf.h"
#include "tls/tls_certs.h"

static struct cert root, middle, leaf;
static const char *ca, *chain, *key;

static void set_up(void)
{
	certs_init();
	root = cert_make((struct cert_spec){ .cn = "Root", .ca = true });
	middle = cert_make((struct cert_spec){ .cn = "Middle", .ca = true, .issuer = &root });
	leaf = cert_make((struct cert_spec){ .cn = "mx", .alt = "DNS:mx.example.org", .issuer = &middle });
	ca = CERTS_WRITE("ca.pem", CERT_OF(root));
	chain = CERTS_WRITE("chain.pem", CERT_OF(leaf), CERT_OF(middle));
	key = CERTS_WRITE("key.pem", KEY_OF(leaf));
	NEED(chmod(key, 0640) == 0);
}

static void tear_down(void)
{
	cert_free(&leaf);
	cert_free(&middle);
	cert_free(&root);
	certs_deinit();
}

/* `postern cert check @words`, NULL behind the last; standard output and error together in @out. */
static int check(struct buf *out, const char *const *words)
{
	char *argv[32] = { (char *)"postern", (char *)"cert", (char *)"check" };
	int argc = 3;
	FILE *f = tmpfile();
	char chunk[4096];
	size_t n;

	for (; words[argc - 3]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 3];
	NEED(f != NULL);
	fflush(NULL);
	const int kept_out = dup(1), kept_err = dup(2);
	NEED(dup2(fileno(f), 1) >= 0 && dup2(fileno(f), 2) >= 0);
	const int status = cli_main(argc, argv);
	fflush(NULL);
	NEED(dup2(kept_out, 1) >= 0 && dup2(kept_err, 2) >= 0);
	close(kept_out);
	close(kept_err);
	buf_reset(out);
	rewind(f);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(out, chunk, n);
	fclose(f);
	/* Long lines are broken, and a test looks for words: one space between them. */
	for (size_t i = 0; i < out->n; i++)
		out->p[i] = out->p[i] == '\n' ? ' ' : out->p[i];
	for (size_t i = 0; i + 1 < out->n;) {
		if (out->p[i] == ' ' && out->p[i + 1] == ' ')
			buf_remove(out, i, 1);
		else
			i++;
	}
	return status;
}

#define EXPECT(status, words, ...) expect((status), (words), (const char *const[]){ __VA_ARGS__, NULL })

static void expect(int status, const char *words, const char *const *argv)
{
	struct buf out = BUF_INIT(1 << 20);
	const int got = check(&out, argv);

	if (got != status || !strstr(buf_cstr(&out), words))
		FAIL("expected %d and \"%s\", got %d: %s", status, words, got, buf_cstr(&out));
	buf_free(&out);
}

static void good_ones(void)
{
	set_up();
	const char *both = CERTS_WRITE("both.pem", KEY_OF(leaf), CERT_OF(leaf), CERT_OF(middle));
	NEED(chmod(both, 0600) == 0);
	EXPECT(0, "good nothing was found", "--ca", ca, chain, key);
	EXPECT(0, "for mx.example.org issuer Middle and Middle, until", "--ca", ca, chain, key);
	EXPECT(0, "good nothing was found", "--ca", ca, both);
	EXPECT(0, "good nothing was found", "--ca", ca, "--name", "mx.example.org",
	       chain); /* its key is elsewhere */
	EXPECT(0, "\"problems\":0,\"pairs\":[{\"where\":\"\",\"cert\":", "--ca", ca, "--json", chain, key,
	       both);
	EXPECT(2, "what? --config FILE, or files", "--json");
	tear_down();
}

/* */
static void six_bad_ones(void)
{
	set_up();
	struct cert other = cert_make((struct cert_spec){ .cn = "other" }),
		    over = cert_make((struct cert_spec){ .cn = "over",
							 .alt = "DNS:mx.example.org",
							 .issuer = &root,
							 .from_s = -9L * CERT_DAY_S,
							 .to_s = -CERT_DAY_S });
	const char *locked = CERTS_WRITE("locked.pem", LOCKED_KEY_OF(leaf, "secret")),
		   *foreign = CERTS_WRITE("foreign.pem", KEY_OF(other)),
		   *expired = CERTS_WRITE("expired.pem", CERT_OF(over), KEY_OF(over)),
		   *alone = CERTS_WRITE("alone.pem", CERT_OF(leaf)),
		   *open = CERTS_WRITE("open.pem", KEY_OF(leaf));
	NEED(chmod(locked, 0600) == 0 && chmod(foreign, 0600) == 0 && chmod(expired, 0600) == 0 &&
	     chmod(open, 0644) == 0);
	EXPECT(1, "PROBLEM", "--ca", ca, chain, locked);
	EXPECT(1, "the private key is encrypted and nobody can be asked for its password", "--ca", ca, chain,
	       locked);
	EXPECT(1, "the key does not belong to the certificate", "--ca", ca, chain, foreign);
	EXPECT(1, "the certificate of its issuer, Middle, is missing", "--ca", ca, alone, key);
	EXPECT(1, "the certificate expired at", "--ca", ca, expired);
	EXPECT(1, "other.example.org is not among its names: mx.example.org", "--ca", ca, "--name",
	       "other.example.org", chain, key);
	EXPECT(1, "everybody on this machine may read the key", "--ca", ca, chain, open);
	EXPECT(1, "\"grade\":\"problem\",\"about\":\"permissions\"", "--ca", ca, "--json", chain, open);
	EXPECT(1, "No such file", certs_path("none.pem"));
	cert_free(&over);
	cert_free(&other);
	tear_down();
}

static void those_of_a_configuration(void)
{
	char text[2000];

	set_up();
	snprintf(text, sizeof text,
		 "hostname = \"mx.example.org\"\n"
		 "data_dir = \"%s\"\n"
		 "listener \"relay\" { bind = \"127.0.0.1:0\", policies = {} }\n"
		 "route \"*\" { tls = { level = \"encrypt\", cert = \"%s\", key = \"%s\" } }\n",
		 certs_dir, chain, key);
	const char *file = certs_write_text("relay.lua", text);
	EXPECT(0, "route \"*\": ", "--config", file, "--ca", ca);
	EXPECT(0, "good nothing was found", "--config", file, "--ca", ca);
	EXPECT(1, "hostnam is no option", "--config", certs_write_text("bad.lua", "hostnam = 1"));
	EXPECT(1, "the configuration names none", "--config",
	       certs_write_text(
		       "none.lua",
		       "hostname = \"mx.example.org\"\ndata_dir = \"/x\"\nlistener \"r\" { bind = \"127.0.0.1:0\" }\n"));
	tear_down();
}

TEST_MAIN(TEST(good_ones), TEST(six_bad_ones), TEST(those_of_a_configuration))
