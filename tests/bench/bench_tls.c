/* bench_tls.c - what TLS costs: handshakes beside `openssl s_server`, memory of idle sessions, octets beside plain TCP.
 *
 * usage: bench_tls [SECONDS]          of each measurement; default 3
 *
 * Each server is a process of its own. Since it shares the machine with the client that drives it, what counts is handshakes per
 * second of its processor time (of the whole process, the kernel's part of it too). `openssl s_time` drives both, full and
 * resumed (-reuse; it reads no tickets of TLS 1.3, so that one is driven by a client of our own). Wanted: ratio >= 0.80; an idle
 * session <= 40 KiB.
 */
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/mem.h"
#include "io/tcp.h"
#include "tls/tls_certs.h"
#include "tls/tls_stream.h"

enum { IDLE = 1000, WARM_UP = 50 };
#define BULK_OCTETS (INT64_C(512) * 1024 * 1024)

/* ---- a server of ours --------------------------------------------------------------------------------------- */

struct server {
	struct loop *l;
	struct scope scope;
	struct tls_server *ts; /* NULL: plain */
	bool sends;            /* BULK_OCTETS to everyone */
};

struct conn {
	struct server *server;
	struct tls_handshake h;
	struct stream *s;
	int64_t left;
};

static char zeros[256 * 1024];

static void conn_send(struct conn *c)
{
	while (c->left > 0 && stream_pending(c->s) <= STREAM_OUT_HIGH) {
		const struct span part = span_first(span_make(zeros, sizeof zeros), (size_t)c->left);
		if (stream_write_ref(c->s, part, NULL, NULL) < 0)
			return;
		c->left -= (int64_t)part.n;
	}
	if (c->left == 0)
		stream_close(c->s, true);
}

static void conn_readable(struct stream *s, void *owner)
{
	(void)owner;
	stream_consume(s, stream_input(s).n);
	stream_want_input(s, true);
	if (stream_eof(s))
		stream_close(s, true);
}

static void conn_writable(struct stream *s, void *owner)
{
	(void)s;
	conn_send(owner);
}

static void conn_closed(struct stream *s, void *owner, int err)
{
	(void)err;
	stream_free(s);
	free(owner);
}

static const struct stream_events conn_events = { .readable = conn_readable,
						  .writable = conn_writable,
						  .closed = conn_closed };

static void conn_open(struct conn *c, struct stream *s)
{
	c->s = s;
	stream_set_owner(s, &conn_events, c);
	if (c->server->sends) {
		c->left = BULK_OCTETS;
		conn_send(c);
	}
}

static void conn_shaken(struct op *op)
{
	struct conn *c = container_of(container_of(op, struct tls_handshake, op), struct conn, h);

	if (op->status < 0)
		free(c);
	else
		conn_open(c, c->h.stream_r);
}

static void accepted(void *arg, struct stream *s)
{
	struct server *server = arg;
	struct conn *c = mem_alloc(sizeof *c);

	c->server = server;
	tls_handshake_init(&c->h, conn_shaken);
	if (!server->ts)
		conn_open(c, s);
	else
		require(tls_accept_start(&c->h, &server->scope, s, server->ts, INT64_C(30000000)) == 0);
}

struct child {
	pid_t pid;
	uint16_t port;
	int hold; /* its standard input, for s_server */
};

static struct child start_ours(const char *cert, bool sends, enum tls_version max)
{
	struct ip_endpoint at = { .port = 0 }, bound = { .port = 0 };
	struct errtext e = { "" };

	require(ip_parse(SPAN("127.0.0.1"), &at.addr));
	const int fd = tcp_listen_fd(&at, 1024, &bound, &e);
	require(fd >= 0);
	const pid_t pid = fork();
	if (pid > 0) {
		close(fd);
		return (struct child){ pid, bound.port, -1 };
	}
	struct server server = { .l = loop_new(), .sends = sends };
	scope_init(&server.scope, server.l, NULL);
	if (cert) {
		const struct tls_cert one = { .cert = span_of(cert) };
		const struct tls_server_config cfg = { .certs = &one,
						       .ncerts = 1,
						       .max = max,
						       .security_level = -1,
						       .session_lifetime_s = 7200 };
		if (tls_server_new(&cfg, &server.ts, &e) < 0) {
			fprintf(stderr, "%s\n", e.s);
			_exit(1);
		}
	}
	struct listener *listener = listener_new(server.l, fd, accepted, &server);
	loop_run(server.l);
	listener_close(&listener);
	_exit(0);
}

