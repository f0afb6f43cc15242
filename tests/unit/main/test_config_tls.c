/* TLS and authentication of listeners in the configuration: what it becomes, and how mistakes in files are told. */
#include "auth/auth_exchange.h"
#include "config_bed.h"
#include "smtp/smtp_ehlo.h"
#include "tls/tls_certs.h"

#define SECOND     INT64_C(1000000)
#define HEAD       "hostname = \"relay.example.org\"\n"
#define MECH(name) (1u << AUTH_MECH_##name)

struct tls_rig {
	struct config_bed bed;
	struct cert ca, relay, other;
	char text[4096];
};

/* %s in texts are the directory of the certificates. */
static void rig_open(struct tls_rig *r)
{
	*r = (struct tls_rig){ 0 };
	bed_open(&r->bed);
	certs_init();
	r->ca = cert_make((struct cert_spec){ .cn = "test CA", .ca = true });
	r->relay = cert_make(
		(struct cert_spec){ .cn = "relay", .alt = "DNS:relay.example.org", .issuer = &r->ca });
	r->other = cert_make((struct cert_spec){ .cn = "other", .alt = "DNS:other.example.org" });
	CERTS_WRITE("ca.pem", CERT_OF(r->ca));
	CERTS_WRITE("relay.pem", CERT_OF(r->relay));
	CERTS_WRITE("relay.key", KEY_OF(r->relay));
	CERTS_WRITE("both.pem", CERT_OF(r->other), KEY_OF(r->other));
	CERTS_WRITE("locked.key", LOCKED_KEY_OF(r->relay, "secret"));
	certs_write_text("nothing.pem", "no certificate\n");
	certs_write_text("users", "");
	for (unsigned i = 0; i < 4; i++)
		NEED(chmod(certs_path((const char *const[]){ "relay.key", "both.pem", "users",
							     "locked.key" }[i]),
			   0600) == 0);
}

static void rig_close(struct tls_rig *r)
{
	bed_close(&r->bed);
	cert_free(&r->ca);
	cert_free(&r->relay);
	cert_free(&r->other);
	certs_deinit();
}

static const char *with_dir(struct tls_rig *r, const char *text)
{
	size_t n = 0;

	for (; *text && n + 100 < sizeof r->text; text++) {
		if (*text == '@')
			n += (size_t)snprintf(r->text + n, sizeof r->text - n, "%s", certs_dir);
		else
			r->text[n++] = *text;
	}
	r->text[n] = 0;
	return r->text;
}

static const struct session_listener *listener(const struct tls_rig *r, const char *name)
{
	const struct config_listener *l = config_listener_by_name(r->bed.cfg, span_of(name));

	NEED(l != NULL);
	return &l->session;
}

static void modes_and_what_they_inherit(void)
{
	struct tls_rig r;

	rig_open(&r);
	bed_need(
		&r.bed,
		with_dir(
			&r, HEAD
			"tls = { cert = \"@/relay.pem\", key = \"@/relay.key\", session_lifetime = \"10m\" }\n"
			"listener \"a\" { bind = \"127.0.0.1:1\", policies = {} }\n"
			"listener \"b\" { bind = \"127.0.0.1:2\", policies = {}, tls = \"off\" }\n"
			"listener \"c\" { bind = \"127.0.0.1:3\", policies = {}, tls = \"required\" }\n"
			"listener \"d\" { bind = \"127.0.0.1:4\", policies = {}, timeouts = { tls = \"9s\" },\n"
			"  tls = { mode = \"implicit\", cert = \"@/both.pem\", client_cert = \"ask\", client_ca = \"@/ca.pem\" } }\n"
			"listener \"e\" { bind = \"127.0.0.1:5\", policies = {},\n"
			"  tls = { mode = \"required\", from = \"2010-07-20T15:00:00Z\", sniff = \"serve\" } }\n"
			"listener \"f\" { bind = \"127.0.0.1:6\", policies = {}, tls = { mode = \"off\", sniff = \"serve\" } }\n"
			"listener \"g\" { bind = \"127.0.0.1:7\", policies = {}, hide = \"STARTTLS\",\n"
			"  tls = { certs = { { cert = \"@/relay.pem\", key = \"@/relay.key\" }, \"@/both.pem\" } } }\n"));
	const struct session_tls_config *a = &listener(&r, "a")->tls, *c = &listener(&r, "c")->tls,
					*d = &listener(&r, "d")->tls, *e = &listener(&r, "e")->tls;
	CHECK_INT(SESSION_TLS_OPTIONAL, a->mode);
	CHECK(a->server && a->server == c->server &&
	      a->server == e->server); /* one context for all who say the same */
	CHECK(d->server && d->server != a->server);
	CHECK_INT(30 * SECOND, a->handshake_timeout_us);
	CHECK_INT(SESSION_TLS_OFF, listener(&r, "b")->tls.mode);
	CHECK(!listener(&r, "b")->tls.server);
	CHECK_INT(SESSION_TLS_REQUIRED, c->mode);
	CHECK_INT(0, c->required_from_wall_us);
	CHECK_INT(SESSION_TLS_IMPLICIT, d->mode);
	CHECK(d->asks_cert && !a->asks_cert);
	CHECK_INT(9 * SECOND, d->handshake_timeout_us);
	CHECK_INT(INT64_C(1279638000) * SECOND, e->required_from_wall_us);
	CHECK(e->serve_hello && !c->serve_hello);
	CHECK(listener(&r, "f")->tls.server && listener(&r, "f")->tls.serve_hello);
	CHECK(listener(&r, "a")->ext & SMTP_EXT_STARTTLS);
	CHECK(!(listener(&r, "b")->ext & SMTP_EXT_STARTTLS));
	CHECK(!(listener(&r, "d")->ext & SMTP_EXT_STARTTLS));
	CHECK(!(listener(&r, "g")->ext & SMTP_EXT_STARTTLS));
	CHECK(listener(&r, "g")->tls.server != a->server);
	CHECK(config_has_secrets(r.bed.cfg));
	bed_need(&r.bed, HEAD "listener \"a\" { bind = \"127.0.0.1:1\", policies = {} }\n");
	CHECK_INT(SESSION_TLS_OFF, listener(&r, "a")->tls.mode);
	rig_close(&r);
}

