/* The Kerberos backend where no KDC is: one that counts what it gets and is silent. With a KDC: tests/kerberos/. */
#include "auth/auth_kerberos.h"

#include <arpa/inet.h>
#include <krb5.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "test.h"

enum { MS = 1000, TIMEOUT_US = 400 * MS, ASKS_MAX = 32 };

struct ask {
	struct auth_check c;
	struct secret password;
	struct loop *loop;
	unsigned dones;
	int64_t took_us;
};

struct bed {
	char dir[64], conf[96], keytab[96];
	int kdc; /* a socket that is read by nobody */
	struct loop *loop;
	struct scope scope;
	bool closed;
	struct auth_backend *backend;
	struct ask asks[ASKS_MAX];
	unsigned nasks;
};

/* ---- the bed --------------------------------------------------------------------------------------------- */

static void write_keytab(const struct bed *b, krb5_kvno kvno)
{
	krb5_context ctx;
	krb5_keytab keytab;
	krb5_keytab_entry entry = { .vno = kvno };

	NEED(krb5_init_context(&ctx) == 0);
	NEED(krb5_kt_resolve(ctx, b->keytab, &keytab) == 0);
	NEED(krb5_parse_name(ctx, "smtp/relay.example.edu@EXAMPLE.EDU", &entry.principal) == 0);
	NEED(krb5_c_make_random_key(ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, &entry.key) == 0);
	NEED(krb5_kt_add_entry(ctx, keytab, &entry) == 0);
	krb5_free_keytab_entry_contents(ctx, &entry);
	krb5_kt_close(ctx, keytab);
	krb5_free_context(ctx);
}

static void write_conf(const struct bed *b)
{
	struct sockaddr_in at;
	socklen_t n = sizeof at;
	FILE *f = fopen(b->conf, "w");

	NEED(f && getsockname(b->kdc, (struct sockaddr *)&at, &n) == 0);
	fprintf(f, "[libdefaults]\n dns_lookup_kdc = false\n udp_preference_limit = 65000\n[realms]\n");
	for (int i = 0; i < 2; i++)
		fprintf(f, " %s = {\n  kdc = 127.0.0.1:%u\n }\n", i ? "EVIL.EXAMPLE" : "EXAMPLE.EDU",
			ntohs(at.sin_port));
	fclose(f);
}

static void closed(struct scope *s)
{
	container_of(s, struct bed, scope)->closed = true;
}

static void bed_init(struct bed *b, struct auth_kerberos_config config)
{
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct errtext e = { "" };

	*b = (struct bed){ .dir = "/tmp/test-kerberos-XXXXXX" };
	NEED(mkdtemp(b->dir));
	snprintf(b->conf, sizeof b->conf, "%s/krb5.conf", b->dir);
	snprintf(b->keytab, sizeof b->keytab, "%s/keytab", b->dir);
	b->kdc = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	NEED(b->kdc >= 0 && bind(b->kdc, (const struct sockaddr *)&any, sizeof any) == 0);
	write_conf(b);
	write_keytab(b, 1);
	config.realm = "EXAMPLE.EDU";
	config.service = "smtp/relay.example.edu";
	config.keytab = b->keytab;
	config.krb5_conf = b->conf;
	if (!config.timeout_us)
		config.timeout_us = TIMEOUT_US;
	if (auth_kerberos_new(&config, &b->backend, &e) < 0)
		FAIL("%s", e.s);
	NEED(b->backend);
	b->loop = loop_new();
	scope_init(&b->scope, b->loop, closed);
}

static void done(struct op *op)
{
	struct ask *a = container_of(container_of(op, struct auth_check, op), struct ask, c);

	a->dones++;
	a->took_us = loop_now_us(a->loop) - op->started_us;
}

static struct ask *ask(struct bed *b, const char *user, const char *password)
{
	struct ask *a = &b->asks[b->nasks++];

