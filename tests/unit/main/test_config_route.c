/* test_config_route.c - TLS of routes: levels, what follows when none is said, contexts that are shared, files that change. */
#include "config_bed.h"

#include <sys/stat.h>

#include "delivery/route.h"
#include "tls/tls_certs.h"

#define BASE                                                                                                 \
	"hostname = \"relay.example.org\"\ndns = { trust_ad = true }\n"                                      \
	"listener \"relay\" { bind = \"127.0.0.1:2525\", policies = { use \"relay_networks\" { networks = \"192.0.2.0/24\" } } }\n"

static const struct route *route_of(const struct config *cfg, const char *name)
{
	const struct route *r = route_by_name(&cfg->routes, span_of(name));

	NEED(r != NULL);
	return r;
}

static void levels(void)
{
	static const struct {
		const char *name, *option;
		enum route_tls_level level;
		bool implicit, context;
	} rows[] = {
		{ "a.example", "", ROUTE_TLS_MAY, false, true },
		{ "b.example", "tls = \"off\"", ROUTE_TLS_OFF, false, false },
		{ "c.example", "tls = \"encrypt\"", ROUTE_TLS_ENCRYPT, false, true },
		{ "d.example", "tls = { level = \"verify\", names = { \"x.example\", \".y.example\" } }",
		  ROUTE_TLS_VERIFY, false, true },
		{ "e.example", "tls = \"dane\"", ROUTE_TLS_DANE, false, true },
		{ "f.example", "tls = { implicit = true }", ROUTE_TLS_ENCRYPT, true, true },
		{ "g.example", "tls = { min = \"1.3\" }", ROUTE_TLS_MAY, false, true },
		{ "h.example", "tls = { min = \"1.0\", security_level = 0 }", ROUTE_TLS_MAY, false, true },
	};
	char text[4000] = BASE;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "route \"%s\" { %s }\n",
			 rows[i].name, rows[i].option);
	struct config_bed bed;

	bed_open(&bed);
	bed_need(&bed, text);
	const struct config *cfg = bed.cfg;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct route_tls *t = &route_of(cfg, rows[i].name)->tls;
		CHECK_STR(route_tls_name(rows[i].level), route_tls_name(t->level));
		CHECK_INT(rows[i].implicit, t->implicit);
		CHECK_INT(rows[i].context, t->context != NULL);
	}
	const struct route_tls *d = &route_of(cfg, "d.example")->tls;
	CHECK_INT(2, d->nnames);
	CHECK_SPAN("x.example", d->names[0]);
	CHECK_SPAN(".y.example", d->names[1]);
	/* Those that say the same about files and versions share what they connect with. */
	CHECK(route_of(cfg, "a.example")->tls.context == d->context);
	CHECK(route_of(cfg, "g.example")->tls.context != d->context);
	bed_close(&bed);
}

static unsigned told_changed, told_failed;

static void told(void *arg, struct span name, int result, const char *text)
{
	(void)arg;
	CHECK_SPAN("a.example", name);
	told_changed += result > 0;
	told_failed += result < 0;
	CHECK(result > 0 || text[0]);
}

static void files_that_change(void)
{
	struct cert ca, other;
	char text[1000];

	certs_init();
	ca = cert_make((struct cert_spec){ .cn = "CA", .ca = true });
	other = cert_make((struct cert_spec){ .cn = "Another", .ca = true });
	const char *path = CERTS_WRITE("ca.pem", CERT_OF(ca));
	snprintf(text, sizeof text,
		 BASE "route \"a.example\" { tls = { level = \"verify\", ca = \"%s\" } }\n", path);
	struct config_bed bed;

	bed_open(&bed);
	bed_need(&bed, text);
	const struct config *cfg = bed.cfg;
	told_changed = told_failed = 0;
	config_refresh_route_tls(cfg, told, NULL);
	CHECK_INT(0, told_changed + told_failed);
	CERTS_WRITE("ca.pem", CERT_OF(other));
	config_refresh_route_tls(cfg, told, NULL);
	CHECK_INT(1, told_changed);
	certs_write_text("ca.pem", "nothing of use\n");
	config_refresh_route_tls(cfg, told, NULL);
	CHECK_INT(1, told_changed);
	CHECK_INT(1, told_failed);
	bed_close(&bed);
	cert_free(&ca);
	cert_free(&other);
	certs_deinit();
}

/* A login wants a server that is verified, unless the operator says otherwise. */
static void logins(void)
{
	setenv("POSTERN_SECRET_UP", "x", 1);
	struct config_bed bed;

	bed_open(&bed);
	bed_need(&bed,
		 BASE "route \"a.example\" { auth = { user = \"u\", password = secret \"up\" } }\n"
		      "route \"b.example\" { tls = \"may\", auth_unverified = true,\n"
		      "  auth_by_sender = { [\"B.example\"] = { user = \"u\", password = secret \"up\" },\n"
		      "    [\"a.example\"] = { user = \"v\", password = secret \"up\" } } }\n");
	const struct config *cfg = bed.cfg;
	const struct route *a = route_of(cfg, "a.example"), *b = route_of(cfg, "b.example");

	CHECK_STR("verify", route_tls_name(a->tls.level));
	CHECK(a->auth && !a->auth_unverified);
	CHECK_STR("may", route_tls_name(b->tls.level));
	CHECK(!b->auth && b->auth_unverified);
	CHECK_INT(2, b->nby_sender);
	CHECK(route_login_find(b, SPAN("x@b.example")) == &b->by_sender[1]);
	CHECK(route_login_find(b, SPAN("x@A.example")) == &b->by_sender[0]);
	CHECK(route_login_find(b, SPAN("x@c.example")) == NULL);
	CHECK(route_login_find(b, SPAN("")) == NULL);
	bed_close(&bed);
}

TEST_MAIN(TEST(levels), TEST(files_that_change), TEST(logins))
