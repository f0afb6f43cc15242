/* http/http_answer.c - an answer as libcurl hands it over: status lines, fields, pieces of the body. */
#include <stdio.h>
#include <time.h>

#include "http/http_priv.h"

enum { RETRY_AFTER_MAX_S = 7 * 86400 };

static const int64_t FRESH_MAX_S = INT64_C(366) * 86400;

/* "max-age=3600, private" (RFC 9111 section 5.2.2). */
static void take_cache_control(struct http_handle *h, struct span value)
{
	while (value.p) {
		struct span item = span_trim(span_cut(&value, ','));
		const struct span name = span_trim(span_cut(&item, '='));
		uint64_t n;
		if (span_ieq(name, SPAN("no-store")) || span_ieq(name, SPAN("no-cache"))) {
			h->no_cache = true;
		} else if (span_ieq(name, SPAN("max-age"))) {
			item = span_trim(item);
			if (item.n > 1 && item.p[0] == '"' && item.p[item.n - 1] == '"')
				item = span_first(span_skip(item, 1), item.n - 2);
			if (span_to_u64(item, (uint64_t)FRESH_MAX_S, &n))
				h->max_age_s = (int64_t)n;
		}
	}
}

/* Seconds or a date (RFC 9110 section 10.2.3). */
static int64_t retry_after(struct span value)
{
	char text[64];
	uint64_t n;

	if (span_to_u64(value, RETRY_AFTER_MAX_S, &n))
		return (int64_t)n;
	if (value.n >= sizeof text)
		return -1;
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(value));
	const time_t at = curl_getdate(text, NULL), now = time(NULL);
	if (at < 0)
		return -1;
	return at <= now ? 0 : at - now < RETRY_AFTER_MAX_S ? at - now : RETRY_AFTER_MAX_S;
}

static void take_field(struct http_handle *h, struct span name, struct span value)
{
	struct http_answer *a = &h->t->answer;
	uint64_t n;

	if (span_ieq(name, SPAN("content-type"))) {
		if (value.n < sizeof a->content_type)
			snprintf(a->content_type, sizeof a->content_type, "%.*s", SPAN_ARG(value));
	} else if (span_ieq(name, SPAN("cache-control"))) {
		take_cache_control(h, value);
	} else if (span_ieq(name, SPAN("age"))) {
		if (span_to_u64(value, (uint64_t)FRESH_MAX_S, &n))
			h->age_s = (int64_t)n;
	} else if (span_ieq(name, SPAN("retry-after"))) {
		a->retry_after_s = retry_after(value);
	}
}

void http_answer_begin(struct http_handle *h)
{
	struct http_answer *a = &h->t->answer;

	buf_reset(&a->body);
	a->content_type[0] = 0;
	a->retry_after_s = -1;
	h->max_age_s = -1;
	h->age_s = 0;
	h->no_cache = false;
}

size_t http_answer_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_handle *h = arg;
	struct span line = span_make(p, size * n);

	h->head_octets += line.n;
	if (h->head_octets > HTTP_HEAD_MAX) {
		h->head_too_long = true;
		return 0;
	}
	if (span_starts(line, SPAN("HTTP/"))) {
		http_answer_begin(h); /* after a redirect or a 100 there is another one */
	} else if (span_find_char(line, ':') > 0) {
		while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
			line.n--;
		const struct span name = span_cut(&line, ':');
		take_field(h, name, span_trim(line));
	}
	return size * n;
}

size_t http_answer_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_handle *h = arg;

	if (buf_add(&h->t->answer.body, p, size * n))
		return size * n;
	h->body_too_long = true;
	return 0;
}

int64_t http_answer_fresh(const struct http_handle *h)
{
	if (h->no_cache)
		return 0;
	if (h->max_age_s < 0)
		return -1;
	return h->max_age_s > h->age_s ? h->max_age_s - h->age_s : 0;
}
