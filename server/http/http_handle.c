/* http/http_handle.c - what libcurl is told about a transfer, and what it tells us. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "http/http_priv.h"

enum { HOST_MAX = 256, CONNECT_MS_MAX = 10000, SMALL_OCTETS = 64 * 1024 };

int64_t http_now_us(void)
{
	struct timespec ts;

	require(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- the request ----------------------------------------------------------------------------------------------------- */

static int fail(struct http_transfer *t, int err, const char *why)
{
	t->status = -err;
	t->step = HTTP_STEP_REQUEST;
	snprintf(t->why, sizeof t->why, "%s", why);
	return -err;
}

/* "host" and "host:port" of the URL, and the port it means. */
static int host_of(const char *url, char *host, uint16_t *port_r)
{
	CURLU *u = curl_url();
	char *name = NULL, *port = NULL;
	uint64_t n = 0;

	const bool good = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
			  curl_url_get(u, CURLUPART_HOST, &name, 0) == CURLUE_OK &&
			  curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
			  strlen(name) < HOST_MAX && span_to_u64(span_of(port), 65535, &n);
	if (good) {
		snprintf(host, HOST_MAX, "%s", name);
		*port_r = (uint16_t)n;
	}
	curl_free(name);
	curl_free(port);
	curl_url_cleanup(u);
	return good ? 0 : -ERR_INVAL;
}

static struct curl_slist *add(struct curl_slist *list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(list, text);

	require(longer);
	return longer;
}

/* "name: value" with a value that may be a secret. */
static struct curl_slist *add_field(struct curl_slist *list, const char *name, struct span value)
{
	char *text;

	if (!value.n)
		return list;
	const size_t size = strlen(name) + 2 + value.n + 1;
	text = mem_alloc_raw(size);
	snprintf(text, size, "%s: %.*s", name, SPAN_ARG(value));
	list = add(list, text);
	mem_wipe(text, size);
	free(text);
	return list;
}

static bool is_field_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return true;
}

/* Where to connect, when that is not the URL's host as the system resolves it. */
static void set_place(struct http_handle *h, const char *host, uint16_t port)
{
	const struct http_request *req = &h->t->request;
	const uint16_t to = req->connect_port ? req->connect_port : port;
	struct buf entry = BUF_INIT(HOST_MAX + HTTP_ADDRS_MAX * 64);

	if (req->connect_port) {
		buf_addf(&entry, "%s:%u:%s:%u", host, port, host, to);
		h->connect_to = add(NULL, buf_cstr(&entry));
		curl_easy_setopt(h->easy, CURLOPT_CONNECT_TO, h->connect_to);
		buf_reset(&entry);
	}
	for (size_t i = 0; i < req->naddrs && i < HTTP_ADDRS_MAX; i++) {
		const struct ip_text text = ip_format(&req->addrs[i]);
		if (i == 0)
			buf_addf(&entry, "+%s:%u:", host, to);
		buf_addf(&entry, "%s%s", i ? "," : "", text.s);
	}
	if (entry.n) {
		h->resolve = add(NULL, buf_cstr(&entry));
		curl_easy_setopt(h->easy, CURLOPT_RESOLVE, h->resolve);
	}
	buf_free(&entry);
}

static char *text_of(struct span s)
{
	return mem_strndup(s.p ? s.p : "", s.n);
}

/* The connection stands: libcurl tells of its times only when TLS does too. */
static CURLcode on_tls_begin(CURL *easy, void *context, void *arg)
{
	struct http_handle *h = arg;

	(void)easy;
	(void)context;
	h->tls_begun = true;
	return CURLE_OK;
}

static void set_trust(struct http_handle *h)
{
	const struct http_request *req = &h->t->request;

	curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(h->easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_begin);
	curl_easy_setopt(h->easy, CURLOPT_SSL_CTX_DATA, h);
	curl_easy_setopt(h->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (req->ca_file.n) {
		char *file = text_of(req->ca_file);
		curl_easy_setopt(h->easy, CURLOPT_CAINFO, file);
		curl_easy_setopt(h->easy, CURLOPT_CAPATH,
				 NULL); /* those of the system would be trusted besides */
		free(file);
	}
}

static void set_proxy(struct http_handle *h)
{
	char *proxy = text_of(h->t->request.proxy);

	curl_easy_setopt(h->easy, CURLOPT_PROXY, proxy); /* empty: not even that of the environment */
	curl_easy_setopt(h->easy, CURLOPT_NOPROXY, "");
	free(proxy);
}

static void set_method(struct http_handle *h)
{
	const struct http_request *req = &h->t->request;
	const bool post = req->body.p != NULL;
	const bool may_move = req->redirects_max && !post && !req->authorization.n;

	/* Without that a large body waits a second for "100 Continue". */
	h->headers = add(NULL, "Expect:");
	h->headers = add_field(h->headers, "Accept", req->accept);
	h->headers = add_field(h->headers, "Authorization", req->authorization);
	if (post) {
		h->headers = add_field(h->headers, "Content-Type", req->content_type);
		curl_easy_setopt(h->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
		curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, req->body.p);
	}
	curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(h->easy, CURLOPT_FOLLOWLOCATION, may_move ? 1L : 0L);
	curl_easy_setopt(h->easy, CURLOPT_MAXREDIRS, (long)req->redirects_max);
}

static void set_rest(struct http_handle *h, const char *url, int64_t left_us)
{
	const struct http_request *req = &h->t->request;
	const long left_ms = (long)(left_us / 1000) + 1;
	const char *schemes = req->clear_ok ? "http,https" : "https";

	curl_easy_setopt(h->easy, CURLOPT_URL, url);
	curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS_STR, schemes);
	curl_easy_setopt(h->easy, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
	curl_easy_setopt(h->easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(h->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h->easy, CURLOPT_USERAGENT, "postern");
	curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(h->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, left_ms);
	curl_easy_setopt(h->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 left_ms < CONNECT_MS_MAX ? left_ms : CONNECT_MS_MAX);
	/* The system's resolver cannot be stopped; it is not waited for either. */
	curl_easy_setopt(h->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(h->easy, CURLOPT_PRIVATE, h->t);
	curl_easy_setopt(h->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)req->body_max);
	curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, http_answer_header);
	curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, http_answer_body);
	curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
}

