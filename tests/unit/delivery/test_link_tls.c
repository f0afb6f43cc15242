/* test_link_tls.c - levels of TLS: what is sent to servers without it, with a wrong certificate, with TLSA records; and what is
 * never sent in the clear. */
#include "delivery_bed.h"
#include "tls/tls_certs.h"

static struct cert ca, other_ca, good, wrong_name, self_signed;

#define EHLO_TLS "250-mx.example\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"

static const char *server_file(const struct cert *c)
{
	return certs_write("server.pem", (const struct cert_part[]){ { c, false, NULL }, { c, true, NULL } },
			   2);
}

/* The bed's server with this certificate, and its route with this level; the route trusts `ca`. */
static struct tls_client *secure(struct bed *b, const struct cert *c, enum route_tls_level level)
{
	const struct tls_cert cert = { .cert = span_of(server_file(c)) };
	const struct tls_server_config sc = { .certs = &cert, .ncerts = 1, .security_level = -1 };
	const struct tls_client_config cc = {
		.security_level = -1,
		.ca_file =
			span_of(certs_write("ca.pem", (const struct cert_part[]){ { &ca, false, NULL } }, 1))
	};
	struct tls_client *tc = NULL;
	struct errtext e;

	NEED(tls_server_new(&sc, &b->sv.tls, &e) == 0);
	NEED(tls_client_new(&cc, &tc, &e) == 0);
	b->sv.ehlo = EHLO_TLS;
	b->sv.tls_ehlo = "250-mx.example\r\n250-AUTH PLAIN\r\n250 PIPELINING\r\n";
	bed_route->tls = (struct route_tls){ .level = level, .context = tc };
	return tc;
}

/* Mail for example.org goes to live.example.org, which is the bed's server. */
static void to_domain(struct bed *b)
{
	free((void *)(uintptr_t)b->dest.next_hop.p);
	b->dest.next_hop = span_of(mem_strdup("example.org"));
}

static bool seen(const struct buf *b, const char *what)
{
	return span_find(buf_span(b), span_of(what)) >= 0;
}

/* Not a word of the mail came in the clear. */
static void nothing_in_clear(struct bed *b)
{
	CHECK(!seen(&b->sv.clear, "MAIL"));
	CHECK(!seen(&b->sv.clear, "RCPT"));
	CHECK(!seen(&b->sv.clear, "DATA"));
	CHECK(!seen(&b->sv.clear, "AUTH"));
	CHECK(!seen(&b->sv.clear, "example.edu\nMAIL"));
}

struct row {
	enum route_tls_level level;
	const struct cert *cert; /* NULL: the server offers no TLS */
	const char *starttls;
	enum queue_status status;
	const char *enhanced, *level_logged;
	bool clear;
};

