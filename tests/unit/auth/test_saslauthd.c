/* Against a saslauthd of our own that does what it is told, and against the real one, which asks an IMAP server of ours. */
#include "auth/auth_saslauthd.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/auth_saslauthd_wire.h"
#include "base/check.h"
#include "test.h"

#define SASLAUTHD "/usr/sbin/saslauthd"
#define MS        INT64_C(1000)

/* ---- the other end ------------------------------------------------------------------------------------- */

enum mode { ANSWER, OCTET_BY_OCTET, HANG_UP, SILENT, GARBAGE, HUGE_REPLY };

struct daemon {
	char dir[64], path[96];
	int fd, stop[2];
	pthread_t thread;
	enum mode mode;
	_Atomic unsigned served;
	char seen[4096]; /* of the last request: "login/password/service/realm" */
};

static bool read_whole(int fd, void *p, size_t n)
{
	for (size_t got = 0; got < n;) {
		const ssize_t r = read(fd, (char *)p + got, n - got);
		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

static bool read_request(int fd, char *out, size_t size)
{
	size_t at = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t n[2];
		if (!read_whole(fd, n, 2))
			return false;
		const size_t len = (size_t)n[0] << 8 | n[1];
		if (at + len + 2 > size || !read_whole(fd, out + at, len))
			return false;
		at += len;
		out[at++] = i < 3 ? '/' : 0;
	}
	return true;
}

/* "right" as the password is right; one that begins with "NO" is said as the answer. */
static void answer(struct daemon *d, int fd)
{
	char *password = strchr(d->seen, '/') + 1;
	const size_t n = strcspn(password, "/");
	char reply[300];
	const int text_n = strncmp(password, "NO", 2) == 0
				   ? snprintf(reply + 2, sizeof reply - 2, "%.*s", (int)n, password)
				   : snprintf(reply + 2, sizeof reply - 2, "%s",
					      strncmp(password, "right/", 6) == 0 ? "OK" : "NO");

	reply[0] = 0;
	reply[1] = (char)text_n;
	for (int i = 0; d->mode == OCTET_BY_OCTET && i < text_n + 2; i++) {
		usleep(1000);
		CHECK(send(fd, reply + i, 1, MSG_NOSIGNAL) == 1);
	}
	if (d->mode == ANSWER)
		CHECK(send(fd, reply, (size_t)text_n + 2, MSG_NOSIGNAL) == text_n + 2);
}

static void serve(struct daemon *d, int fd)
{
	struct pollfd gone = { .fd = fd, .events = POLLIN };

	if (d->mode == HANG_UP || !read_request(fd, d->seen, sizeof d->seen))
		return;
	atomic_fetch_add(&d->served, 1);
	if (d->mode == ANSWER || d->mode == OCTET_BY_OCTET)
		answer(d, fd);
	else if (d->mode == GARBAGE)
		send(fd, "\0\7I think", 9, MSG_NOSIGNAL);
	else if (d->mode == HUGE_REPLY)
		send(fd, "\xff\xffOK", 4, MSG_NOSIGNAL);
	else
		poll(&gone, 1, 10000); /* until the other end has had enough */
}

static void *daemon_run(void *arg)
{
	struct daemon *d = arg;

	for (;;) {
		struct pollfd p[2] = { { .fd = d->fd, .events = POLLIN },
				       { .fd = d->stop[0], .events = POLLIN } };
		if (poll(p, 2, 10000) <= 0 || p[1].revents)
			return NULL;
		const int fd = accept(d->fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		serve(d, fd);
		close(fd);
	}
}

static void daemon_start(struct daemon *d, enum mode mode, int backlog)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	*d = (struct daemon){ .dir = "/tmp/postern-saslauthd-XXXXXX", .mode = mode };
	NEED(mkdtemp(d->dir) != NULL && pipe(d->stop) == 0);
	snprintf(d->path, sizeof d->path, "%s/mux", d->dir);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", d->path);
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	NEED(d->fd >= 0 && bind(d->fd, (struct sockaddr *)&at, sizeof at) == 0 &&
	     listen(d->fd, backlog) == 0);
}

static void daemon_go(struct daemon *d)
{
	NEED(pthread_create(&d->thread, NULL, daemon_run, d) == 0);
}

static void daemon_stop(struct daemon *d)
{
	close(d->stop[1]);
	pthread_join(d->thread, NULL);
	close(d->stop[0]);
	close(d->fd);
	unlink(d->path);
	rmdir(d->dir);
}

/* ---- ours ---------------------------------------------------------------------------------------------- */

struct bed {
	struct loop *l;
	struct scope s;
	bool closed;
	struct auth_backend *b;
};

static void closed(struct scope *s)
{
	container_of(s, struct bed, s)->closed = true;
}

static void bed_open(struct bed *b, const char *path, struct auth_saslauthd_config cfg)
{
	struct errtext e = { "" };

	*b = (struct bed){ .l = loop_new() };
	scope_init(&b->s, b->l, closed);
	cfg.socket = span_of(path);
	if (auth_saslauthd_new(&cfg, &b->b, &e) < 0)
		FAIL("%s", e.s);
}

static void bed_close(struct bed *b)
{
	scope_close(&b->s);
	while (!b->closed)
		loop_run_once(b->l, true);
	b->b->ops->free(b->b);
	loop_free(&b->l);
}

struct login {
	struct auth_check c;
	struct secret password;
	unsigned dones;
};

static void login_done(struct op *op)
{
	container_of(container_of(op, struct auth_check, op), struct login, c)->dones++;
}

static int login_start(struct bed *b, struct login *l, struct span user, struct span password)
{
	*l = (struct login){ .c = { .user = user, .answer = AUTH_ANSWER_MAX_ } };
	secret_set(&l->password, password);
	l->c.password = &l->password;
	op_init(&l->c.op, login_done);
	return b->b->ops->check(b->b, &l->c, &b->s);
}

static enum auth_answer login_span(struct bed *b, struct login *l, struct span user, struct span password)
{
	NEED(login_start(b, l, user, password) == 0);
	CHECK_INT(0, l->dones);
	while (!l->dones)
		loop_run_once(b->l, true);
	CHECK_INT(1, l->dones);
	secret_deinit(&l->password);
	return l->c.answer;
}

static enum auth_answer login(struct bed *b, struct login *l, const char *user, const char *password)
{
	return login_span(b, l, span_of(user), span_of(password));
}

static void answers_are_understood(void)
{
	struct daemon d;
	struct bed b;
	struct login l;

	daemon_start(&d, ANSWER, 8);
	daemon_go(&d);
	bed_open(&b, d.path, (struct auth_saslauthd_config){ .realm = SPAN("example.edu") });
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "u", "right"));
	CHECK_STR("u@example.edu", l.c.identity.user);
	CHECK_STR("example.edu", l.c.identity.realm);
	CHECK_STR("u/right/smtp/example.edu", d.seen);
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "a@b@x.example", "right"));
	CHECK_STR("a@b/right/smtp/x.example", d.seen);
	CHECK_STR("a@b@x.example", l.c.identity.user);
	CHECK_STR("x.example", l.c.identity.realm);
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", "bad"));
	CHECK_INT(0, l.c.op.status);
	CHECK_STR("", l.c.identity.user);
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", "NO remote server rejected your credentials"));
	CHECK_STR("remote server rejected your credentials", l.c.why);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "NO [ALERT] saslauthd internal error"));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL,
		  login(&b, &l, "u", "NO [ALERT] Couldn't contact remote authentication server"));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "NO PAM start error"));
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", "NO PAM auth error"));
	CHECK_INT(AUTH_ANSWER_EXPIRED, login(&b, &l, "u", "NO Account expired"));
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, login(&b, &l, "u", "NO Invalid username"));
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "NOTHING"));
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", "NO \x1b[2J"));
	CHECK_STR("?[2J", l.c.why);
	bed_close(&b);
	bed_open(&b, d.path, (struct auth_saslauthd_config){ .service = SPAN("mail") });
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "u", "right"));
	CHECK_STR("u/right/mail/", d.seen);
	CHECK_STR("u", l.c.identity.user);
	CHECK_STR("", l.c.identity.realm);
	bed_close(&b);
	daemon_stop(&d);
}

