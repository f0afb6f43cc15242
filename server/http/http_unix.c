#include "http/http_unix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <curl/curl.h>

enum { METHOD_MAX = 16, TARGET_MAX = 64 * 1024, ACTOR_MAX = 128 };

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	return buf_add(arg, p, size * n) ? size * n : 0;
}

static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 127)
			return false;
	return true;
}

/* Why nobody answers there is worth more words than libcurl has for it. */
static int no_answer(const struct http_unix_request *req, struct errtext *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const size_t n = strlen(req->socket);

	if (n >= sizeof at.sun_path)
		return errtext_set(e, ERR_TOOBIG, "%s: the path of a socket has at most %zu octets",
				   req->socket, sizeof at.sun_path - 1);
	memcpy(at.sun_path, req->socket, n + 1);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int why = fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (why == EACCES || why == EPERM)
		return errtext_set(e, ERR_DENIED,
				   "%s: permission denied; run this as the server's user or in its group",
				   req->socket);
	return errtext_set(e, why == ENOENT ? ERR_NOTFOUND : ERR_REFUSED,
			   "no server answers at %s (%s); is it running? --control names another socket",
			   req->socket, why ? strerror(why) : "it hung up");
}

static int failed(const struct http_unix_request *req, CURLcode code, bool overflow, struct errtext *e)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return no_answer(req, e);
	case CURLE_OPERATION_TIMEDOUT:
		return errtext_set(e, ERR_TIMEOUT, "%s: the server did not answer within %lld s", req->socket,
				   (long long)(req->timeout_us / 1000000));
	case CURLE_WRITE_ERROR:
		if (overflow)
			return errtext_set(e, ERR_TOOBIG,
					   "%s: the answer is larger than %zu octets; ask for less",
					   req->socket, req->answer_max);
		/* fallthrough */
	default:
		return errtext_set(e, ERR_IO, "%s: %s", req->socket, curl_easy_strerror(code));
	}
}

struct texts {
	char method[METHOD_MAX], actor[ACTOR_MAX + 32];
	struct buf url;
};

/* What libcurl wants as C strings. */
static int prepare(const struct http_unix_request *req, struct texts *t, struct errtext *e)
{
	if (!req->method.n || req->method.n >= METHOD_MAX || !is_plain(req->method) ||
	    !is_plain(req->target) || !span_starts(req->target, SPAN("/")))
		return errtext_set(e, ERR_INVAL, "not a request: %.*s %.*s",
				   SPAN_ARG(span_first(req->method, 20)),
				   SPAN_ARG(span_first(req->target, 100)));
	snprintf(t->method, sizeof t->method, "%.*s", SPAN_ARG(req->method));
	snprintf(t->actor, sizeof t->actor, "X-Postern-Actor: %.*s",
		 SPAN_ARG(span_first(req->actor, ACTOR_MAX)));
	t->url = BUF_INIT(TARGET_MAX);
	buf_add_str(&t->url, "http://localhost");
	buf_add_span(&t->url, req->target);
	if (t->url.overflow) {
		buf_free(&t->url);
		return errtext_set(e, ERR_TOOBIG,
				   "the request is longer than %d octets; select less at a time", TARGET_MAX);
	}
	return 0;
}

int http_unix(const struct http_unix_request *req, struct http_unix_answer *answer_r, struct errtext *e)
{
	const bool post = span_eq(req->method, SPAN("POST"));
	struct http_unix_answer answer = { .body = BUF_INIT(req->answer_max) };
	struct curl_slist *headers = NULL;
	struct texts t;
	long status = 0;

	int err = prepare(req, &t, e);
	if (err < 0)
		return err;
	CURL *c = curl_easy_init();
	if (!c) {
		buf_free(&t.url);
		return errtext_set(e, ERR_NOMEM, "libcurl could not be started");
	}
	/* A large body would otherwise wait a second for "100 Continue". */
	headers = curl_slist_append(headers, "Expect:");
	if (req->actor.n && is_plain(req->actor))
		headers = curl_slist_append(headers, t.actor);
	curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, req->socket);
	curl_easy_setopt(c, CURLOPT_URL, buf_cstr(&t.url));
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http"); /* whatever the target says */
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(req->timeout_us / 1000));
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer.body);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, t.method);
	if (post) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, req->body.n ? req->body.p : "");
	}
	const CURLcode code = curl_easy_perform(c);
	if (code == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	else
		err = failed(req, code, answer.body.overflow, e);
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	buf_free(&t.url);
	if (err < 0) {
		buf_free(&answer.body);
		return err;
	}
	answer.status = (unsigned)status;
	*answer_r = answer;
	return 0;
}

const char *http_unix_library(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