	NEED(b->nasks <= ASKS_MAX);
	(void)secret_set(&a->password, span_of(password));
	op_init(&a->c.op, done);
	a->c.user = span_of(user);
	a->c.password = &a->password;
	a->loop = b->loop;
	CHECK_INT(0, b->backend->ops->check(b->backend, &a->c, &b->scope));
	CHECK_INT(0, a->dones);
	return a;
}

/* Until the op of the check is done; the answer of one that ended by the deadline is what its asker takes it for. */
static enum auth_answer answer(struct bed *b, struct ask *a)
{
	while (!a->dones)
		loop_run_once(b->loop, true);
	CHECK_INT(1, a->dones);
	return a->c.op.status < 0 ? AUTH_ANSWER_TEMPFAIL : a->c.answer;
}

static void wait_busy(struct bed *b, unsigned n)
{
	for (int i = 0; i < 3000 && auth_kerberos_stats(b->backend).busy != n; i++)
		usleep(10 * MS);
	CHECK_INT(n, auth_kerberos_stats(b->backend).busy);
}

/* Who waits for the KDC gets an answer at last, though not one of Kerberos. How many packets there were. */
static unsigned end_silence(struct bed *b)
{
	struct sockaddr_in from;
	socklen_t n = sizeof from;
	unsigned packets = 0;
	char room[2048];

	for (; recvfrom(b->kdc, room, sizeof room, 0, (struct sockaddr *)&from, &n) >= 0; packets++)
		(void)sendto(b->kdc, "none", 4, 0, (const struct sockaddr *)&from, n);
	return packets;
}

static void bed_end(struct bed *b)
{
	scope_close(&b->scope);
	while (!b->closed)
		loop_run_once(b->loop, true);
	for (int i = 0; i < 3000 && auth_kerberos_stats(b->backend).busy; i++) {
		end_silence(b);
		usleep(10 * MS);
	}
	wait_busy(b, 0);
	close(b->kdc);
	b->backend->ops->free(b->backend);
	for (unsigned i = 0; i < b->nasks; i++) {
		CHECK_INT(1, b->asks[i].dones);
		secret_deinit(&b->asks[i].password);
	}
	loop_free(&b->loop);
	unlink(b->conf);
	unlink(b->keytab);
	rmdir(b->dir);
}

/* ---- cases ----------------------------------------------------------------------------------------------- */

static void names_that_are_not_ours_cost_no_packet(void)
{
	static const char *const names[] = { "a@EVIL.EXAMPLE",
					     "a\\@EVIL.EXAMPLE",
					     "a@EXAMPLE.EDU@EVIL.EXAMPLE",
					     "",
					     "@EXAMPLE.EDU",
					     "a//b",
					     "a\n",
					     "alice" };
	struct bed b;

	bed_init(&b, (struct auth_kerberos_config){ .allow = "smtp-relay/.*|a" });
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (answer(&b, ask(&b, names[i], "secret")) != AUTH_ANSWER_UNKNOWN_HERE)
			FAIL("\"%s\" is taken", names[i]);
	CHECK_INT(AUTH_ANSWER_WRONG, answer(&b, ask(&b, "a", "")));
	CHECK_INT(0, auth_kerberos_stats(b.backend).asked);
	CHECK_INT(0, end_silence(&b));
	/* Packets are counted. */
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, ask(&b, "a", "secret")));
	CHECK(end_silence(&b) > 0);
	bed_end(&b);
}