static void answers_come_in_pieces(void)
{
	struct daemon d;
	struct bed b;
	struct login l;

	daemon_start(&d, OCTET_BY_OCTET, 8);
	daemon_go(&d);
	bed_open(&b, d.path, (struct auth_saslauthd_config){ 0 });
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "u", "right"));
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", "no"));
	bed_close(&b);
	daemon_stop(&d);
}

/* An empty one would be an anonymous bind for LDAP; what is behind a NUL would not be looked at. */
static void some_passwords_are_not_asked(void)
{
	struct daemon d;
	struct bed b;
	struct login l;
	char longest[2000];

	memset(longest, 'a', sizeof longest);
	daemon_start(&d, ANSWER, 8);
	daemon_go(&d);
	bed_open(&b, d.path, (struct auth_saslauthd_config){ 0 });
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", ""));
	CHECK_INT(AUTH_ANSWER_WRONG, login_span(&b, &l, SPAN("u"), SPAN("right\0")));
	CHECK_INT(AUTH_ANSWER_WRONG, login_span(&b, &l, SPAN("u\0"), SPAN("right")));
	CHECK_INT(AUTH_ANSWER_WRONG,
		  login_span(&b, &l, SPAN("u"), span_make(longest, SASLAUTHD_FIELD_MAX + 1)));
	CHECK_INT(AUTH_ANSWER_WRONG, login_span(&b, &l, span_make(longest, sizeof longest), SPAN("right")));
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "", "right"));
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "@x", "right"));
	CHECK_INT(0, d.served);
	CHECK_INT(AUTH_ANSWER_WRONG, login_span(&b, &l, SPAN("u"), span_make(longest, SASLAUTHD_FIELD_MAX)));
	CHECK_INT(1, d.served);
	bed_close(&b);
	daemon_stop(&d);
}