static uint16_t free_port(void)
{
	struct ip_endpoint at = { .port = 0 }, bound = { .port = 0 };

	require(ip_parse(SPAN("127.0.0.1"), &at.addr));
	const int fd = tcp_listen_fd(&at, 1, &bound, NULL);
	require(fd >= 0);
	close(fd);
	return bound.port;
}

static struct child start_openssl(const char *cert)
{
	struct child c = { .port = free_port() };
	char accept_at[16];
	int in[2];

	snprintf(accept_at, sizeof accept_at, "%u", c.port);
	require(pipe(in) == 0);
	c.pid = fork();
	if (c.pid == 0) {
		dup2(in[0], 0);
		close(in[1]);
		require(freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr));
		execlp("openssl", "openssl", "s_server", "-4", "-accept", accept_at, "-cert", cert, "-key",
		       cert, "-quiet", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	c.hold = in[1];
	usleep(300 * 1000);
	return c;
}

static void stop(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	if (c->hold >= 0)
		close(c->hold);
}

static double cpu_s(const struct child *c)
{
	struct timespec ts;
	clockid_t clock;

	require(clock_getcpuclockid(c->pid, &clock) == 0 && clock_gettime(clock, &ts) == 0);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- clients ------------------------------------------------------------------------------------------------- */

static int dial(uint16_t port)
{
	struct ip_endpoint to = { .port = port };
	struct sockaddr_storage sa;

	require(ip_parse(SPAN("127.0.0.1"), &to.addr));
	const socklen_t n = ip_to_sockaddr(&to, &sa);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(fd >= 0 && connect(fd, (struct sockaddr *)&sa, n) == 0);
	return fd;
}

static SSL *dial_tls(SSL_CTX *ctx, uint16_t port, SSL_SESSION *session)
{
	SSL *ssl = SSL_new(ctx);
	const int fd = dial(port);

	require(ssl && SSL_set_fd(ssl, fd) == 1 && (!session || SSL_set_session(ssl, session) == 1));
	require(SSL_connect(ssl) == 1);
	return ssl;
}

static void hang_up(SSL *ssl)
{
	const int fd = SSL_get_fd(ssl);

	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(ssl);
	close(fd);
}

static SSL_SESSION *fresh_session;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(fresh_session);
	fresh_session = session;
	return 1;
}

/* The ticket comes behind the handshake. */
static void await_ticket(SSL *ssl)
{
	const struct timeval soon = { .tv_usec = 200 * 1000 };
	char octet;

	setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
	while (!fresh_session && SSL_read(ssl, &octet, 1) <= 0 &&
	       SSL_get_error(ssl, 0) == SSL_ERROR_WANT_READ)
		continue;
}

/* Handshakes of TLS 1.3 with one session again and again, which servers allow. */
static unsigned resume_13(uint16_t port, double seconds)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	unsigned n = 0;

	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	SSL *ssl = dial_tls(ctx, port, NULL);
	await_ticket(ssl);
	hang_up(ssl);
	SSL_SESSION *session = fresh_session;
	require(session);
	for (const double end = wall_s() + seconds; wall_s() < end; n++) {
		SSL_SESSION *again = SSL_SESSION_dup(session);
		ssl = dial_tls(ctx, port, again);
		if (SSL_session_reused(ssl) != 1)
			printf("not resumed\n");
		SSL_SESSION_free(again);
		hang_up(ssl);
	}
	fresh_session = NULL;
	SSL_CTX_free(ctx);
	return n;
}

/* How many connections `openssl s_time` says it made. */
static unsigned run_s_time(uint16_t port, const char *options, int seconds)
{
	char command[256], line[256];
	unsigned n = 0, one;

	snprintf(command, sizeof command, "openssl s_time -connect 127.0.0.1:%u -time %d %s 2>/dev/null",
		 port, seconds, options);
	FILE *f = popen(command, "r");
	require(f);
	while (fgets(line, sizeof line, f))
		if (strstr(line, "real seconds") && sscanf(line, "%u", &one) == 1)
			n = one;
	pclose(f);
	return n;
}

/* ---- measurements -------------------------------------------------------------------------------------------- */

struct row {
	const char *what, *key, *options; /* options NULL: resume_13() */
};

static double rate(struct child c, const struct row *r, int seconds)
{
	if (r->options)
		run_s_time(c.port, r->options, 1);
	const double before = cpu_s(&c);
	const unsigned n = r->options ? run_s_time(c.port, r->options, seconds) : resume_13(c.port, seconds);
	const double took = cpu_s(&c) - before;

	stop(&c);
	return took > 0 ? n / took : 0;
}

