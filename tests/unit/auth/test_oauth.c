/* A token source against a provider of ours over HTTPS: one fetch for all, ahead of time, and every way to fail. */
#include "auth/auth_oauth.h"

#include "base/check.h"
#include "https_server.h"

enum { WAITERS_MAX = 40 };

#define SECOND INT64_C(1000000)

static struct https_server server;

struct bench {
	struct loop *loop;
	struct auth_services *services;
	struct auth_token *token;
	struct auth_token_wait wait[WAITERS_MAX];
	unsigned told;
	char url[100], secret[160], refresh[160];
};

static struct bench b;

static void on_told(struct auth_token_wait *w)
{
	(void)w;
	b.told++;
}

static void put(const char *path, const char *text)
{
	char fresh[200];

	snprintf(fresh, sizeof fresh, "%s.new", path);
	FILE *f = fopen(fresh, "w");
	NEED(f != NULL);
	fputs(text, f);
	fclose(f);
	NEED(rename(fresh, path) == 0);
}

static struct auth_token_config config(const char *name)
{
	snprintf(b.url, sizeof b.url, "https://127.0.0.1:%u/%s", server.good, name);
	return (struct auth_token_config){ .provider = AUTH_PROVIDER_MICROSOFT,
					   .url = span_of(b.url),
					   .client_id = SPAN("client one"),
					   .scope = SPAN("https://outlook.office365.com/.default"),
					   .secret_path = span_of(b.secret),
					   .ca_file = span_of(server.ca) };
}

static void open_with(const struct auth_token_config *cfg)
{
	struct errtext e;

	b.loop = loop_new();
	b.services = auth_services_new();
	b.told = 0;
	if (auth_token_new(cfg, b.services, &b.token, &e) < 0)
		FAIL("no token source: %s", e.s);
	for (size_t i = 0; i < WAITERS_MAX; i++)
		auth_token_wait_init(&b.wait[i], on_told);
}

static void begin(const char *name)
{
	snprintf(b.secret, sizeof b.secret, "%s/secret", server.dir);
	snprintf(b.refresh, sizeof b.refresh, "%s/refresh", server.dir);
	put(b.secret, "client~secret\n");
	const struct auth_token_config cfg = config(name);
	open_with(&cfg);
}

static void end(void)
{
	for (size_t i = 0; i < WAITERS_MAX; i++)
		auth_token_wait_deinit(&b.wait[i]);
	auth_token_unref(&b.token);
	auth_services_unref(&b.services);
	loop_free(&b.loop);
}

/* What the first waiter gets. */
static struct auth_token_wait *get(void)
{
	struct auth_token_wait *w = &b.wait[0];

	auth_token_wait_deinit(w);
	auth_token_wait_init(w, on_told);
	b.told = 0;
	if (auth_token_get(b.token, b.loop, w) == 0)
		while (!b.told)
			loop_run_once(b.loop, true);
	return w;
}

static struct auth_token_status status(void)
{
	struct auth_token_status s;

	auth_token_status(b.token, loop_now_us(b.loop), &s);
	return s;
}

/* Until no fetch is under way. */
static void settle(void)
{
	for (int i = 0; i < 1000 && status().fetching; i++)
		usleep(5000);
}

static void answer(const char *name, int nth, const char *head, const char *body)
{
	https_server_answer(&server, name, nth, head, body);
}

static const char JSON[] = "200\nContent-Type: application/json\n";

static void one_fetch_for_all(void)
{
	const unsigned before = https_server_count(&server);
	struct buf asked = BUF_INIT(1 << 20);

	answer("t1", -1, "200\nWait: 0.2\n",
	       "{\"token_type\":\"Bearer\",\"expires_in\":3600,\"access_token\":\"first\"}");
	begin("t1");
	for (size_t i = 0; i < WAITERS_MAX; i++)
		CHECK_INT(0, auth_token_get(b.token, b.loop, &b.wait[i]));
	while (b.told < WAITERS_MAX)
		loop_run_once(b.loop, true);
	for (size_t i = 0; i < WAITERS_MAX; i++) {
		CHECK_INT(0, b.wait[i].status);
		CHECK_SPAN("first", secret_span(&b.wait[i].token));
	}
	CHECK_INT(before + 1, https_server_count(&server));
	CHECK_INT(1, auth_token_get(b.token, b.loop, &b.wait[0])); /* at once from now on */
	https_server_requests(&server, &asked);
	CHECK(span_find(
		      buf_span(&asked),
		      SPAN("grant_type=client_credentials&scope=https%3A%2F%2Foutlook.office365.com%2F.default"
			   "&client_id=client+one&client_secret=client%7Esecret")) >= 0);
	CHECK(status().has_token);
	CHECK(status().expires_in_us > 3500 * SECOND);
	buf_free(&asked);
	end();
}

