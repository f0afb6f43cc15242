/* What stands behind `postern dkim ...`: requests in, JSON and messages out. */
#include "main/cli_dkim.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "dns/name_server.h"
#include "test.h"

struct bed {
	char dir[64], rsa[128], curve[128], config[128];
	struct buf out;
	struct errtext why;
};

static void bed_open(struct bed *b)
{
	*b = (struct bed){ .out = BUF_INIT(1 << 20) };
	snprintf(b->dir, sizeof b->dir, "/tmp/postern-XXXXXX");
	NEED(mkdtemp(b->dir));
	snprintf(b->rsa, sizeof b->rsa, "%s/a.example.r1.pem", b->dir);
	snprintf(b->curve, sizeof b->curve, "%s/a.example.e1.pem", b->dir);
	snprintf(b->config, sizeof b->config, "%s/postern.lua", b->dir);
}

static void bed_close(struct bed *b)
{
	unlink(b->rsa);
	unlink(b->curve);
	unlink(b->config);
	CHECK_INT(0, rmdir(b->dir)); /* nothing else was left there */
	buf_free(&b->out);
}

typedef int function(void *arg, struct span in, struct buf *out, struct errtext *why);

__attribute__((format(printf, 3, 4))) static int call(struct bed *b, function *f, const char *fmt, ...)
{
	char text[4000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_reset(&b->out);
	b->why.s[0] = '\0';
	return f(NULL, span_of(text), &b->out, &b->why);
}

static bool says(const struct bed *b, const char *text)
{
	return span_find(buf_span(&b->out), span_of(text)) >= 0;
}

/* The text of "record" in the output. */
static struct span record_of(const struct bed *b, char *copy, size_t size)
{
	const ptrdiff_t at = span_find(buf_span(&b->out), SPAN("\"record\":\""));

	NEED(at >= 0);
	struct span rest = span_skip(buf_span(&b->out), (size_t)at + 10);
	rest = span_cut(&rest, '"');
	NEED(rest.n < size);
	memcpy(copy, rest.p, rest.n);
	copy[rest.n] = '\0';
	return span_make(copy, rest.n);
}

static void keys_are_made(void)
{
	struct bed b;
	struct stat st;

	bed_open(&b);
	CHECK_INT(0, call(&b, cli_dkim_keygen, "domain a.example\nselector r1\ndir %s\n\n", b.dir));
	CHECK_STR("", b.why.s);
	CHECK(says(&b, "\"type\":\"rsa\",\"bits\":2048"));
	CHECK(says(&b, "\"name\":\"r1._domainkey.a.example\""));
	CHECK(says(&b, "\"record\":\"v=DKIM1; k=rsa; p=MII"));
	CHECK(says(&b, "\"zone\":\"r1._domainkey.a.example. IN TXT (\\\"v=DKIM1"));
	NEED(stat(b.rsa, &st) == 0);
	CHECK_INT(0600, st.st_mode & 0777);
	/* A key that is there stays. */
	CHECK_INT(-ERR_EXISTS, call(&b, cli_dkim_keygen, "domain a.example\nselector r1\ndir %s\n\n", b.dir));
	CHECK(strstr(b.why.s, "File exists") != NULL);
	CHECK_INT(0, call(&b, cli_dkim_keygen, "domain a.example\nselector e1\ntype ed25519\ndir %s\n\n",
			  b.dir));
	CHECK(says(&b, "v=DKIM1; k=ed25519; p="));
	bed_close(&b);
}

static void what_cannot_be_a_key_leaves_no_file(void)
{
	static const char *const bad[] = { "domain a..example\nselector r1\n",
					   "domain a.example\nselector two words\n",
					   "domain a.example\nselector ../x\n",
					   "domain a.example/../x\nselector x\n",
					   "selector r1\n",
					   "domain a.example\nselector r1\ntype dsa\n",
					   "domain a.example\nselector r1\nbits 1024\n",
					   "domain a.example\nselector r1\nbits many\n" };
	struct bed b;

	bed_open(&b);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK(call(&b, cli_dkim_keygen, "%sdir %s\n\n", bad[i], b.dir) < 0);
		CHECK(b.why.s[0] != '\0');
	}
	CHECK(call(&b, cli_dkim_keygen, "domain a.example\nselector r1\ndir %s/none\n\n", b.dir) < 0);
	bed_close(&b);
}

static void write_config(const struct bed *b, const char *rest)
{
	FILE *f = fopen(b->config, "w");

	NEED(f);
	fprintf(f,
		"hostname = \"relay.a.example\"\nlistener \"relay\" { bind = \"127.0.0.1:2525\","
		" policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } } }\n%s",
		rest);
	NEED(fclose(f) == 0);
}