static void a_silent_kdc_is_answered_in_time_and_then_left_alone(void)
{
	struct bed b;

	bed_init(&b, (struct auth_kerberos_config){
			     .breaker_bad_max = 2, .breaker_retry_us = 200 * MS, .threads = 3 });
	/* Two are asked at once; the third thread is for a probe, and the third login waits in the queue. */
	struct ask *one = ask(&b, "one", "p"), *two = ask(&b, "two", "p"), *three = ask(&b, "three", "p");
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, one));
	CHECK_INT(-ERR_TIMEOUT, one->c.op.status);
	CHECK(one->took_us >= TIMEOUT_US * 9 / 10);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, two));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, three));
	CHECK_INT(2, auth_kerberos_stats(b.backend).asked);
	CHECK(auth_kerberos_stats(b.backend).kdc_down);
	struct ask *four = ask(&b, "four", "p");
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, four));
	CHECK(four->took_us < TIMEOUT_US / 2);
	CHECK_INT(2, auth_kerberos_stats(b.backend).asked);
	/* Later one is let through to see, on the last thread; while it is out the others are answered at once. */
	usleep(250 * MS);
	loop_run_once(b.loop, false); /* it knows what time it is */
	struct ask *probe = ask(&b, "five", "p"), *six = ask(&b, "six", "p");
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, six));
	CHECK_INT(0, probe->dones);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, probe));
	CHECK_INT(3, auth_kerberos_stats(b.backend).asked);
	bed_end(&b);
}

static void the_same_login_is_one_question(void)
{
	struct bed b;

	bed_init(&b, (struct auth_kerberos_config){ .threads = 4 });
	for (int i = 0; i < 5; i++)
		ask(&b, i % 2 ? "copier7" : "copier7@example.edu", "p");
	ask(&b, "copier7", "another");
	for (unsigned i = 0; i < b.nasks; i++)
		CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, &b.asks[i]));
	CHECK_INT(2, auth_kerberos_stats(b.backend).asked);
	CHECK_INT(0, auth_kerberos_stats(b.backend).cached); /* nothing was said that could be remembered */
	bed_end(&b);
}

static void who_leaves_does_not_wait(void)
{
	struct bed b;

	bed_init(&b, (struct auth_kerberos_config){ .timeout_us = 60 * 1000 * (int64_t)MS, .threads = 2 });
	struct ask *stuck = ask(&b, "one", "p");
	wait_busy(&b, 1);
	struct ask *queued = ask(&b, "two", "p");
	CHECK_INT(1, auth_kerberos_stats(b.backend).queued);
	op_cancel(&queued->c.op);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, answer(&b, queued));
	CHECK_INT(0, auth_kerberos_stats(b.backend).queued);
	CHECK_INT(0, stuck->dones);
	bed_end(&b); /* the scope's end ends the other */
	CHECK_INT(-ERR_CANCELED, stuck->c.op.status);
}

static void changed_files_are_noticed(void)
{
	struct bed b;
	struct errtext e = { "" };

	bed_init(&b, (struct auth_kerberos_config){ .threads = 1 });
	CHECK_INT(0, b.backend->ops->refresh(b.backend, &e));
	write_keytab(&b, 2);
	CHECK_INT(1, b.backend->ops->refresh(b.backend, &e));
	CHECK_INT(0, b.backend->ops->refresh(b.backend, &e));
	unlink(b.keytab);
	CHECK_INT(-ERR_NOTFOUND, b.backend->ops->refresh(b.backend, &e));
	CHECK(strstr(e.s, b.keytab) != NULL);
	bed_end(&b);
}

static void a_start_without_a_key_fails_in_words(void)
{
	struct auth_kerberos_config config = { .realm = "EXAMPLE.EDU",
					       .service = "smtp/relay.example.edu",
					       .keytab = "/nonexistent/keytab" };
	struct auth_backend *backend = NULL;
	struct errtext e = { "" };

	CHECK_INT(-ERR_NOTFOUND, auth_kerberos_new(&config, &backend, &e));
	CHECK(strstr(e.s, "kerberos: ") == e.s && strstr(e.s, "/nonexistent/keytab"));
	config.krb5_conf = "/nonexistent/krb5.conf";
	CHECK(auth_kerberos_new(&config, &backend, &e) < 0);
	CHECK(strstr(e.s, "/nonexistent/krb5.conf") != NULL);
	CHECK(!backend);
}

TEST_MAIN(TEST(names_that_are_not_ours_cost_no_packet),
	  TEST(a_silent_kdc_is_answered_in_time_and_then_left_alone), TEST(the_same_login_is_one_question),
	  TEST(who_leaves_does_not_wait), TEST(changed_files_are_noticed),
	  TEST(a_start_without_a_key_fails_in_words))