static void ahead_of_time(void)
{
	unsigned before = https_server_count(&server);

	answer("t2", 0, JSON, "{\"expires_in\":1000,\"access_token\":\"one\"}");
	answer("t2", -1, JSON, "{\"expires_in\":1000,\"access_token\":\"two\"}");
	begin("t2");
	CHECK_SPAN("one", secret_span(&get()->token));
	loop_clock_advance(b.loop, 700 * SECOND);
	CHECK_SPAN("one", secret_span(&get()->token));
	CHECK(!status().fetching);
	CHECK_INT(before + 1, https_server_count(&server));
	/* Between 75 and 85 percent of its life the next one is fetched, and nobody waits for it. */
	loop_clock_advance(b.loop, 170 * SECOND);
	CHECK_INT(1, auth_token_get(b.token, b.loop, &b.wait[1]));
	CHECK_SPAN("one", secret_span(&b.wait[1].token));
	settle();
	CHECK_INT(before + 2, https_server_count(&server));
	CHECK_SPAN("two", secret_span(&get()->token));
	end();
}

static void the_old_one_goes_on_while_the_next_cannot_be_had(void)
{
	answer("t3", 0, JSON, "{\"expires_in\":1000,\"access_token\":\"one\"}");
	answer("t3", -1, "503\nRetry-After: 40\n", "");
	begin("t3");
	CHECK_SPAN("one", secret_span(&get()->token));
	loop_clock_advance(b.loop, 900 * SECOND);
	CHECK_SPAN("one", secret_span(&get()->token));
	settle();
	CHECK_SPAN("one", secret_span(&get()->token));
	CHECK_INT(1, status().failures);
	CHECK(strstr(status().why, "503") != NULL);
	CHECK(status().retry_in_us > 30 * SECOND); /* as the provider said */
	loop_clock_advance(b.loop, 75 * SECOND);   /* its last half minute counts as over */
	const struct auth_token_wait *w = get();
	CHECK_INT(-ERR_UNREACH, w->status);
	CHECK(!w->permanent);
	CHECK_SPAN("", secret_span(&w->token));
	end();
}

static void a_failure_is_told_to_all_and_then_not_asked_again(void)
{
	unsigned before = https_server_count(&server);

	answer("t4", -1, "401\nWait: 0.1\n",
	       "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret\"}");
	begin("t4");
	for (size_t i = 0; i < WAITERS_MAX; i++)
		CHECK_INT(0, auth_token_get(b.token, b.loop, &b.wait[i]));
	while (b.told < WAITERS_MAX)
		loop_run_once(b.loop, true);
	for (size_t i = 0; i < WAITERS_MAX; i++) {
		CHECK_INT(-ERR_DENIED, b.wait[i].status);
		CHECK(b.wait[i].permanent);
		CHECK(strstr(b.wait[i].why, "AADSTS7000215") != NULL);
	}
	CHECK_INT(before + 1, https_server_count(&server));
	const struct auth_token_wait *w = get();
	CHECK_INT(-ERR_DENIED, w->status);
	CHECK(strstr(w->why, "asked again in") != NULL);
	CHECK_INT(before + 1, https_server_count(&server));
	/* A minute, two, four, with a tenth more or less. */
	for (unsigned i = 0; i < 3; i++) {
		CHECK(status().retry_in_us >= (54 << i) * SECOND &&
		      status().retry_in_us <= (66 << i) * SECOND);
		loop_clock_advance(b.loop, (67 << i) * SECOND);
		CHECK_INT(-ERR_DENIED, get()->status);
		CHECK_INT(before + 2 + i, https_server_count(&server));
	}
	/* Who mends the secret is not kept waiting. */
	answer("t4", -1, JSON, "{\"access_token\":\"good\"}");
	struct errtext e;
	CHECK_INT(0, auth_token_refresh(b.token, &e));
	CHECK_INT(-ERR_DENIED, get()->status);
	put(b.secret, "another\n");
	CHECK_INT(1, auth_token_refresh(b.token, &e));
	CHECK_SPAN("good", secret_span(&get()->token));
	end();
}