static void authentication(void)
{
	struct ip_addr near, far;
	struct tls_rig r;

	rig_open(&r);
	bed_need(
		&r.bed,
		with_dir(
			&r, HEAD
			"tls = { cert = \"@/relay.pem\", key = \"@/relay.key\" }\n"
			"users = { file = \"@/users\" }\n"
			"listener \"a\" { bind = \"127.0.0.1:1\", policies = {}, auth = \"users\",\n"
			"  auth_clear_from = \"192.0.2.0/24\", auth_required = true, auth_old_clients = true,\n"
			"  auth_failures = { per_connection = 5, delay = \"2s\", per_address = 7, ban = \"1h\" } }\n"
			"listener \"b\" { bind = \"127.0.0.1:2\", policies = {}, auth = { \"users\" },\n"
			"  auth_mechanisms = { \"PLAIN\", \"LOGIN\" }, auth_timeout = \"7s\" }\n"
			"listener \"c\" { bind = \"127.0.0.1:3\", policies = {} }\n"));
	const struct session_auth_config *a = &listener(&r, "a")->auth, *b = &listener(&r, "b")->auth;
	NEED(a->server && b->server);
	CHECK(a->server->nbackends == 1 && a->server->backend[0] == b->server->backend[0]);
	CHECK_INT(MECH(PLAIN) | MECH(LOGIN), b->server->mechs);
	CHECK(a->server->mechs & MECH(SCRAM_SHA_256));
	CHECK(!(a->server->mechs & MECH(EXTERNAL))); /* is to be named */
	CHECK_INT(a->server->mechs, a->server->clear_mechs);
	CHECK_INT(0, b->server->clear_mechs);
	CHECK(a->required && !b->required && a->old_clients && !b->old_clients);
	CHECK_INT(5, a->failures_max);
	CHECK_INT(2 * SECOND, a->failure_delay_us);
	CHECK_INT(7, a->bans.failures_max);
	CHECK_INT(3600 * SECOND, a->bans.ban_us);
	CHECK_INT(3, b->failures_max);
	CHECK_INT(7 * SECOND, b->timeout_us);
	NEED(ip_parse(SPAN("192.0.2.9"), &near) && ip_parse(SPAN("198.51.100.9"), &far));
	CHECK(a->clear_from && ip_set_contains(a->clear_from, &near) &&
	      !ip_set_contains(a->clear_from, &far));
	CHECK(listener(&r, "a")->ext & SMTP_EXT_AUTH);
	CHECK(!listener(&r, "c")->auth.server && !(listener(&r, "c")->ext & SMTP_EXT_AUTH));
	rig_close(&r);
}

#define L "listener \"l\" { bind = \"127.0.0.1:25\", policies = {},\n "

