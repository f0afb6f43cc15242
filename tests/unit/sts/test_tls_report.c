#include "sts/tls_report.h"

#include <pthread.h>

#include "base/err.h"
#include "test.h"

#define NOON (INT64_C(20000) * 86400 * 1000000 + INT64_C(43200) * 1000000) /* 2024-10-04 */
#define DAY  (INT64_C(86400) * 1000000)

static void add(struct tls_report *r, int64_t at_us, const char *domain, enum tls_report_policy policy,
		enum tls_report_result result, const char *mx)
{
	struct tls_report_session s = { .wall_us = at_us,
					.domain = span_of(domain),
					.policy = policy,
					.result = result,
					.mx = span_of(mx),
					.reason = result ? SPAN("because") : SPAN("") };

	CHECK(ip_parse(SPAN("192.0.2.1"), &s.addr));
	tls_report_add(r, &s);
}

static int report(struct tls_report *r, int64_t at_us, const char *domain, struct buf *out)
{
	buf_reset(out);
	return tls_report_json(r, at_us, SPAN("Example U"), SPAN("postmaster@example.edu"), span_of(domain),
			       out);
}

static void a_report(void)
{
	struct tls_report *r = tls_report_new();
	struct buf out = BUF_INIT(65536);

	add(r, NOON, "example.org", TLS_REPORT_POLICY_STS, TLS_REPORT_SUCCESS, "mx.example.org");
	add(r, NOON, "example.org", TLS_REPORT_POLICY_STS, TLS_REPORT_SUCCESS, "mx.example.org");
	add(r, NOON + 1, "example.org", TLS_REPORT_POLICY_STS, TLS_REPORT_EXPIRED, "mx.example.org");
	add(r, NOON + 2, "example.org", TLS_REPORT_POLICY_STS, TLS_REPORT_EXPIRED, "mx.example.org");
	CHECK_INT(1, report(r, NOON + 3, "", &out));
	CHECK_SPAN(
		"{\"organization-name\":\"Example U\","
		"\"date-range\":{\"start-datetime\":\"2024-10-04T00:00:00Z\",\"end-datetime\":\"2024-10-04T23:59:59Z\"},"
		"\"contact-info\":\"postmaster@example.edu\",\"report-id\":\"20000\",\"policies\":["
		"{\"policy\":{\"policy-type\":\"sts\",\"policy-domain\":\"example.org\"},"
		"\"summary\":{\"total-successful-session-count\":2,\"total-failure-session-count\":2},"
		"\"failure-details\":[{\"result-type\":\"certificate-expired\",\"receiving-mx-hostname\":\"mx.example.org\","
		"\"receiving-ip\":\"192.0.2.1\",\"failed-session-count\":2,\"failure-reason-code\":\"because\"}]}]}",
		buf_span(&out));
	add(r, NOON, "b.example", TLS_REPORT_POLICY_NONE, TLS_REPORT_NO_STARTTLS, "");
	CHECK_INT(2, report(r, NOON, "", &out));
	CHECK_INT(1, report(r, NOON, "b.example", &out));
	CHECK(span_find(buf_span(&out), SPAN("no-policy-found")) > 0);
	CHECK(span_find(buf_span(&out), SPAN("receiving-mx-hostname")) < 0);
	CHECK_INT(0, report(r, NOON, "c.example", &out));
	buf_free(&out);
	tls_report_free(&r);
	CHECK(r == NULL);
}

static void days_go(void)
{
	struct tls_report *r = tls_report_new();
	struct buf out = BUF_INIT(65536);

	for (int64_t day = 0; day < 4; day++) {
		add(r, NOON + day * DAY, "a.example", TLS_REPORT_POLICY_NONE, TLS_REPORT_SUCCESS, "");
		CHECK_INT(1, report(r, NOON + day * DAY, "", &out));
		CHECK_INT(day > 0, report(r, NOON + (day - 1) * DAY, "", &out));
		CHECK_INT(0, report(r, NOON + (day - 2) * DAY, "", &out));
	}
	add(r, NOON, "late.example", TLS_REPORT_POLICY_NONE, TLS_REPORT_SUCCESS, ""); /* long over */
	CHECK_INT(0, report(r, NOON, "", &out));
	CHECK_INT(1, report(r, NOON + 3 * DAY, "", &out));
	buf_free(&out);
	tls_report_free(&r);
}

static void there_are_maxima(void)
{
	struct tls_report *r = tls_report_new();
	struct buf out = BUF_INIT(8 << 20), small = BUF_INIT(1000);
	char name[40];

	for (int i = 0; i < TLS_REPORT_DOMAINS + 10; i++) {
		snprintf(name, sizeof name, "d%d.example", i);
		add(r, NOON, name, TLS_REPORT_POLICY_NONE, TLS_REPORT_SUCCESS, "");
	}
	CHECK_INT(TLS_REPORT_DOMAINS + 1, report(r, NOON, "", &out));
	CHECK_INT(1, report(r, NOON, "*", &out));
	CHECK(span_find(buf_span(&out), SPAN("\"total-successful-session-count\":10")) > 0);
	for (int i = 0; i < TLS_REPORT_DETAILS + 5; i++) {
		snprintf(name, sizeof name, "mx%d.example", i);
		add(r, NOON, "d1.example", TLS_REPORT_POLICY_TLSA, TLS_REPORT_TLSA_INVALID, name);
	}
	CHECK_INT(1, report(r, NOON, "d1.example", &out));
	CHECK(span_find(buf_span(&out), SPAN("\"total-failure-session-count\":21")) > 0);
	CHECK(span_find(buf_span(&out), SPAN("mx15.example")) > 0);
	CHECK(span_find(buf_span(&out), SPAN("mx16.example")) < 0);
	CHECK_INT(-ERR_TOOBIG, report(r, NOON, "", &small));
	CHECK_INT(0, small.n);
	add(r, NOON, "", TLS_REPORT_POLICY_NONE, TLS_REPORT_SUCCESS, "");
	buf_free(&small);
	buf_free(&out);
	tls_report_free(&r);
}

static void *count(void *arg)
{
	for (int i = 0; i < 2000; i++)
		add(arg, NOON, i % 2 ? "a.example" : "b.example", TLS_REPORT_POLICY_NONE, TLS_REPORT_SUCCESS,
		    "");
	return NULL;
}

static void threads_share_it(void)
{
	struct tls_report *r = tls_report_new();
	struct buf out = BUF_INIT(65536);
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		NEED(pthread_create(&thread[i], NULL, count, r) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	CHECK_INT(1, report(r, NOON, "a.example", &out));
	CHECK(span_find(buf_span(&out), SPAN("\"total-successful-session-count\":4000")) > 0);
	buf_free(&out);
	tls_report_free(&r);
}

TEST_MAIN(TEST(a_report), TEST(days_go), TEST(there_are_maxima), TEST(threads_share_it))
