/* Against a small HTTPS server with certificates of its own: what is asked, what is answered, what is trusted, what is given up. */
#include "http/http_fetch.h"

#include "base/check.h"
#include "https_server.h"

enum { FETCHES_MAX = 80 };

static struct https_server server;

struct bench {
	struct loop *loop;
	struct scope scope;
	struct http_client *client;
	struct http_fetch fetch[FETCHES_MAX];
	char url[200];
	unsigned done;
};

static struct bench b;

static void on_done(struct op *op)
{
	(void)op;
	b.done++;
}

static void bench_open(void)
{
	b.loop = loop_new();
	scope_init(&b.scope, b.loop, NULL);
	b.client = http_client_new();
	b.done = 0;
	for (size_t i = 0; i < FETCHES_MAX; i++)
		http_fetch_init(&b.fetch[i], on_done);
}

static void bench_close(void)
{
	for (size_t i = 0; i < FETCHES_MAX; i++)
		http_fetch_deinit(&b.fetch[i]);
	http_client_unref(&b.client);
	loop_free(&b.loop);
}

static struct http_request *request(size_t i, unsigned port, const char *path)
{
	struct http_request *req = &b.fetch[i].transfer.request;

	snprintf(b.url, sizeof b.url, "%s://127.0.0.1:%u/%s", port == server.clear ? "http" : "https", port,
		 path);
	*req = (struct http_request){ .url = span_of(b.url),
				      .ca_file = span_of(server.ca),
				      .body_max = 4096 };
	return req;
}

static int go(int64_t deadline_us)
{
	b.done = 0;
	NEED(http_fetch_start(&b.fetch[0], &b.scope, b.client, "test", deadline_us) == 0);
	while (!b.done)
		loop_run_once(b.loop, true);
	return b.fetch[0].op.status;
}

static int get(unsigned port, const char *path)
{
	request(0, port, path);
	return go(10000000);
}

static const struct http_answer *answer(void)
{
	return &b.fetch[0].transfer.answer;
}

static const char *why(void)
{
	return b.fetch[0].transfer.why;
}

static const char *step(void)
{
	return http_step_name(b.fetch[0].transfer.step);
}

static void it_gets(void)
{
	bench_open();
	https_server_answer(
		&server, "a", -1,
		"200\nContent-Type: text/plain; charset=utf-8\nCache-Control: private, max-age=\"3600\"\n"
		"Age: 600\n",
		"hello\n");
	CHECK_INT(0, get(server.good, "a"));
	CHECK_INT(200, answer()->status);
	CHECK_SPAN("hello\n", buf_span(&answer()->body));
	CHECK_STR("text/plain; charset=utf-8", answer()->content_type);
	CHECK_INT(3000, answer()->fresh_s);
	CHECK_INT(-1, answer()->retry_after_s);

	https_server_answer(&server, "b", -1, "503\nCache-Control: no-store\nRetry-After: 17\n", "");
	CHECK_INT(0, get(server.good, "b"));
	CHECK_INT(503, answer()->status);
	CHECK_SPAN("", buf_span(&answer()->body));
	CHECK_STR("", answer()->content_type);
	CHECK_INT(0, answer()->fresh_s);
	CHECK_INT(17, answer()->retry_after_s);

	https_server_answer(&server, "c", -1, "429\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\n", "");
	CHECK_INT(0, get(server.good, "c"));
	CHECK_INT(-1, answer()->fresh_s);
	CHECK_INT(0, answer()->retry_after_s);
	CHECK_INT(0, get(server.good, "nothing"));
	CHECK_INT(404, answer()->status);
	bench_close();
}