static void trouble_is_no_wrong_password(void)
{
	static const struct {
		enum mode mode;
		const char *why;
	} cases[] = { { HANG_UP, "hung up" },
		      { GARBAGE, "does not speak" },
		      { HUGE_REPLY, "does not speak" },
		      { SILENT, "in time" } };
	struct bed b;
	struct login l;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct daemon d;
		daemon_start(&d, cases[i].mode, 8);
		daemon_go(&d);
		bed_open(&b, d.path,
			 (struct auth_saslauthd_config){ .timeout_us =
								 cases[i].mode == SILENT ? 100 * MS : 0 });
		CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "right-secret"));
		/* a hang-up is seen when reading, or already when writing */
		if (!strstr(l.c.why, cases[i].why) &&
		    !(cases[i].mode == HANG_UP && strstr(l.c.why, "writing: ")) &&
		    !(cases[i].mode == HANG_UP && strstr(l.c.why, "reading: ")))
			FAIL("case %zu: %s", i, l.c.why);
		CHECK(strstr(l.c.why, d.path) && !strstr(l.c.why, "right-secret"));
		bed_close(&b);
		daemon_stop(&d);
	}
	bed_open(&b, "/nonexistent/mux", (struct auth_saslauthd_config){ 0 });
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "right"));
	CHECK(strstr(l.c.why, "No such file") != NULL);
	bed_close(&b);
}

enum { CROWD = 40 };

/* Its queue has room for two: the others come again, all get their answer. */
static void a_full_queue_is_waited_for(void)
{
	struct daemon d;
	struct bed b;
	struct login l[CROWD];
	unsigned done = 0;

	daemon_start(&d, ANSWER, 1);
	bed_open(&b, d.path, (struct auth_saslauthd_config){ 0 });
	for (unsigned i = 0; i < CROWD; i++)
		CHECK_INT(0, login_start(&b, &l[i], SPAN("u"), SPAN("right")));
	loop_run_once(b.l, false);
	daemon_go(&d);
	while (done < CROWD) {
		loop_run_once(b.l, true);
		done = 0;
		for (unsigned i = 0; i < CROWD; i++)
			done += l[i].dones;
	}
	for (unsigned i = 0; i < CROWD; i++) {
		CHECK_INT(AUTH_ANSWER_RIGHT, l[i].c.answer);
		secret_deinit(&l[i].password);
	}
	bed_close(&b);
	daemon_stop(&d);
}

static void only_so_many_at_a_time(void)
{
	struct daemon d;
	struct bed b;
	struct login l[4];

	daemon_start(&d, SILENT, 8);
	daemon_go(&d);
	bed_open(&b, d.path, (struct auth_saslauthd_config){ .concurrent_max = 3 });
	for (unsigned i = 0; i < 3; i++)
		CHECK_INT(0, login_start(&b, &l[i], SPAN("u"), SPAN("right")));
	CHECK_INT(-ERR_BUSY, login_start(&b, &l[3], SPAN("u"), SPAN("right")));
	CHECK(!op_pending(&l[3].c.op));
	op_cancel(&l[1].c.op);
	CHECK_INT(0, l[1].dones);
	loop_run_once(b.l, false);
	CHECK_INT(1, l[1].dones);
	CHECK_INT(-ERR_CANCELED, l[1].c.op.status);
	secret_deinit(&l[3].password);
	CHECK_INT(0, login_start(&b, &l[3], SPAN("u"), SPAN("right")));
	scope_close(&b.s);
	struct login late;
	CHECK_INT(-ERR_CANCELED, login_start(&b, &late, SPAN("u"), SPAN("right")));
	secret_deinit(&late.password);
	bed_close(&b);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_INT(1, l[i].dones);
		secret_deinit(&l[i].password);
	}
	daemon_stop(&d);
}