int http_handle_open(struct http_transfer *t)
{
	const struct http_request *req = &t->request;
	const int64_t left_us = req->deadline_us - (http_now_us() - t->began_us_);
	char url[HTTP_URL_MAX + 1], host[HOST_MAX];
	uint16_t port;

	buf_wipe(&t->answer.body);
	t->answer =
		(struct http_answer){ .body = BUF_INIT(req->body_max), .fresh_s = -1, .retry_after_s = -1 };
	t->status = 0;
	t->why[0] = 0;
	if (req->url.n > HTTP_URL_MAX || !req->url.n || memchr(req->url.p, 0, req->url.n))
		return fail(t, ERR_INVAL, "no URL, or one that is too long");
	if (!is_field_text(req->authorization) || !is_field_text(req->content_type) ||
	    !is_field_text(req->accept))
		return fail(t, ERR_INVAL, "a header field with a control character");
	if (left_us <= 0)
		return fail(t, ERR_TIMEOUT, "it never came to the front of the queue");
	snprintf(url, sizeof url, "%.*s", SPAN_ARG(req->url));
	if (host_of(url, host, &port) < 0)
		return fail(t, ERR_INVAL, "that is no URL with a host");
	struct http_handle *h = t->handle_ = mem_alloc(sizeof *h);
	h->t = t;
	if (req->body_max <= SMALL_OCTETS) /* so that it never moves and leaves a copy behind */
		buf_reserve(&t->answer.body, req->body_max);
	h->easy = curl_easy_init();
	require(h->easy);
	http_answer_begin(h);
	set_rest(h, url, left_us);
	set_trust(h);
	set_proxy(h);
	set_method(h);
	set_place(h, host, port);
	return 0;
}

void http_handle_close(struct http_transfer *t)
{
	struct http_handle *h = t->handle_;

	if (!h)
		return;
	t->handle_ = NULL;
	curl_easy_cleanup(h->easy);
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->resolve);
	curl_slist_free_all(h->connect_to);
	free(h);
}

/* ---- what came of it ------------------------------------------------------------------------------------------------- */

/* How far it had come. */
static enum http_step step_of(struct http_handle *h)
{
	curl_off_t resolved = 0, connected = 0, secured = 0;

	curl_easy_getinfo(h->easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
	curl_easy_getinfo(h->easy, CURLINFO_CONNECT_TIME_T, &connected);
	curl_easy_getinfo(h->easy, CURLINFO_APPCONNECT_TIME_T, &secured);
	if (secured || (connected && !h->tls_begun))
		return HTTP_STEP_ANSWER;
	if (h->tls_begun)
		return HTTP_STEP_TLS;
	return resolved ? HTTP_STEP_CONNECT : HTTP_STEP_RESOLVE;
}

static int error_of(CURLcode code, enum http_step *step)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		*step = HTTP_STEP_RESOLVE;
		return ERR_UNREACH;
	case CURLE_COULDNT_CONNECT:
		*step = HTTP_STEP_CONNECT;
		return ERR_REFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CERTPROBLEM:
		*step = HTTP_STEP_TLS;
		return ERR_DENIED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ENGINE_INITFAILED:
		*step = HTTP_STEP_TLS;
		return ERR_IO;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_LOGIN_DENIED:
		*step = HTTP_STEP_REQUEST;
		return ERR_INVAL;
	case CURLE_TOO_MANY_REDIRECTS:
		*step = HTTP_STEP_ANSWER;
		return ERR_DENIED;
	case CURLE_FILESIZE_EXCEEDED:
		*step = HTTP_STEP_ANSWER;
		return ERR_TOOBIG;
	default:
		return ERR_IO;
	}
}

/* One line, printable. */
static void say(struct http_transfer *t, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < sizeof t->why; text++)
		t->why[n++] = (char)((unsigned char)*text < ' ' || *text == 127 ? ' ' : *text);
	t->why[n] = 0;
}

void http_handle_result(struct http_handle *h, CURLcode code)
{
	struct http_transfer *t = h->t;
	long status = 0;

	if (code == CURLE_OK) {
		curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
		t->answer.status = (unsigned)status;
		t->answer.fresh_s = http_answer_fresh(h);
		t->status = 0;
		return;
	}
	t->step = step_of(h);
	t->status = -error_of(code, &t->step);
	if (h->head_too_long || h->body_too_long || code == CURLE_FILESIZE_EXCEEDED) {
		t->status = -ERR_TOOBIG;
		say(t, h->head_too_long ? "the header of the answer is too long" : "the answer is too long");
	} else {
		say(t, h->error[0] ? h->error : curl_easy_strerror(code));
	}
	buf_wipe(&t->answer.body);
}

void http_handle_canceled(struct http_handle *h)
{
	struct http_transfer *t = h->t;

	t->status = -ERR_CANCELED;
	t->step = step_of(h);
	say(t, "given up");
	buf_wipe(&t->answer.body);
}
