/* One tls_server and one tls_client, used by four threads while a fifth replaces the files. Meant for ThreadSanitizer, but it
 * counts everywhere: no handshake fails, and what is served at the end is what is in the files. */

#include "io/thread.h"
#include "tls_bed.h"

enum { THREADS = 4, VISITS = 12, REPLACED = 15 };

static struct cert certs[2];

struct visitor {
	struct tls_server *ts;
	struct tls_client *tc;
	struct thread *thread;
	unsigned failed, seen[2];
	char why[TLS_WHY_MAX];
};

/* CHECK is not for threads: they count, and the test looks. */
static void visit(struct visitor *v)
{
	static const struct tls_connect any = { .verify = TLS_VERIFY_NONE };
	struct bed b;

	bed_memory(&b);
	struct stream *const server = b.lower_server, *const client = b.lower_client;
	b.lower_server = b.lower_client = NULL;
	if (tls_accept_start(&b.server.h, &b.server.scope, server, v->ts, SECONDS(30)) != 0 ||
	    tls_connect_start(&b.client.h, &b.client.scope, client, v->tc, &any, SECONDS(30)) != 0)
		abort();
	TURNS(&b, b.server.done && b.client.done);
	if (b.client.s && b.server.s) {
		v->seen[span_eq(tls_info(b.client.s)->common_name, SPAN("one"))]++;
		stream_write(b.client.s, SPAN("NOOP\r\n"));
		TURNS(&b, b.server.got.n == 6);
		if (b.server.got.n != 6)
			v->failed++;
	} else {
		v->failed++;
		snprintf(v->why, sizeof v->why, "%s | %s", b.server.h.why, b.client.h.why);
	}
	bed_end(&b);
}

static void run_visitor(void *arg)
{
	for (unsigned i = 0; i < VISITS; i++)
		visit(arg);
}

static void replace_files(unsigned i)
{
	CERTS_WRITE("leaf.pem", CERT_OF(certs[i % 2]), KEY_OF(certs[i % 2]));
}

static void handshakes_while_files_are_replaced(void)
{
	struct visitor visitors[THREADS] = { 0 };
	struct errtext e = { "" };

	certs_init();
	certs[0] = cert_make((struct cert_spec){ .cn = "zero", .alt = "DNS:mx.example" });
	certs[1] = cert_make((struct cert_spec){ .cn = "one", .alt = "DNS:mx.example" });
	replace_files(0);
	struct tls_server *ts = serve_pair(certs_path("leaf.pem"), NULL);
	struct tls_client *tc = connecting(certs_path("leaf.pem"));
	for (unsigned i = 0; i < THREADS; i++) {
		visitors[i].ts = tls_server_ref(ts);
		visitors[i].tc = tls_client_ref(tc);
		visitors[i].thread = thread_start("visitor", run_visitor, &visitors[i]);
	}
	for (unsigned i = 1; i <= REPLACED; i++) {
		replace_files(i);
		CHECK_INT(1, tls_server_refresh(ts, &e));
		CHECK_INT(1, tls_client_refresh(tc, &e));
		usleep(2000);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		thread_join(&visitors[i].thread);
		tls_server_unref(&visitors[i].ts);
		tls_client_unref(&visitors[i].tc);
		CHECK_INT(0, visitors[i].failed);
		CHECK_STR("", visitors[i].why);
		CHECK_INT(VISITS, visitors[i].seen[0] + visitors[i].seen[1]);
	}
	struct visitor last = { .ts = ts, .tc = tc };
	visit(&last);
	CHECK_INT(1, last.seen[REPLACED % 2]);
	tls_server_unref(&ts);
	tls_client_unref(&tc);
	cert_free(&certs[0]);
	cert_free(&certs[1]);
	certs_deinit();
}

/* Two that refresh at once: one of them reads the files. */
struct refresher {
	struct tls_server *ts;
	struct thread *thread;
	unsigned loaded;
	int worst;
};

static void run_refresher(void *arg)
{
	struct refresher *r = arg;

	for (unsigned i = 0; i < 50; i++) {
		const int rc = tls_server_refresh(r->ts, NULL);
		r->loaded += rc == 1;
		if (rc < r->worst)
			r->worst = rc;
	}
}

static void several_that_refresh(void)
{
	struct refresher refreshers[2] = { 0 };

	certs_init();
	certs[0] = cert_make((struct cert_spec){ .cn = "zero" });
	replace_files(0);
	struct tls_server *ts = serve_pair(certs_path("leaf.pem"), NULL);
	replace_files(0);
	for (unsigned i = 0; i < 2; i++) {
		refreshers[i].ts = ts;
		refreshers[i].thread = thread_start("refresher", run_refresher, &refreshers[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		thread_join(&refreshers[i].thread);
	CHECK_INT(1, refreshers[0].loaded + refreshers[1].loaded);
	CHECK_INT(0, refreshers[0].worst + refreshers[1].worst);
	tls_server_unref(&ts);
	cert_free(&certs[0]);
	certs_deinit();
}

TEST_MAIN(TEST(handshakes_while_files_are_replaced), TEST(several_that_refresh))
