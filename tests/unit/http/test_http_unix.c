/* Against a server of a few lines on a thread: what is asked arrives, what is answered comes back, what goes wrong says what to do. */
#include "http/http_unix.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/thread.h"
#include "test.h"

struct server {
	char dir[64], path[96];
	int fd;
	struct span answer;
	struct buf got;
	bool hangs;
	struct thread *thread;
};

/* Reads until the request is complete: its head, and a body of @Content-Length. */
static bool complete(struct span in)
{
	const ptrdiff_t end = span_find(in, SPAN("\r\n\r\n")), at = span_find(in, SPAN("Content-Length: "));
	uint64_t n = 0;

	if (end < 0)
		return false;
	if (at >= 0) {
		struct span rest = span_skip(in, (size_t)at + 16);
		span_to_u64(span_first(rest, (size_t)span_find_char(rest, '\r')), 1 << 20, &n);
	}
	return in.n >= (size_t)end + 4 + n;
}

static void serve_one(void *arg)
{
	struct server *s = arg;
	char chunk[4096];
	ssize_t n;
	const int fd = accept(s->fd, NULL, NULL);

	while (fd >= 0 && !complete(buf_span(&s->got)) && (n = read(fd, chunk, sizeof chunk)) > 0)
		buf_add(&s->got, chunk, (size_t)n);
	if (!s->hangs) {
		for (struct span left = s->answer;
		     left.n && (n = send(fd, left.p, left.n, MSG_NOSIGNAL)) > 0;)
			left = span_skip(left, (size_t)n);
	} else {
		while (read(fd, chunk, sizeof chunk) > 0) { /* until the client gives up */
		}
	}
	close(fd);
}

static void server_open(struct server *s, struct span answer)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	*s = (struct server){ .answer = answer, .got = BUF_INIT(1 << 20) };
	snprintf(s->dir, sizeof s->dir, "/tmp/postern-http-XXXXXX");
	NEED(mkdtemp(s->dir) != NULL);
	snprintf(s->path, sizeof s->path, "%s/sock", s->dir);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	NEED(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(s->fd, 4) == 0);
}

static void server_start(struct server *s)
{
	s->thread = thread_start("server", serve_one, s);
}

static void server_close(struct server *s)
{
	if (s->thread)
		thread_join(&s->thread);
	close(s->fd);
	unlink(s->path);
	rmdir(s->dir);
	buf_free(&s->got);
}

static struct http_unix_request request(const struct server *s)
{
	return (struct http_unix_request){ .socket = s->path,
					   .method = SPAN("GET"),
					   .target = SPAN("/v1/x?a=b%20c"),
					   .timeout_us = 5000000,
					   .answer_max = 1000 };
}

static bool has(const struct server *s, const char *part)
{
	return span_find(buf_span(&s->got), span_of(part)) >= 0;
}

static void a_request_arrives_and_is_answered(void)
{
	struct server s;
	struct http_unix_answer a;
	struct errtext e;

	server_open(&s, SPAN("HTTP/1.1 422 No\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"));
	server_start(&s);
	struct http_unix_request req = request(&s);
	req.actor = SPAN("alice");
	NEED(http_unix(&req, &a, &e) == 0);
	CHECK_INT(422, a.status);
	CHECK_SPAN("hello", buf_span(&a.body));
	buf_free(&a.body);
	CHECK(has(&s, "GET /v1/x?a=b%20c HTTP/1.1\r\n"));
	CHECK(has(&s, "X-Postern-Actor: alice\r\n"));
	server_close(&s);
}