static void failures_of_the_way_there(void)
{
	struct auth_token_config cfg;
	char url[100];

	begin("t5");
	end();
	cfg = config("t5");
	cfg.ca_file = SPAN("");
	open_with(&cfg);
	const struct auth_token_wait *w = get();
	CHECK_INT(-ERR_DENIED, w->status);
	CHECK(w->permanent);
	CHECK(strstr(w->why, "token endpoint 127.0.0.1") && strstr(w->why, "TLS failed"));
	end();

	snprintf(url, sizeof url, "https://127.0.0.1:9/t5");
	cfg = config("t5");
	cfg.url = span_of(url);
	open_with(&cfg);
	w = get();
	CHECK_INT(-ERR_UNREACH, w->status);
	CHECK(!w->permanent);
	CHECK(strstr(w->why, "no connection") != NULL);
	CHECK(status().retry_in_us <= 6 * SECOND);
	end();

	answer("t6", -1, "200\nWait: 20\n", "");
	cfg = config("t6");
	cfg.deadline_us = 300000;
	open_with(&cfg);
	w = get();
	CHECK_INT(-ERR_UNREACH, w->status);
	CHECK(strstr(w->why, "no answer") != NULL);
	end();

	answer("t7", -1, "200\nContent-Type: text/html\n", "<html>please log in to the guest network</html>");
	cfg = config("t7");
	open_with(&cfg);
	w = get();
	CHECK_INT(-ERR_DENIED, w->status);
	CHECK(strstr(w->why, "without a token") != NULL);
	end();
}

static void a_provider_that_repeats_the_secret(void)
{
	answer("t8", -1, "400\n",
	       "{\"error\":\"odd\",\"error_description\":\"you sent client~secret, which is wrong\"}");
	begin("t8");
	const struct auth_token_wait *w = get();
	CHECK(w->status < 0);
	CHECK(strstr(w->why, "client~s") == NULL);
	CHECK(strstr(status().why, "client~s") == NULL);
	end();
}

static void read_file(const char *path, char *text, size_t max)
{
	FILE *f = fopen(path, "r");

	NEED(f != NULL);
	text[fread(text, 1, max - 1, f)] = 0;
	fclose(f);
}

static void refresh_tokens_that_rotate(void)
{
	struct auth_token_config cfg;
	struct buf asked = BUF_INIT(1 << 20);
	char text[100];

	answer("t9", 0, JSON, "{\"expires_in\":100,\"access_token\":\"a1\",\"refresh_token\":\"r2\"}");
	answer("t9", -1, JSON, "{\"expires_in\":100,\"access_token\":\"a2\",\"refresh_token\":\"r2\"}");
	begin("t9");
	end();
	put(b.refresh, "r1\n");
	cfg = config("t9");
	cfg.refresh_path = span_of(b.refresh);
	cfg.keep = true;
	open_with(&cfg);
	CHECK_SPAN("a1", secret_span(&get()->token));
	read_file(b.refresh, text, sizeof text);
	CHECK_STR("r2\n", text);
	CHECK_STR("", status().why);
	loop_clock_advance(b.loop, 99 * SECOND);
	CHECK_SPAN("a2", secret_span(&get()->token));
	https_server_requests(&server, &asked);
	CHECK(span_find(buf_span(&asked), SPAN("grant_type=refresh_token&refresh_token=r1&")) >= 0);
	CHECK(span_find(buf_span(&asked), SPAN("grant_type=refresh_token&refresh_token=r2&")) >= 0);
	end();

	/* Not to be written: kept in memory, and said. */
	answer("t10", 0, JSON, "{\"expires_in\":100,\"access_token\":\"a1\",\"refresh_token\":\"q2\"}");
	answer("t10", -1, JSON, "{\"expires_in\":100,\"access_token\":\"a2\"}");
	put(b.refresh, "q1\n");
	cfg = config("t10");
	cfg.refresh_path = span_of(b.refresh);
	open_with(&cfg);
	CHECK_SPAN("a1", secret_span(&get()->token));
	read_file(b.refresh, text, sizeof text);
	CHECK_STR("q1\n", text);
	CHECK(strstr(status().why, "in memory only") != NULL);
	CHECK(strstr(status().why, "q2") == NULL);
	loop_clock_advance(b.loop, 99 * SECOND);
	CHECK_SPAN("a2", secret_span(&get()->token));
	https_server_requests(&server, &asked);
	CHECK(span_find(buf_span(&asked), SPAN("refresh_token=q2&")) >= 0);
	end();
	buf_free(&asked);
}

static void an_operator_who_replaces_the_file_meanwhile_wins(void)
{
	struct auth_token_config cfg;
	char text[100];

	answer("t11", -1, "200\nWait: 0.3\n", "{\"access_token\":\"a1\",\"refresh_token\":\"s2\"}");
	begin("t11");
	end();
	put(b.refresh, "s1\n");
	cfg = config("t11");
	cfg.refresh_path = span_of(b.refresh);
	cfg.keep = true;
	open_with(&cfg);
	CHECK_INT(0, auth_token_get(b.token, b.loop, &b.wait[0]));
	put(b.refresh, "from the operator\n");
	settle();
	read_file(b.refresh, text, sizeof text);
	CHECK_STR("from the operator\n", text);
	while (!b.told)
		loop_run_once(b.loop, true);
	end();
}