static void it_posts(void)
{
	bench_open();
	struct http_request *req = request(0, server.good, "echo");
	req->body = SPAN("grant_type=x&client_secret=plain");
	req->content_type = SPAN("application/x-www-form-urlencoded");
	req->authorization = SPAN("Basic YTpi");
	req->accept = SPAN("application/json");
	CHECK_INT(0, go(10000000));
	const struct span body = buf_span(&answer()->body);
	CHECK(span_find(body, SPAN("\"method\": \"POST\"")) >= 0);
	CHECK(span_find(body, SPAN("\"body\": \"grant_type=x&client_secret=plain\"")) >= 0);
	CHECK(span_find(body, SPAN("\"authorization\": \"Basic YTpi\"")) >= 0);
	CHECK(span_find(body, SPAN("\"accept\": \"application/json\"")) >= 0);
	CHECK(span_find(body, SPAN("\"content-type\": \"application/x-www-form-urlencoded\"")) >= 0);
	CHECK(span_find(body, SPAN("expect")) < 0);

	/* The empty body is a POST too. */
	req = request(0, server.good, "echo");
	req->body = SPAN("");
	CHECK_INT(0, go(10000000));
	CHECK(span_find(buf_span(&answer()->body), SPAN("\"method\": \"POST\"")) >= 0);
	bench_close();
}

static void only_the_right_certificate_is_trusted(void)
{
	const unsigned before = https_server_count(&server);

	bench_open();
	CHECK_INT(-ERR_DENIED, get(server.name, "a")); /* another name in it */
	CHECK_STR("tls", step());
	CHECK(why()[0] != 0);
	CHECK_INT(-ERR_DENIED, get(server.stranger, "a")); /* signed by itself */
	CHECK_STR("tls", step());
	request(0, server.good, "a")->ca_file = SPAN(""); /* the system does not know our CA */
	CHECK_INT(-ERR_DENIED, go(10000000));
	request(0, server.good, "a")->ca_file = SPAN("/no/such/file.pem");
	CHECK_INT(-ERR_DENIED, go(10000000));
	CHECK(strstr(why(), "/no/such/file.pem") != NULL);
	CHECK_INT(before, https_server_count(&server)); /* and nobody was asked anything */
	bench_close();
}

static void a_known_address_is_used(void)
{
	struct ip_addr addr;

	NEED(ip_parse(SPAN("127.0.0.1"), &addr));
	bench_open();
	struct http_request *req = request(0, server.good, "");
	req->url = SPAN("https://mta-sts.example.org/echo");
	req->addrs = &addr;
	req->naddrs = 1;
	req->connect_port = (uint16_t)server.good;
	CHECK_INT(0, go(10000000));
	CHECK(span_find(buf_span(&answer()->body), SPAN("\"host\": \"mta-sts.example.org\"")) >= 0);

	/* It is the URL's name that the certificate is for, wherever we connect to. */
	req->url = SPAN("https://mta-sts.example.net/echo");
	CHECK_INT(-ERR_DENIED, go(10000000));
	bench_close();
}

static void clear_text_only_if_asked(void)
{
	bench_open();
	CHECK_INT(-ERR_INVAL, get(server.clear, "a"));
	CHECK_STR("request", step());
	request(0, server.clear, "a")->clear_ok = true;
	CHECK_INT(0, go(10000000));
	CHECK_INT(200, answer()->status);
	bench_close();
}

static void redirects_only_if_asked(void)
{
	char path[100];

	snprintf(path, sizeof path, "move?https://127.0.0.1:%u/a", server.good);
	bench_open();
	CHECK_INT(0, get(server.good, path));
	CHECK_INT(302, answer()->status);
	request(0, server.good, path)->redirects_max = 1;
	CHECK_INT(0, go(10000000));
	CHECK_INT(200, answer()->status);
	CHECK_SPAN("hello\n", buf_span(&answer()->body));
	struct http_request *req = request(0, server.good, path);
	req->redirects_max = 1;
	req->authorization = SPAN("Bearer secret"); /* not for others */
	CHECK_INT(0, go(10000000));
	CHECK_INT(302, answer()->status);
	snprintf(path, sizeof path, "move?http://127.0.0.1:%u/a", server.clear);
	request(0, server.good, path)->redirects_max = 1;
	CHECK_INT(-ERR_INVAL, go(10000000));
	bench_close();
}