static void a_body_is_sent_as_it_is(void)
{
	struct server s;
	struct http_unix_answer a;
	struct errtext e;

	server_open(&s, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
	server_start(&s);
	struct http_unix_request req = request(&s);
	req.method = SPAN("POST");
	req.body = SPAN("nul \0 and\r\nlines");
	NEED(http_unix(&req, &a, &e) == 0);
	CHECK_INT(200, a.status);
	CHECK_INT(0, a.body.n);
	buf_free(&a.body);
	CHECK(span_ends(buf_span(&s.got), SPAN("\r\n\r\nnul \0 and\r\nlines")));
	CHECK(!has(&s, "Expect:"));
	server_close(&s);
}

static void an_answer_has_a_maximum(void)
{
	struct server s;
	struct http_unix_answer a;
	struct errtext e;

	server_open(&s,
		    SPAN("HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world"));
	server_start(&s);
	struct http_unix_request req = request(&s);
	req.answer_max = 10;
	CHECK_INT(-ERR_TOOBIG, http_unix(&req, &a, &e));
	CHECK(strstr(e.s, "ask for less") != NULL);
	server_close(&s);
}

static void a_server_that_is_silent_is_left(void)
{
	struct server s;
	struct http_unix_answer a;
	struct errtext e;

	server_open(&s, SPAN(""));
	s.hangs = true;
	server_start(&s);
	struct http_unix_request req = request(&s);
	req.timeout_us = 100000;
	CHECK_INT(-ERR_TIMEOUT, http_unix(&req, &a, &e));
	CHECK(strstr(e.s, "did not answer") != NULL);
	server_close(&s);
}

static void what_is_no_http_is_an_error(void)
{
	struct server s;
	struct http_unix_answer a;
	struct errtext e;

	server_open(&s, SPAN("220 relay.example.edu ESMTP\r\n"));
	server_start(&s);
	const struct http_unix_request req = request(&s);
	CHECK_INT(-ERR_IO, http_unix(&req, &a, &e));
	server_close(&s);
}

static void no_server_says_what_to_do(void)
{
	struct server s;
	struct http_unix_answer a;
	struct errtext e;

	server_open(&s, SPAN(""));
	struct http_unix_request req = request(&s);
	close(s.fd); /* the file stays, as after a crash */
	s.fd = -1;
	CHECK_INT(-ERR_REFUSED, http_unix(&req, &a, &e));
	CHECK(strstr(e.s, "is it running? --control names another socket") != NULL);
	unlink(s.path);
	CHECK_INT(-ERR_NOTFOUND, http_unix(&req, &a, &e));
	CHECK(strstr(e.s, "no server answers at ") != NULL);
	server_close(&s);
}

static void a_socket_of_others_says_so(void)
{
	struct server s;
	struct http_unix_answer a;
	struct errtext e;

	if (geteuid() == 0) { /* root may always */
		CHECK(true);
		return;
	}
	server_open(&s, SPAN(""));
	const struct http_unix_request req = request(&s);
	NEED(chmod(s.path, 0) == 0);
	CHECK_INT(-ERR_DENIED, http_unix(&req, &a, &e));
	server_close(&s);
}

static void what_is_no_request_is_refused(void)
{
	struct server s;
	struct http_unix_answer a;
	struct errtext e;
	char path[200];

	server_open(&s, SPAN(""));
	struct http_unix_request req = request(&s);
	req.target = SPAN("no slash");
	CHECK_INT(-ERR_INVAL, http_unix(&req, &a, &e));
	req = request(&s);
	req.target = SPAN("/x\r\nX-Other: y");
	CHECK_INT(-ERR_INVAL, http_unix(&req, &a, &e));
	req = request(&s);
	req.method = SPAN("");
	CHECK_INT(-ERR_INVAL, http_unix(&req, &a, &e));
	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = 0;
	req = request(&s);
	req.socket = path;
	CHECK(http_unix(&req, &a, &e) < 0);
	server_close(&s);
}

TEST_MAIN(TEST(a_request_arrives_and_is_answered), TEST(a_body_is_sent_as_it_is),
	  TEST(an_answer_has_a_maximum), TEST(a_server_that_is_silent_is_left),
	  TEST(what_is_no_http_is_an_error), TEST(no_server_says_what_to_do),
	  TEST(a_socket_of_others_says_so), TEST(what_is_no_request_is_refused))