static void keys_are_compared_with_the_dns(void)
{
	char record[1000], script[1500], rest[600];
	struct bed b;

	bed_open(&b);
	NEED(call(&b, cli_dkim_keygen, "domain a.example\nselector e1\ntype ed25519\ndir %s\n\n", b.dir) ==
	     0);
	record_of(&b, record, sizeof record);
	snprintf(script, sizeof script,
		 "e1._domainkey.a.example TXT %s\ndown._domainkey.a.example SERVFAIL\n", record);
	struct name_server *ns = name_server_start(script);
	CHECK_INT(0,
		  call(&b, cli_dkim_check, "domain a.example\nselector e1\nkey %s\nserver 127.0.0.1:%u\n\n",
		       b.curve, ns->endpoint.port));
	CHECK_STR("", b.why.s);
	CHECK(says(&b, "\"result\":\"good\""));
	CHECK(says(&b, "It is the public half of the private key."));
	CHECK_INT(0,
		  call(&b, cli_dkim_check, "domain a.example\nselector e2\nkey %s\nserver 127.0.0.1:%u\n\n",
		       b.curve, ns->endpoint.port));
	CHECK(says(&b, "\"result\":\"bad\""));
	CHECK(says(&b, "\"record\":\"v=DKIM1; k=ed25519; p="));
	CHECK_INT(0, call(&b, cli_dkim_check, "domain a.example\nselector down\nserver 127.0.0.1:%u\n\n",
			  ns->endpoint.port));
	CHECK(says(&b, "\"result\":\"unknown\""));
	snprintf(
		rest, sizeof rest,
		"dns = { servers = \"127.0.0.1:%u\" }\ndkim = { domain = \"a.example\", selector = \"e1\", key = \"%s\" }\n",
		ns->endpoint.port, b.curve);
	write_config(&b, rest);
	CHECK_INT(0, call(&b, cli_dkim_check, "config %s\n\n", b.config));
	CHECK_STR("", b.why.s);
	CHECK(says(&b, "\"result\":\"good\""));
	write_config(&b, "");
	CHECK_INT(-ERR_NOTFOUND, call(&b, cli_dkim_check, "config %s\n\n", b.config));
	CHECK_INT(-ERR_SYNTAX, call(&b, cli_dkim_check, "domain a.example\nselector e1\nserver nowhere\n\n"));
	name_server_stop(&ns);
	bed_close(&b);
}

static void messages_are_signed_and_verified(void)
{
	char record[1000], script[1500], rest[600];
	struct bed b;

	bed_open(&b);
	NEED(call(&b, cli_dkim_keygen, "domain a.example\nselector e1\ntype ed25519\ndir %s\n\n", b.dir) ==
	     0);
	record_of(&b, record, sizeof record);
	snprintf(script, sizeof script, "e1._domainkey.a.example TXT %s\n", record);
	struct name_server *ns = name_server_start(script);
	snprintf(
		rest, sizeof rest,
		"dns = { servers = \"127.0.0.1:%u\" }\ndkim = { domain = \"a.example\", selector = \"e1\", key = \"%s\" }\n",
		ns->endpoint.port, b.curve);
	write_config(&b, rest);
	CHECK_INT(0, call(&b, cli_dkim_sign, "config %s\n\nFrom: x@a.example\nSubject: y\n\nHello.\n",
			  b.config));
	CHECK_STR("", b.why.s);
	CHECK(span_ends(buf_span(&b.out), SPAN("\r\nFrom: x@a.example\r\nSubject: y\r\n\r\nHello.\r\n")));
	char *message = mem_strndup(b.out.p, b.out.n);
	CHECK_INT(0, call(&b, cli_dkim_verify, "config %s\n\n%s", b.config, message));
	CHECK(says(&b, "\"result\":\"pass\""));
	CHECK(says(&b, "relay.a.example; dkim=pass header.d=a.example header.s=e1"));
	CHECK_INT(0, call(&b, cli_dkim_verify, "config %s\n\n%sMore.\n", b.config, message));
	CHECK(says(&b, "\"reason\":\"the body is not what was signed\""));
	CHECK_INT(0, call(&b, cli_dkim_verify, "config %s\n\nFrom: x@a.example\n\n", b.config));
	CHECK(says(&b, "\"signatures\":[]"));
	CHECK_INT(-ERR_INVAL, call(&b, cli_dkim_sign, "config %s\n\nSubject: nobody\n\n", b.config));
	free(message);
	name_server_stop(&ns);
	bed_close(&b);
}

TEST_MAIN(TEST(keys_are_made), TEST(what_cannot_be_a_key_leaves_no_file),
	  TEST(keys_are_compared_with_the_dns), TEST(messages_are_signed_and_verified))