static const struct {
	const char *text;
	unsigned line;
	const char *says;
} mistakes[] = {
	{ HEAD "tls = {\n cert = \"@/missing.pem\",\n key = \"@/relay.key\" }\n" L "}\n", 3, "missing.pem" },
	{ HEAD "tls = {\n cert = \"@/nothing.pem\" }\n" L "}\n", 3, "nothing.pem" },
	{ HEAD "tls = { cert = \"@/relay.pem\" }\n" L "}\n", 2, "relay.pem" },
	{ HEAD "tls = { cert = \"@/relay.pem\", key = \"@/locked.key\" }\n" L "}\n", 2, "locked.key" },
	{ HEAD "tls = { cert = \"@/relay.pem\", key = \"@/both.pem\" }\n" L "}\n", 2, "both.pem" },
	{ HEAD L "tls = { mode = \"implicit\",\n cert = \"@/missing.pem\" } }\n", 4, "missing.pem" },
	{ HEAD "tls = { key = \"@/relay.key\" }\n" L "}\n", 2, "there is no cert beside it" },
	{ HEAD "tls = { min = \"1.2\" }\n" L "tls = \"off\" }\n", 2, "tls.cert is missing" },
	{ HEAD "tls = { cert = \"@/both.pem\", certs = \"@/both.pem\" }\n" L "}\n", 2, "write one of them" },
	{ HEAD "tls = { cert = \"@/both.pem\", min = \"1.4\" }\n" L "}\n", 2, "tls.min: \"1.4\" is none of" },
	{ HEAD "tls = { cert = \"@/both.pem\", min = \"1.0\" }\n" L
	       "clients = { networks = \"192.0.2.1\" } }\n",
	  2, "ecurity level" },
	{ HEAD "tls = { cert = \"@/both.pem\", ciphers = \"NONESUCH\" }\n" L "}\n", 2, "NONESUCH" },
	{ HEAD "tls = \"required\"\n" L "}\n", 2, "is no table" },
	{ HEAD L "tls = \"required\" }\n", 3, "there is no certificate" },
	{ HEAD L "tls = \"requiered\" }\n", 3, "did you mean required" },
	{ HEAD "tls = { cert = \"@/both.pem\" }\n" L "tls = { from = \"2026-01-01\" } }\n", 4,
	  "is for mode = \"required\"" },
	{ HEAD "tls = { cert = \"@/both.pem\" }\n" L "tls = { mode = \"required\", from = \"soon\" } }\n", 4,
	  "is no time" },
	{ HEAD "tls = { cert = \"@/both.pem\" }\n" L "tls = { client_cert = \"ask\" } }\n", 4,
	  "client_ca is missing" },
	{ HEAD "tls = { cert = \"@/both.pem\" }\n" L "auth = { \"kerberos\" } }\n", 4,
	  "wants kerberos = { ... }" },
	{ HEAD "tls = { cert = \"@/both.pem\" }\n" L "auth = { \"sasldb\" } }\n", 4,
	  "wants sasldb = { ... }" },
	{ HEAD "tls = { cert = \"@/both.pem\" }\n" L "auth = { \"pam\" } }\n", 4, "\"pam\" is none of" },
	{ HEAD "tls = { cert = \"@/both.pem\" }\n" L "auth = { \"external\" } }\n", 4,
	  "wants tls.client_cert" },
	{ HEAD "users = { file = \"@/users\" }\n" L "auth = { \"users\" } }\n", 4,
	  "nobody could, without TLS" },
	{ HEAD "users = {\n file = \"@/none\" }\ntls = { cert = \"@/both.pem\" }\n" L
	       "auth = { \"users\" } }\n",
	  2, "@/none" },
	{ HEAD L "auth_required = true }\n", 3, "nobody could send" },
	{ HEAD "tls = { cert = \"@/both.pem\" }\nkerberos = { keytab = \"@/none.keytab\" }\n" L
	       "auth = { \"kerberos\" } }\n",
	  3, "kerberos: " },
};

static void each_mistake_is_found_at_its_line(void)
{
	struct tls_rig r;

	rig_open(&r);
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		char says[200];
		CHECK_INT(-ERR_INVAL, bed_load(&r.bed, with_dir(&r, mistakes[i].text)));
		const struct config_problem *p = r.bed.problems.n ? &r.bed.problems.v[0] : NULL;
		snprintf(says, sizeof says, "%s",
			 strchr(mistakes[i].says, '@') ? strrchr(mistakes[i].says, '/') : mistakes[i].says);
		if (!p || p->line != mistakes[i].line || span_find(p->text, span_of(says)) < 0 ||
		    r.bed.problems.errors != 1) {
			FAIL("mistake %zu: expected \"%s\" in line %u, of\n%sfound", i, says,
			     mistakes[i].line, mistakes[i].text);
			bed_print(&r.bed);
		}
	}
	rig_close(&r);
}