static void test_levels(void)
{
	static const struct row rows[] = {
		{ ROUTE_TLS_OFF, &good, NULL, QUEUE_DELIVERED, "2.0.0", "\"off\"", true },
		{ ROUTE_TLS_MAY, &good, NULL, QUEUE_DELIVERED, "2.0.0", "\"may\"", false },
		{ ROUTE_TLS_MAY, &self_signed, NULL, QUEUE_DELIVERED, "2.0.0", "\"may\"", false },
		{ ROUTE_TLS_MAY, NULL, NULL, QUEUE_DELIVERED, "2.0.0", "\"may\"", true },
		{ ROUTE_TLS_MAY, &good, "454 4.7.0 not now\r\n", QUEUE_DELIVERED, "2.0.0", "\"may\"", true },
		{ ROUTE_TLS_ENCRYPT, &good, NULL, QUEUE_DELIVERED, "2.0.0", "\"encrypt\"", false },
		{ ROUTE_TLS_ENCRYPT, &self_signed, NULL, QUEUE_DELIVERED, "2.0.0", "\"encrypt\"", false },
		{ ROUTE_TLS_ENCRYPT, NULL, NULL, QUEUE_DEFERRED, "4.7.4", NULL, false },
		{ ROUTE_TLS_ENCRYPT, &good, "454 4.7.0 not now\r\n", QUEUE_DEFERRED, "4.7.4", NULL, false },
		{ ROUTE_TLS_ENCRYPT, &good, "", QUEUE_DEFERRED, "4.7.5", NULL, false },
		{ ROUTE_TLS_VERIFY, &good, NULL, QUEUE_DELIVERED, "2.0.0", "\"verify\"", false },
		{ ROUTE_TLS_VERIFY, &wrong_name, NULL, QUEUE_DEFERRED, "4.7.5", NULL, false },
		{ ROUTE_TLS_VERIFY, &self_signed, NULL, QUEUE_DEFERRED, "4.7.5", NULL, false },
		{ ROUTE_TLS_VERIFY, NULL, NULL, QUEUE_DEFERRED, "4.7.4", NULL, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct bed b;
		bed_start(&b);
		to_domain(&b);
		struct tls_client *tc = secure(&b, r->cert ? r->cert : &good, r->level);
		if (!r->cert)
			b.sv.ehlo = "250-mx.example\r\n250 PIPELINING\r\n";
		if (r->starttls)
			b.sv.starttls = r->starttls[0] ? r->starttls : NULL; /* NULL: hangs up */
		bed_mail(&b, 1);
		bed_until(&b, 1);
		if (b.told[0].status != r->status || strcmp(b.told[0].enhanced, r->enhanced) != 0)
			printf("  row %zu: %s %s\n", i, b.told[0].enhanced, b.told[0].text);
		CHECK_INT(r->status, b.told[0].status);
		CHECK_STR(r->enhanced, b.told[0].enhanced);
		log_flush(&b.log);
		if (!r->clear)
			nothing_in_clear(&b);
		if (r->level_logged) {
			CHECK(seen(&b.lines, "\"event\":\"attempt_finished\""));
			CHECK(seen(&b.lines, "\"tls_level\":"));
			CHECK(seen(&b.lines, r->level_logged));
			CHECK_INT(!r->clear, seen(&b.lines, "\"tls\":\"TLSv1.3\""));
		} else {
			CHECK(seen(&b.lines, "\"reason\":\"tls_required\""));
			CHECK(strstr(b.told[0].text, "TLS is required") != NULL);
			CHECK_INT(1, b.dest_failed);
			CHECK_STR(r->enhanced, b.failed.enhanced);
		}
		CHECK_INT(r->level == ROUTE_TLS_OFF, seen(&b.lines, "starttls_unused"));
		bed_end(&b);
		tls_client_unref(&tc);
	}
}

/* The names of a route count instead of those of the host. */
static void test_names_of_the_route(void)
{
	static const struct span names[] = { SPAN_INIT("elsewhere.example"),
					     SPAN_INIT("mx.partner.example") };

	for (int i = 0; i < 2; i++) {
		struct bed b;
		bed_start(&b);
		to_domain(&b);
		struct tls_client *tc = secure(&b, i ? &wrong_name : &good, ROUTE_TLS_VERIFY);
		bed_route->tls.names = names;
		bed_route->tls.nnames = 2;
		bed_mail(&b, 1);
		bed_until(&b, 1);
		CHECK_INT(i ? QUEUE_DELIVERED : QUEUE_DEFERRED, b.told[0].status);
		bed_end(&b);
		tls_client_unref(&tc);
	}
}

/* A handshake that fails: in the clear on a new connection where that is permitted, and at once the next time. */
static void test_fall_back(void)
{
	struct bed b;

	bed_start(&b);
	struct tls_client *tc = secure(&b, &good, ROUTE_TLS_MAY);
	b.sv.breaks_handshake = true;
	bed_route->idle_timeout_us = 0;
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
	CHECK_INT(2, b.sv.nconns);
	log_flush(&b.log);
	CHECK(seen(&b.lines, "tls_fell_back"));
	bed_spin(&b, 50);
	bed_mail(&b, 1);
	bed_until(&b, 2);
	CHECK_INT(QUEUE_DELIVERED, b.told[1].status);
	CHECK_INT(3, b.sv.nconns); /* not tried again for now */
	bed_spin(&b, 50);
	b.sv.breaks_handshake = false;
	loop_clock_advance(b.loop, 16 * 60 * SECOND);
	bed_mail(&b, 1);
	bed_until(&b, 3);
	CHECK_INT(1, b.sv.handshakes);
	bed_end(&b);
	tls_client_unref(&tc);
}

/* Replies behind the 220: whoever wrote them, nothing of it is believed, at no level. */
static void test_injected(void)
{
	static const enum route_tls_level levels[] = { ROUTE_TLS_MAY, ROUTE_TLS_ENCRYPT, ROUTE_TLS_VERIFY };
	static const char *const injected[] = {
		"220 go\r\n250-mx.example\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n",
		"220 go\r\n2",
	};

	for (size_t i = 0; i < ARRAY_LEN(levels) * ARRAY_LEN(injected); i++) {
		struct bed b;
		bed_start(&b);
		struct tls_client *tc = secure(&b, &good, levels[i % ARRAY_LEN(levels)]);
		b.sv.starttls = injected[i / ARRAY_LEN(levels)];
		bed_mail(&b, 1);
		bed_until(&b, 1);
		CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
		CHECK(strstr(b.told[0].text, "before the handshake") != NULL);
		CHECK_STR("4.7.5", b.told[0].enhanced);
		CHECK_INT(0, b.sv.messages);
		nothing_in_clear(&b);
		bed_end(&b);
		tls_client_unref(&tc);
	}
}

/* TLS that comes late delivers what was held; one host without it does not hide behind another that is down. */
static void test_held_then_delivered(void)
{
	struct bed b;

	bed_start(&b);
	to_domain(&b);
	struct tls_client *tc = secure(&b, &good, ROUTE_TLS_VERIFY);
	b.sv.ehlo = "250 mx.example\r\n";
	struct queue_job *j = bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	b.sv.ehlo = EHLO_TLS;
	j->ready = true;
	bed_until(&b, 2);
	CHECK_INT(QUEUE_DELIVERED, b.told[1].status);
	nothing_in_clear(&b);
	bed_end(&b);
	tls_client_unref(&tc);
}

static void test_implicit(void)
{
	struct bed b;

	for (int i = 0; i < 2; i++) {
		bed_start(&b);
		struct tls_client *tc = secure(&b, i ? &good : &self_signed, ROUTE_TLS_ENCRYPT);
		bed_route->tls.implicit = true;
		b.sv.implicit = true;
		bed_mail(&b, 1);
		bed_until(&b, 1);
		CHECK_INT(QUEUE_DELIVERED, b.told[0].status);
		CHECK(!seen(&b.sv.said, "STARTTLS"));
		CHECK_INT(0, b.sv.clear.n);
		bed_end(&b);
		tls_client_unref(&tc);
	}
	bed_start(&b); /* a server that speaks SMTP where TLS is expected */
	struct tls_client *tc = secure(&b, &good, ROUTE_TLS_ENCRYPT);
	bed_route->tls.implicit = true;
	bed_mail(&b, 1);
	bed_until(&b, 1);
	CHECK_INT(QUEUE_DEFERRED, b.told[0].status);
	CHECK_STR("4.7.5", b.told[0].enhanced);
	bed_end(&b);
	tls_client_unref(&tc);
}

/* ---- DANE --------------------------------------------------------------------------------------------------------- */

static char tlsa[200];        /* the record of the server */
static const char *tlsa_name; /* NULL: there is none */
static bool is_signed, tlsa_fails;

static void dane_hosts(struct dns_hosts *hosts)
{
	struct errtext e;

	dns_hosts_add(hosts, SPAN("secure.example"), DNS_MX, SPAN("10 mx.secure.example"), &e);
	dns_hosts_add(hosts, SPAN("mx.secure.example"), DNS_A, SPAN("127.0.0.1"), &e);
	if (tlsa_name && tlsa_fails)
		dns_hosts_add_result(hosts, span_of(tlsa_name), DNS_TLSA, DNS_TEMPFAIL, &e);
	else if (tlsa_name)
		CHECK_INT(0, dns_hosts_add(hosts, span_of(tlsa_name), DNS_TLSA, span_of(tlsa), &e));
	if (is_signed)
		dns_hosts_authenticate(hosts);
}

static void tlsa_of(const struct cert *c, const char *fields)
{
	unsigned char hash[32];
	unsigned n = 0;
	size_t at = (size_t)snprintf(tlsa, sizeof tlsa, "%s ", fields);

	NEED(X509_pubkey_digest(c->x, EVP_sha1(), hash, &n) == 1); /* only to see that it has a key */
	unsigned char *der = NULL;
	const int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->x), &der);
	NEED(len > 0 && EVP_Digest(der, (size_t)len, hash, &n, EVP_sha256(), NULL) == 1);
	OPENSSL_free(der);
	for (unsigned i = 0; i < 32; i++)
		at += (size_t)snprintf(tlsa + at, sizeof tlsa - at, "%02x", hash[i]);
}