static void settings_are_checked(void)
{
	struct auth_backend *b = NULL;
	struct errtext e;
	char longest[300];

	memset(longest, 'a', sizeof longest);
	const struct span s = span_make(longest, sizeof longest);
	CHECK_INT(-ERR_INVAL, auth_saslauthd_new(&(struct auth_saslauthd_config){ .socket = s }, &b, &e));
	CHECK_INT(-ERR_INVAL, auth_saslauthd_new(&(struct auth_saslauthd_config){ .realm = s }, &b, &e));
	CHECK_INT(-ERR_INVAL,
		  auth_saslauthd_new(&(struct auth_saslauthd_config){ .realm = SPAN("a@b") }, &b, &e));
	CHECK_INT(-ERR_INVAL,
		  auth_saslauthd_new(&(struct auth_saslauthd_config){ .service = SPAN("a\0b") }, &b, &e));
	CHECK(b == NULL);
}

/* ---- the real one -------------------------------------------------------------------------------------- */

/* As much IMAP as saslauthd -a rimap speaks. */
static void *imap_run(void *arg)
{
	const int *fd = arg;

	for (;;) {
		const int c = accept(*fd, NULL, NULL);
		char line[1000];
		size_t n = 0;
		if (c < 0)
			return NULL;
		CHECK(send(c, "* OK ready\r\n", 12, MSG_NOSIGNAL) == 12);
		while (n < sizeof line - 1 && read(c, line + n, 1) == 1 && line[n] != '\n')
			n++;
		line[n] = 0;
		const char *tag_end = strchr(line, ' ');
		if (tag_end) {
			char reply[200];
			const int len =
				snprintf(reply, sizeof reply, "%.*s %s\r\n", (int)(tag_end - line), line,
					 strstr(line, "LOGIN \"copier7\" \"right\"") ? "OK in" : "NO out");
			CHECK(send(c, reply, (size_t)len, MSG_NOSIGNAL) == len);
		}
		close(c);
	}
}

static int imap_listen(char *port, size_t size)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof at;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	NEED(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 8) == 0);
	NEED(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
	snprintf(port, size, "127.0.0.1/%u", ntohs(at.sin_port));
	return fd;
}

static void the_real_one_is_understood(void)
{
	char dir[] = "/tmp/postern-saslauthd-XXXXXX", path[64], port[40];
	struct bed b;
	struct login l;
	pthread_t imap;

	if (access(SASLAUTHD, X_OK) < 0) {
		printf("  skipped: " SASLAUTHD " is not here (Debian's sasl2-bin)\n");
		return;
	}
	NEED(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/mux", dir);
	const int fd = imap_listen(port, sizeof port);
	NEED(pthread_create(&imap, NULL, imap_run, (void *)(uintptr_t)&fd) == 0);
	const pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))
			_exit(126);
		execl(SASLAUTHD, SASLAUTHD, "-a", "rimap", "-O", port, "-m", dir, "-n", "2", "-d",
		      (char *)NULL);
		_exit(127);
	}
	for (unsigned i = 0; i < 500 && access(path, F_OK) < 0; i++)
		usleep(10000);
	bed_open(&b, path, (struct auth_saslauthd_config){ .realm = SPAN("example.edu") });
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "copier7", "right"));
	CHECK_STR("copier7@example.edu", l.c.identity.user);
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "copier7", "bad"));
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "copier8", "right"));
	shutdown(fd, SHUT_RDWR);
	close(fd);
	pthread_join(imap, NULL);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "copier7", "right")); /* its IMAP server is gone */
	bed_close(&b);
	kill(-pid, SIGTERM);
	waitpid(pid, NULL, 0);
	const char *const left[] = { "mux", "mux.accept", "saslauthd.pid", "saslauthd.pid.lock" };
	for (size_t i = 0; i < ARRAY_LEN(left); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, left[i]);
		unlink(path);
	}
	rmdir(dir);
}

TEST_MAIN(TEST(answers_are_understood), TEST(answers_come_in_pieces), TEST(some_passwords_are_not_asked),
	  TEST(trouble_is_no_wrong_password), TEST(a_full_queue_is_waited_for), TEST(only_so_many_at_a_time),
	  TEST(settings_are_checked), TEST(the_real_one_is_understood))