static void the_environment_has_no_part_in_it(void)
{
	bench_open();
	setenv("https_proxy", "http://127.0.0.1:9/", 1);
	CHECK_INT(0, get(server.good, "a"));
	unsetenv("https_proxy");
	request(0, server.good, "a")->proxy = SPAN("http://127.0.0.1:9/");
	CHECK_INT(-ERR_REFUSED, go(10000000));
	bench_close();
}

static void what_is_too_long(void)
{
	bench_open();
	CHECK_INT(0, get(server.good, "big?4096"));
	CHECK_INT(4096, answer()->body.n);
	CHECK_INT(-ERR_TOOBIG, get(server.good, "big?4097"));
	CHECK_INT(0, answer()->body.n);
	CHECK_STR("answer", step());
	CHECK_INT(-ERR_TOOBIG, get(server.good, "head"));
	request(0, server.good, "a")->authorization = SPAN("a\r\nHost: b");
	CHECK_INT(-ERR_INVAL, go(10000000));
	char url[3000];
	memset(url, 'a', sizeof url);
	request(0, server.good, "a")->url = span_make(url, sizeof url);
	CHECK_INT(-ERR_INVAL, go(10000000));
	request(0, server.good, "a")->url = SPAN("");
	CHECK_INT(-ERR_INVAL, go(10000000));
	bench_close();
}

static void deadlines_and_refusals(void)
{
	bench_open();
	CHECK_INT(-ERR_REFUSED, get(9, "a"));
	CHECK_STR("connect", step());
	request(0, server.plain, "a"); /* takes the connection and says nothing */
	CHECK_INT(-ERR_TIMEOUT, go(200000));
	CHECK_STR("tls", step());
	https_server_answer(&server, "slow", -1, "200\nWait: 30\n", "");
	request(0, server.good, "slow");
	CHECK_INT(-ERR_TIMEOUT, go(300000));
	CHECK_STR("answer", step());
	request(0, server.good, "a")->url = SPAN("https://no-such-host.invalid/");
	CHECK_INT(-ERR_UNREACH, go(10000000));
	CHECK_STR("resolve", step());
	bench_close();
}

static void many_at_a_time_and_some_are_canceled(void)
{
	unsigned good = 0, canceled = 0;

	bench_open();
	for (size_t i = 0; i < FETCHES_MAX; i++)
		request(i, server.good, "a"); /* all have the same URL */
	for (size_t i = 0; i < FETCHES_MAX; i++) {
		NEED(http_fetch_start(&b.fetch[i], &b.scope, b.client, "test", 20000000) == 0);
		if (i % 3 == 0)
			op_cancel(&b.fetch[i].op);
	}
	while (b.done < FETCHES_MAX)
		loop_run_once(b.loop, true);
	for (size_t i = 0; i < FETCHES_MAX; i++) {
		good += b.fetch[i].op.status == 0;
		canceled += b.fetch[i].op.status == -ERR_CANCELED;
	}
	CHECK_INT(FETCHES_MAX, good + canceled);
	CHECK(good >= FETCHES_MAX / 2);
	CHECK(canceled >= 1);
	bench_close();
}

static void start(void)
{
	https_server_start(&server);
}

static void stop(void)
{
	https_server_stop(&server);
}

TEST_MAIN(TEST(start), TEST(it_gets), TEST(it_posts), TEST(only_the_right_certificate_is_trusted),
	  TEST(a_known_address_is_used), TEST(clear_text_only_if_asked), TEST(redirects_only_if_asked),
	  TEST(the_environment_has_no_part_in_it), TEST(what_is_too_long), TEST(deadlines_and_refusals),
	  TEST(many_at_a_time_and_some_are_canceled), TEST(stop))