static void test_dane(void)
{
	static const struct {
		const char *what;
		bool is_signed, has_record, fails, server_has_tls;
		const struct cert *record_of, *server;
		const char *fields;
		enum queue_status status;
		const char *enhanced, *level, *variant;
	} rows[] = {
		{ "right", true, true, false, true, &self_signed, &self_signed, "3 1 1", QUEUE_DELIVERED,
		  "2.0.0", "\"dane\"", NULL },
		{ "wrong key", true, true, false, true, &good, &self_signed, "3 1 1", QUEUE_DEFERRED, "4.7.5",
		  NULL, NULL },
		{ "no TLS", true, true, false, false, &good, &good, "3 1 1", QUEUE_DEFERRED, "4.7.4", NULL,
		  NULL },
		{ "wrong key, TLS-Required: No", true, true, false, true, &good, &self_signed, "3 1 1",
		  QUEUE_DELIVERED, "2.0.0", "\"may\"", "may" },
		{ "no TLS, TLS-Required: No", true, true, false, false, &good, &good, "3 1 1",
		  QUEUE_DELIVERED, "2.0.0", "\"may\"", "may" },
		{ "unusable", true, true, false, true, &good, &self_signed, "0 0 1", QUEUE_DELIVERED, "2.0.0",
		  "\"encrypt\"", NULL },
		{ "unusable, no TLS", true, true, false, false, &good, &good, "1 1 1", QUEUE_DEFERRED,
		  "4.7.4", NULL, NULL },
		{ "servfail", true, true, true, true, &good, &good, "3 1 1", QUEUE_DEFERRED, "4.7.5", NULL,
		  NULL },
		{ "none", true, false, false, true, &good, &self_signed, "3 1 1", QUEUE_DELIVERED, "2.0.0",
		  "\"may\"", NULL },
		{ "none, no TLS", true, false, false, false, &good, &good, "3 1 1", QUEUE_DELIVERED, "2.0.0",
		  "\"may\"", NULL },
		{ "unsigned", false, true, false, true, &good, &self_signed, "3 1 1", QUEUE_DELIVERED,
		  "2.0.0", "\"may\"", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed b;
		char name[64];
		/* Its port is known only when the server listens, and the DNS is asked for by then: a first bed finds a port. */
		bed_more_hosts = NULL;
		bed_start(&b);
		const uint16_t port = b.sv.at.port;
		bed_end(&b);
		snprintf(name, sizeof name, "_%u._tcp.mx.secure.example", port);
		tlsa_name = rows[i].has_record ? name : NULL;
		is_signed = rows[i].is_signed;
		tlsa_fails = rows[i].fails;
		tlsa_of(rows[i].record_of, rows[i].fields);
		bed_more_hosts = dane_hosts;
		bed_port = port;
		bed_start(&b);
		bed_more_hosts = NULL;
		bed_port = 0;
		struct tls_client *tc = secure(&b, rows[i].server, ROUTE_TLS_DANE);
		if (!rows[i].server_has_tls)
			b.sv.ehlo = "250 mx.example\r\n";
		free((void *)(uintptr_t)b.dest.next_hop.p);
		b.dest.next_hop = span_of(mem_strdup("secure.example"));
		b.dest.variant = span_of(rows[i].variant);
		bed_mail(&b, 1);
		bed_until(&b, 1);
		if (b.told[0].status != rows[i].status || strcmp(b.told[0].enhanced, rows[i].enhanced) != 0)
			printf("  %s: %s %s\n", rows[i].what, b.told[0].enhanced, b.told[0].text);
		CHECK_INT(rows[i].status, b.told[0].status);
		CHECK_STR(rows[i].enhanced, b.told[0].enhanced);
		log_flush(&b.log);
		if (rows[i].level)
			CHECK(seen(&b.lines, rows[i].level));
		else
			nothing_in_clear(&b);
		bed_end(&b);
		tls_client_unref(&tc);
	}
}

/* ---- REQUIRETLS --------------------------------------------------------------------------------------------------- */

static void test_requiretls(void)
{
	static const struct {
		const struct cert *server; /* NULL: without TLS */
		const char *ehlo;
		bool is_signed;
		enum queue_status status;
		const char *enhanced;
	} rows[] = {
		{ &good, "250-mx\r\n250 REQUIRETLS\r\n", true, QUEUE_DELIVERED, "2.0.0" },
		{ &good, "250-mx\r\n250 PIPELINING\r\n", true, QUEUE_BOUNCED, "5.7.30" },
		{ &good, "250-mx\r\n250 REQUIRETLS\r\n", false, QUEUE_BOUNCED,
		  "5.7.10" }, /* the DNS is not signed */
		{ &self_signed, "250-mx\r\n250 REQUIRETLS\r\n", true, QUEUE_BOUNCED, "5.7.10" },
		{ NULL, "250-mx\r\n250 REQUIRETLS\r\n", true, QUEUE_BOUNCED, "5.7.10" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed b;
		tlsa_name = NULL;
		is_signed = rows[i].is_signed;
		bed_more_hosts = dane_hosts;
		bed_start(&b);
		bed_more_hosts = NULL;
		struct tls_client *tc = secure(&b, rows[i].server ? rows[i].server : &good, ROUTE_TLS_MAY);
		if (!rows[i].server)
			b.sv.ehlo = "250-mx\r\n250 REQUIRETLS\r\n";
		b.sv.tls_ehlo = rows[i].ehlo;
		free((void *)(uintptr_t)b.dest.next_hop.p);
		b.dest.next_hop = span_of(mem_strdup("secure.example"));
		b.dest.variant = SPAN("requiretls");
		b.env_flags = ENVELOPE_REQUIRETLS;
		bed_mail(&b, 1);
		bed_until(&b, 1);
		if (b.told[0].status != rows[i].status)
			printf("  row %zu: %s %s\n", i, b.told[0].enhanced, b.told[0].text);
		CHECK_INT(rows[i].status, b.told[0].status);
		CHECK_STR(rows[i].enhanced, b.told[0].enhanced);
		CHECK_INT(rows[i].status == QUEUE_DELIVERED, seen(&b.sv.said, "REQUIRETLS"));
		CHECK_INT(0, b.dest_failed); /* the destination is well; this mail is particular */
		nothing_in_clear(&b);
		bed_end(&b);
		tls_client_unref(&tc);
	}
}

/* What is routed apart, and what is not. */
static void test_variants(void)
{
	struct bed b;
	struct queue_route route;
	static struct auth_credential credential = { .user = "x" };
	static const struct route_login logins[] = { { SPAN_INIT("a.example"), &credential },
						     { SPAN_INIT("b.example"), &credential } };
	struct envelope_rcpt rcpt = { .address = SPAN("r@example.org"), .domain = SPAN("example.org") };
	static const struct {
		const char *sender;
		uint32_t flags;
		const char *variant;
	} rows[] = { { "x@a.example", 0, "as a.example" },
		     { "x@A.EXAMPLE", 0, "as a.example" },
		     { "x@b.example", ENVELOPE_REQUIRETLS, "requiretls as b.example" },
		     { "x@c.example", 0, "" },
		     { "x@c.example", ENVELOPE_REQUIRETLS, "requiretls" },
		     { "", ENVELOPE_REQUIRETLS, "" },
		     { "x@c.example", ENVELOPE_TLS_OPTIONAL, "" } };

	bed_start(&b);
	bed_route->by_sender = logins;
	bed_route->nby_sender = 2;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct envelope env = {
			.sender = span_of(rows[i].sender), .flags = rows[i].flags, .rcpt = &rcpt, .nrcpt = 1
		};
		b.ops.route(b.ops.arg, &env, &rcpt, &route);
		CHECK_SPAN(rows[i].variant, route.variant);
		struct queue_dest dest = { .route = route.name,
					   .next_hop = route.next_hop,
					   .variant = span_of(rows[i].variant) };
		CHECK(b.ops.refresh(b.ops.arg, &dest, &route));
	}
	struct queue_dest gone = { .route = route.name,
				   .next_hop = route.next_hop,
				   .variant = SPAN("as z.example") };
	CHECK(!b.ops.refresh(b.ops.arg, &gone, &route));
	/* TLS-Required: No is about what domains assert, and not about what the operator does. */
	static const char *const variant_of[ROUTE_TLS_MAX_] = {
		[ROUTE_TLS_DANE] = "may as a.example", [ROUTE_TLS_STS] = "may as a.example"
	};
	for (int level = 0; level < ROUTE_TLS_MAX_; level++) {
		const struct envelope env = { .sender = SPAN("x@a.example"),
					      .flags = ENVELOPE_TLS_OPTIONAL,
					      .rcpt = &rcpt,
					      .nrcpt = 1 };
		bed_route->tls.level = (enum route_tls_level)level;
		b.ops.route(b.ops.arg, &env, &rcpt, &route);
		CHECK_SPAN(variant_of[level] ? variant_of[level] : "as a.example", route.variant);
	}
	bed_route->tls.level = ROUTE_TLS_OFF;
	bed_end(&b);
}

/* A new configuration: a connection of the old one is not used again. */
static void test_reconfigured(void)
{
	struct bed b;

	bed_start(&b);
	bed_mail(&b, 1);
	bed_until(&b, 1);
	delivery_configure(b.d, &b.cfg, &(struct hooks){ NULL, NULL });
	bed_spin(&b, 50);
	bed_mail(&b, 1);
	bed_until(&b, 2);
	CHECK_INT(2, b.sv.nconns);
	bed_end(&b);
}

/* Stopped at each point of a handshake. */
static void test_stop_anywhere(void)
{
	for (int turns = 0; turns < 60; turns += 3) {
		struct bed b;
		bed_start(&b);
		struct tls_client *tc = secure(&b, &good, ROUTE_TLS_ENCRYPT);
		bed_mail(&b, 1);
		bed_ready(&b);
		for (int i = 0; i < turns; i++) {
			loop_run_once(b.loop, false);
			usleep(50);
		}
		bed_end(&b);
		CHECK(!b.job[0].out);
		tls_client_unref(&tc);
	}
}

static void make_certs(void)
{
	certs_init();
	ca = cert_make((struct cert_spec){ .cn = "Test CA", .ca = true });
	other_ca = cert_make((struct cert_spec){ .cn = "Another CA", .ca = true });
	good = cert_make((struct cert_spec){ .alt = "DNS:live.example.org,DNS:mx.secure.example,IP:127.0.0.1",
					     .issuer = &ca });
	wrong_name = cert_make((struct cert_spec){ .alt = "DNS:mx.partner.example", .issuer = &ca });
	self_signed =
		cert_make((struct cert_spec){ .cn = "live.example.org", .alt = "DNS:live.example.org" });
}

static void free_certs(void)
{
	cert_free(&ca);
	cert_free(&other_ca);
	cert_free(&good);
	cert_free(&wrong_name);
	cert_free(&self_signed);
	certs_deinit();
}

TEST_MAIN(TEST(make_certs), TEST(test_levels), TEST(test_names_of_the_route), TEST(test_fall_back),
	  TEST(test_injected), TEST(test_held_then_delivered), TEST(test_implicit), TEST(test_dane),
	  TEST(test_requiretls), TEST(test_variants), TEST(test_reconfigured), TEST(test_stop_anywhere),
	  TEST(free_certs))