static void basic(void)
{
	struct auth_token_config cfg;
	struct buf asked = BUF_INIT(1 << 20);

	answer("t12", -1, JSON, "{\"access_token\":\"a\"}");
	begin("t12");
	end();
	cfg = config("t12");
	cfg.basic = true;
	open_with(&cfg);
	CHECK_SPAN("a", secret_span(&get()->token));
	https_server_requests(&server, &asked);
	/* "client+one:client%7Esecret" */
	CHECK(span_find(buf_span(&asked), SPAN("Basic Y2xpZW50K29uZTpjbGllbnQlN0VzZWNyZXQ=")) >= 0);
	buf_free(&asked);
	end();
}

static void refused_by_the_mail_server(void)
{
	const unsigned before = https_server_count(&server);

	answer("t13", -1, JSON, "{\"expires_in\":3600,\"access_token\":\"a\"}");
	begin("t13");
	struct auth_token_wait *w = get();
	const uint64_t first = w->generation;
	auth_token_refused(b.token, first, b.loop);
	w = get(); /* another one, at once */
	CHECK_INT(0, w->status);
	CHECK(w->generation != first);
	CHECK_INT(before + 2, https_server_count(&server));
	auth_token_refused(b.token, first, b.loop); /* who comes late with the old one */
	CHECK_INT(0, get()->status);
	auth_token_refused(b.token, w->generation, b.loop); /* a new one refused too: it is not the token */
	w = get();
	CHECK_INT(-ERR_DENIED, w->status);
	CHECK(w->permanent);
	CHECK(strstr(w->why, "refuses tokens") != NULL);
	CHECK_INT(before + 2, https_server_count(&server));
	loop_clock_advance(b.loop, 40 * SECOND);
	CHECK_INT(0, get()->status);
	CHECK_INT(before + 3, https_server_count(&server));
	end();
}

static void leaving(void)
{
	answer("t14", -1, "200\nWait: 0.2\n", "{\"access_token\":\"a\"}");
	begin("t14");
	CHECK_INT(0, auth_token_get(b.token, b.loop, &b.wait[0]));
	CHECK_INT(0, auth_token_get(b.token, b.loop, &b.wait[1]));
	CHECK(auth_token_leave(b.token, &b.wait[0]));
	while (!b.told)
		loop_run_once(b.loop, true);
	CHECK_INT(1, b.told);
	CHECK_SPAN("a", secret_span(&b.wait[1].token));
	end();

	/* A source that goes stops its fetch. */
	answer("t15", -1, "200\nWait: 30\n", "");
	begin("t15");
	CHECK_INT(0, auth_token_get(b.token, b.loop, &b.wait[0]));
	CHECK(auth_token_leave(b.token, &b.wait[0]));
	end();
}

static void what_is_no_source(void)
{
	struct auth_token *t = NULL, *other = NULL;
	struct errtext e;

	begin("t16");
	struct auth_token_config cfg = config("t16");
	cfg.url = SPAN("http://login.example.org/token");
	CHECK_INT(-ERR_INVAL, auth_token_new(&cfg, b.services, &t, &e));
	CHECK(strstr(e.s, "https://") != NULL);
	cfg = config("t16");
	cfg.client_id = SPAN("");
	CHECK_INT(-ERR_INVAL, auth_token_new(&cfg, b.services, &t, &e));
	cfg = config("t16");
	cfg.secret_path = SPAN("/no/such/secret");
	CHECK_INT(-ERR_NOTFOUND, auth_token_new(&cfg, b.services, &t, &e));
	CHECK(strstr(e.s, "/no/such/secret") != NULL);

	cfg = config("t16");
	CHECK_INT(0, auth_token_new(&cfg, b.services, &t, &e));
	CHECK_INT(0, auth_token_new(&cfg, b.services, &other, &e));
	CHECK(auth_token_same(t, other));
	auth_token_unref(&other);
	cfg.scope = SPAN("another");
	CHECK_INT(0, auth_token_new(&cfg, b.services, &other, &e));
	CHECK(!auth_token_same(t, other));
	auth_token_unref(&other);
	auth_token_unref(&t);
	end();
}

static void start(void)
{
	https_server_start(&server);
}

static void stop(void)
{
	https_server_stop(&server);
}

TEST_MAIN(TEST(start), TEST(one_fetch_for_all), TEST(ahead_of_time),
	  TEST(the_old_one_goes_on_while_the_next_cannot_be_had),
	  TEST(a_failure_is_told_to_all_and_then_not_asked_again), TEST(failures_of_the_way_there),
	  TEST(a_provider_that_repeats_the_secret), TEST(refresh_tokens_that_rotate),
	  TEST(an_operator_who_replaces_the_file_meanwhile_wins), TEST(basic),
	  TEST(refused_by_the_mail_server), TEST(leaving), TEST(what_is_no_source), TEST(stop))