static void handshakes(int seconds)
{
	static const struct row rows[] = {
		{ "full    TLS 1.3 ECDSA P-256", "ec.pem", "-new -tls1_3" },
		{ "full    TLS 1.2 ECDSA P-256", "ec.pem", "-new -tls1_2" },
		{ "full    TLS 1.3 RSA 2048", "rsa.pem", "-new -tls1_3" },
		{ "resumed TLS 1.2 (s_time -reuse)", "ec.pem", "-reuse -tls1_2" },
		{ "resumed TLS 1.3", "ec.pem", NULL },
	};

	printf("handshakes per second of the server's processor time\n%-34s %10s %10s %7s\n", "", "postern",
	       "s_server", "ratio");
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const double ours = rate(start_ours(certs_path(rows[i].key), false, TLS_VERSION_DEFAULT),
					 &rows[i], seconds);
		const double theirs = rate(start_openssl(certs_path(rows[i].key)), &rows[i], seconds);
		printf("%-34s %10.0f %10.0f %7.2f\n", rows[i].what, ours, theirs,
		       theirs > 0 ? ours / theirs : 0);
	}
}

static long resident_kib(const struct child *c)
{
	char path[64], line[128];
	long kib = 0;

	snprintf(path, sizeof path, "/proc/%d/status", (int)c->pid);
	FILE *f = fopen(path, "r");
	require(f);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

/* They have shaken hands, said something and wait. */
static void idle_memory(enum tls_version max, const char *what)
{
	static SSL *clients[IDLE];
	struct child c = start_ours(certs_path("ec.pem"), false, max);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	long before = 0;

	for (unsigned i = 0; i < IDLE; i++) {
		if (i == WARM_UP)
			before = resident_kib(&c);
		clients[i] = dial_tls(ctx, c.port, NULL);
		require(SSL_write(clients[i], "EHLO client.example\r\n", 21) == 21);
		usleep(200);
	}
	usleep(200 * 1000);
	printf("%-34s %10.1f KiB\n", what, (double)(resident_kib(&c) - before) / (IDLE - WARM_UP));
	for (unsigned i = 0; i < IDLE; i++)
		hang_up(clients[i]);
	SSL_CTX_free(ctx);
	stop(&c);
}

static void bulk(bool tls, bool sends)
{
	struct child c = start_ours(tls ? certs_path("ec.pem") : NULL, sends, TLS_VERSION_DEFAULT);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = tls ? dial_tls(ctx, c.port, NULL) : NULL;
	const int fd = ssl ? SSL_get_fd(ssl) : dial(c.port);
	const double began = wall_s(), cpu = cpu_s(&c);
	int64_t moved = 0;

	while (moved < BULK_OCTETS) {
		const int n = ssl ? sends ? SSL_read(ssl, zeros, 65536) : SSL_write(ssl, zeros, 65536)
				  : (int)(sends ? read(fd, zeros, 65536) : write(fd, zeros, 65536));
		if (n <= 0)
			break;
		moved += n;
	}
	const double took = wall_s() - began, used = cpu_s(&c) - cpu, mib = (double)moved / 1048576;
	printf("%-8s %-25s %10.0f MiB/s %10.0f MiB per second of processor time\n", tls ? "TLS 1.3" : "TCP",
	       sends ? "server sends" : "server receives", mib / took, mib / used);
	if (ssl)
		hang_up(ssl);
	else
		close(fd);
	SSL_CTX_free(ctx);
	stop(&c);
}

static void write_key(const char *name, const char *kind)
{
	struct cert c =
		cert_make((struct cert_spec){ .cn = "bench", .alt = "DNS:bench.example", .key = kind });

	CERTS_WRITE(name, CERT_OF(c), KEY_OF(c));
	cert_free(&c);
}

int main(int argc, char **argv)
{
	const int seconds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 3;

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (setjmp(test_abort) != 0)
		return 1;
	certs_init();
	write_key("ec.pem", "ec");
	write_key("rsa.pem", "rsa");
	handshakes(seconds);
	printf("\nresident memory of an idle session, without the socket's (of %d)\n", IDLE);
	idle_memory(TLS_VERSION_DEFAULT, "TLS 1.3");
	idle_memory(TLS_VERSION_1_2, "TLS 1.2");
	printf("\n%lld MiB over one connection\n", (long long)(BULK_OCTETS / 1048576));
	for (unsigned i = 0; i < 4; i++)
		bulk(i % 2, i / 2);
	certs_deinit();
	return 0;
}