static bool warned(const struct tls_rig *r, const char *text)
{
	for (size_t i = 0; i < r->bed.problems.n; i++)
		if (r->bed.problems.v[i].warning && span_find(r->bed.problems.v[i].text, span_of(text)) >= 0)
			return true;
	return false;
}

static void what_is_odd_is_warned_of(void)
{
	struct tls_rig r;

	rig_open(&r);
	NEED(chmod(certs_path("relay.key"), 0644) == 0);
	CHECK_INT(0, bed_load(&r.bed,
			      with_dir(&r, HEAD "tls = { cert = \"@/relay.pem\", key = \"@/relay.key\" }\n" L
						"}\n")));
	CHECK(warned(&r, "can be read by everybody"));
	CHECK_INT(
		0,
		bed_load(&r.bed,
			 with_dir(&r, HEAD L
				  "tls = { cert = \"@/both.pem\", min = \"1.0\", security_level = 0 } }\n")));
	CHECK(warned(&r, "TLS 1.0 for everybody"));
	CHECK_INT(0, bed_load(&r.bed, with_dir(&r, HEAD
					       "users = { file = \"@/users\" }\n" L
					       "auth = \"users\", auth_clear_from = \"192.0.2.1\",\n"
					       " tls = { mode = \"required\", cert = \"@/both.pem\" } }\n")));
	CHECK(warned(&r, "nobody gets as far as AUTH in clear"));
	rig_close(&r);
}

/* Promise 2: a listener that demands a login may relay for all networks; one that says so and has no way to log in may not. */
static void a_login_closes_a_relay(void)
{
	struct tls_rig r;

	rig_open(&r);
	bed_need(
		&r.bed,
		with_dir(&r, HEAD
			 "users = { file = \"@/users\" }\ntls = { cert = \"@/both.pem\" }\n"
			 "listener \"l\" { bind = \"127.0.0.1:25\", auth = \"users\", auth_required = true,\n"
			 " policies = { use \"relay_networks\" { networks = \"0.0.0.0/0\" } } }\n"));
	CHECK_INT(
		-ERR_INVAL,
		bed_load(
			&r.bed,
			with_dir(&r, HEAD
				 "users = { file = \"@/users\" }\ntls = { cert = \"@/both.pem\" }\n"
				 "listener \"l\" { bind = \"127.0.0.1:25\", auth = \"users\",\n"
				 " policies = { use \"relay_networks\" { networks = \"0.0.0.0/0\" } } }\n")));
	CHECK(r.bed.problems.n && span_find(r.bed.problems.v[0].text, SPAN("an open relay")) >= 0);
	rig_close(&r);
}

static unsigned told;

static void on_told(void *arg, const struct config_kept *k, int result, const struct errtext *e)
{
	(void)e;
	CHECK_INT(CONFIG_KEPT_TLS, k->kind);
	told++;
	*(int *)arg = result;
}

static void replaced_files_are_read_again(void)
{
	struct tls_rig r;
	int result = 0;

	rig_open(&r);
	told = 0;
	bed_need(&r.bed,
		 with_dir(&r, HEAD "tls = { cert = \"@/relay.pem\", key = \"@/relay.key\" }\n" L "}\n"));
	config_refresh(r.bed.cfg, on_told, &result);
	CHECK_INT(0, told);
	CERTS_WRITE("relay.pem", CERT_OF(r.other));
	CERTS_WRITE("relay.key", KEY_OF(r.other));
	config_refresh(r.bed.cfg, on_told, &result);
	CHECK_INT(1, told);
	CHECK_INT(1, result);
	certs_write_text("relay.pem", "gone\n");
	config_refresh(r.bed.cfg, on_told, &result);
	config_refresh(r.bed.cfg, on_told, &result);
	CHECK_INT(2, told); /* once for each state that it is in */
	CHECK(result < 0);
	rig_close(&r);
}

TEST_MAIN(TEST(modes_and_what_they_inherit), TEST(authentication), TEST(each_mistake_is_found_at_its_line),
	  TEST(what_is_odd_is_warned_of), TEST(a_login_closes_a_relay), TEST(replaced_files_are_read_again))
