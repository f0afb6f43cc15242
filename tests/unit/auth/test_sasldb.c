/* Against files that saslpasswd2 made here. */
#include "auth/auth_sasldb.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/auth_global.h"
#include "base/check.h"
#include "test.h"

#define SASLPASSWD2 "/usr/sbin/saslpasswd2"

struct bed {
	struct loop *l;
	struct scope s;
	bool closed;
	struct auth_backend *b;
	char dir[64], path[96];
};

static bool no_saslpasswd2(void)
{
	if (access(SASLPASSWD2, X_OK) == 0)
		return false;
	printf("  skipped: " SASLPASSWD2 " is not here (Debian's sasl2-bin)\n");
	return true;
}

/* @password NULL: the user is deleted. */
static void account(const char *path, const char *realm, const char *user, const char *password)
{
	int fd[2], status = -1;

	NEED(pipe(fd) == 0);
	const pid_t pid = fork();
	if (pid == 0) {
		dup2(fd[0], 0);
		close(fd[1]);
		execl(SASLPASSWD2, SASLPASSWD2, "-p", password ? "-c" : "-d", "-f", path, "-u", realm, "-a",
		      "smtpauth", user, (char *)NULL);
		_exit(127);
	}
	close(fd[0]);
	if (password)
		NEED(write(fd[1], password, strlen(password)) == (ssize_t)strlen(password));
	close(fd[1]);
	NEED(waitpid(pid, &status, 0) == pid);
	NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void closed(struct scope *s)
{
	container_of(s, struct bed, s)->closed = true;
}

static void bed_open_with(struct bed *b, struct auth_sasldb_config cfg)
{
	struct errtext e = { "" };

	*b = (struct bed){ .l = loop_new(), .dir = "/tmp/postern-sasldb-XXXXXX" };
	NEED(mkdtemp(b->dir) != NULL);
	snprintf(b->path, sizeof b->path, "%s/sasldb2", b->dir);
	NEED(auth_global_init(&e) == 0);
	scope_init(&b->s, b->l, closed);
	cfg.path = cfg.path.n ? cfg.path : span_of(b->path);
	cfg.realm = SPAN("mail.example.edu");
	if (auth_sasldb_new(&cfg, &b->b, &e) < 0)
		FAIL("%s", e.s);
}

static void bed_open(struct bed *b)
{
	bed_open_with(b, (struct auth_sasldb_config){ .threads = 2 });
}

static void bed_close(struct bed *b)
{
	scope_close(&b->s);
	while (!b->closed)
		loop_run_once(b->l, true);
	b->b->ops->free(b->b);
	loop_free(&b->l);
	unlink(b->path);
	rmdir(b->dir);
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
	CHECK_INT(0, l->dones); /* never from inside */
	while (!l->dones)
		loop_run_once(b->l, true);
	CHECK_INT(1, l->dones);
	secret_deinit(&l->password);
	return l->c.op.status == 0 ? l->c.answer : AUTH_ANSWER_MAX_;
}

static enum auth_answer login(struct bed *b, struct login *l, const char *user, const char *password)
{
	return login_span(b, l, span_of(user), span_of(password));
}

/* The commands of the how-to (R-47), then its user logs in (R-48, R-50). */
static void a_file_of_saslpasswd2_authenticates(void)
{
	struct bed b;
	struct login l;

	if (no_saslpasswd2())
		return;
	bed_open(&b);
	account(b.path, "mail.example.edu", "supercoolusername", "supercoolpassword");
	account(b.path, "mail.example.edu", "copier7", "p\xc3\xa4ss w\xc3\xb6rd");
	account(b.path, "old.example.edu", "copier7", "another");
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "supercoolusername", "supercoolpassword"));
	CHECK_STR("supercoolusername@mail.example.edu", l.c.identity.user);
	CHECK_STR("mail.example.edu", l.c.identity.realm);
	CHECK_STR("", l.c.why);
	CHECK_INT(AUTH_ANSWER_RIGHT,
		  login(&b, &l, "supercoolusername@mail.example.edu", "supercoolpassword"));
	CHECK_STR("supercoolusername@mail.example.edu", l.c.identity.user);
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "copier7", "p\xc3\xa4ss w\xc3\xb6rd"));
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "copier7@old.example.edu", "another"));
	CHECK_STR("old.example.edu", l.c.identity.realm);

	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "copier7", "another"));
	CHECK_STR("", l.c.identity.user);
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "copier7", "P\xc3\xa4ss w\xc3\xb6rd"));
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, login(&b, &l, "copier8", "another"));
	CHECK(strstr(l.c.why, b.path) != NULL);
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE,
		  login(&b, &l, "supercoolusername@old.example.edu", "supercoolpassword"));
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, login(&b, &l, "supercoolusername@EVIL.COM", "supercoolpassword"));
	bed_close(&b);
}

static void a_change_counts_at_once(void)
{
	struct bed b;
	struct login l;

	if (no_saslpasswd2())
		return;
	bed_open(&b);
	account(b.path, "mail.example.edu", "u", "one");
	account(b.path, "mail.example.edu", "other", "x");
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "u", "one"));
	account(b.path, "mail.example.edu", "u", "two");
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", "one"));
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "u", "two"));
	account(b.path, "mail.example.edu", "u", NULL);
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, login(&b, &l, "u", "two"));
	bed_close(&b);
}

/* What Cyrus would take for something else than what was said. */
static void odd_names_and_passwords(void)
{
	static const char *const names[] = {
		" u", "u ", "\tu", "u@mail.example.edu@x", "@", "u@", "@mail.example.edu", ""
	};
	struct bed b;
	struct login l;
	char longest[2000];

	if (no_saslpasswd2())
		return;
	bed_open(&b);
	account(b.path, "mail.example.edu", "u", "one");
	CHECK_INT(AUTH_ANSWER_RIGHT, login(&b, &l, "u", "one"));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (login(&b, &l, names[i], "one") != AUTH_ANSWER_UNKNOWN_HERE)
			FAIL("\"%s\": %s", names[i], auth_answer_name(l.c.answer));
	}
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, login_span(&b, &l, SPAN("u\0x"), SPAN("one")));
	CHECK_INT(AUTH_ANSWER_WRONG, login_span(&b, &l, SPAN("u"), SPAN("one\0")));
	CHECK_INT(AUTH_ANSWER_WRONG, login_span(&b, &l, SPAN("u"), SPAN("one\0more")));
	CHECK_INT(AUTH_ANSWER_WRONG, login_span(&b, &l, SPAN("u"), SPAN("")));
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", "one "));
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, login(&b, &l, longest, "one"));
	CHECK_INT(AUTH_ANSWER_WRONG, login(&b, &l, "u", longest));
	longest[1] = '@';
	CHECK_INT(AUTH_ANSWER_UNKNOWN_HERE, login(&b, &l, longest, "one"));
	bed_close(&b);
}

static void write_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	NEED(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void a_file_that_cannot_be_read_is_no_wrong_password(void)
{
	struct bed b;
	struct login l;

	bed_open(&b);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "secret-of-u"));
	CHECK(strstr(l.c.why, b.path) && strstr(l.c.why, "No such file"));
	write_file(b.path, "");
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "secret-of-u"));
	CHECK(strstr(l.c.why, "no database") != NULL);
	write_file(b.path, "this is a text and not a database of any kind");
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "secret-of-u"));
	CHECK(strstr(l.c.why, "no database") && !strstr(l.c.why, "secret-of-u"));
	unlink(b.path);
	NEED(mkfifo(b.path, 0600) == 0); /* must not hang */
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "secret-of-u"));
	unlink(b.path);
	if (geteuid() != 0) {
		write_file(b.path, "x");
		chmod(b.path, 0);
		CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "secret-of-u"));
		CHECK(strstr(l.c.why, "Permission denied") != NULL);
	}
	bed_close(&b);
}

static void a_damaged_database_is_no_wrong_password(void)
{
	static const char zeros[512];
	struct bed b;
	struct login l;

	if (no_saslpasswd2())
		return;
	bed_open(&b);
	account(b.path, "mail.example.edu", "u", "one");
	const int fd = open(b.path, O_WRONLY);
	NEED(fd >= 0 && pwrite(fd, zeros, sizeof zeros, 16) == (ssize_t)sizeof zeros);
	close(fd);
	CHECK_INT(AUTH_ANSWER_TEMPFAIL, login(&b, &l, "u", "one"));
	CHECK(strstr(l.c.why, b.path) != NULL);
	bed_close(&b);
}

enum { MANY = 60, CROWD = 300 };

static unsigned count_done(const struct login *l, unsigned n)
{
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++)
		done += l[i].dones;
	return done;
}

static void many_at_once(void)
{
	struct bed b;
	struct login *l = calloc(MANY, sizeof *l);

	if (no_saslpasswd2()) {
		free(l);
		return;
	}
	bed_open(&b);
	account(b.path, "mail.example.edu", "u", "one");
	for (unsigned i = 0; i < MANY; i++)
		CHECK_INT(0, login_start(&b, &l[i], SPAN("u"), i % 2 ? SPAN("one") : SPAN("two")));
	while (count_done(l, MANY) < MANY)
		loop_run_once(b.l, true);
	for (unsigned i = 0; i < MANY; i++) {
		CHECK_INT(i % 2 ? AUTH_ANSWER_RIGHT : AUTH_ANSWER_WRONG, l[i].c.answer);
		secret_deinit(&l[i].password);
	}
	bed_close(&b);
	free(l);
}

/* CROWD logins at once, more than can be read while they come; how many got which answer. */
static unsigned crowd(struct bed *b, int64_t ahead_us, unsigned answers_r[AUTH_ANSWER_MAX_])
{
	struct login *l = calloc(CROWD, sizeof *l);
	unsigned busy = 0;

	for (unsigned i = 0; i < CROWD; i++) {
		const int err = login_start(b, &l[i], SPAN("u"), SPAN("one"));
		CHECK(err == 0 || (err == -ERR_BUSY && !op_pending(&l[i].c.op)));
		busy += err == -ERR_BUSY;
	}
	if (ahead_us) {
		loop_clock_advance(b->l, ahead_us);
		loop_run_once(b->l, false); /* what is due at once; a turn that waits would wait behind it */
	}
	while (count_done(l, CROWD) < CROWD - busy)
		loop_run_once(b->l, true);
	for (unsigned i = 0; i < CROWD; i++) {
		if (l[i].dones) {
			answers_r[l[i].c.answer]++;
			CHECK((l[i].c.op.status < 0) == (l[i].c.answer == AUTH_ANSWER_TEMPFAIL));
		}
		secret_deinit(&l[i].password);
	}
	free(l);
	return busy;
}

static void the_queue_is_bounded(void)
{
	struct bed b;
	unsigned answers[AUTH_ANSWER_MAX_] = { 0 };

	if (no_saslpasswd2())
		return;
	bed_open_with(&b, (struct auth_sasldb_config){ .threads = 1, .queue_max = 2 });
	account(b.path, "mail.example.edu", "u", "one");
	const unsigned busy = crowd(&b, 0, answers);
	CHECK(busy > 0);
	CHECK_INT(CROWD, busy + answers[AUTH_ANSWER_RIGHT]);
	bed_close(&b);
}

static void a_slow_disk_is_no_wrong_password(void)
{
	struct bed b;
	unsigned answers[AUTH_ANSWER_MAX_] = { 0 };

	if (no_saslpasswd2())
		return;
	bed_open_with(&b, (struct auth_sasldb_config){ .threads = 1, .queue_max = CROWD });
	account(b.path, "mail.example.edu", "u", "one");
	CHECK_INT(0, crowd(&b, INT64_C(6000000), answers)); /* over the five seconds */
	CHECK(answers[AUTH_ANSWER_TEMPFAIL] > 0);
	CHECK_INT(CROWD, answers[AUTH_ANSWER_TEMPFAIL] + answers[AUTH_ANSWER_RIGHT]);
	bed_close(&b);
}

static void who_goes_away_is_not_called(void)
{
	struct bed b;
	struct login l[8];

	bed_open(&b);
	for (unsigned i = 0; i < ARRAY_LEN(l); i++)
		CHECK_INT(0, login_start(&b, &l[i], SPAN("u"), SPAN("one")));
	scope_close(&b.s);
	for (unsigned i = 0; i < ARRAY_LEN(l); i++)
		CHECK_INT(0, l[i].dones);
	struct login late;
	CHECK_INT(-ERR_CANCELED, login_start(&b, &late, SPAN("u"), SPAN("one")));
	secret_deinit(&late.password);
	CHECK_INT(-ERR_CANCELED, login_start(&b, &late, SPAN("@"), SPAN("one")));
	secret_deinit(&late.password);
	while (!b.closed)
		loop_run_once(b.l, true);
	for (unsigned i = 0; i < ARRAY_LEN(l); i++) {
		CHECK_INT(1, l[i].dones);
		CHECK_INT(-ERR_CANCELED, l[i].c.op.status);
		secret_deinit(&l[i].password);
	}
	bed_close(&b);
}

static void settings_are_checked(void)
{
	struct auth_backend *b = NULL;
	struct errtext e;
	char longest[3000];

	memset(longest, 'a', sizeof longest);
	CHECK_INT(-ERR_INVAL, auth_sasldb_new(&(struct auth_sasldb_config){ .path = SPAN("/x") }, &b, &e));
	CHECK_INT(-ERR_INVAL, auth_sasldb_new(&(struct auth_sasldb_config){ .realm = SPAN("a@b") }, &b, &e));
	CHECK_INT(-ERR_INVAL,
		  auth_sasldb_new(&(struct auth_sasldb_config){ .realm = span_make(longest, 300) }, &b, &e));
	CHECK_INT(-ERR_INVAL,
		  auth_sasldb_new(&(struct auth_sasldb_config){ .realm = SPAN("r"),
								.path = span_make(longest, sizeof longest) },
				  &b, &e));
	CHECK(b == NULL);
}

/* ---- tools --------------------------------------------------------------------------------------------- */

static int see_user(void *arg, const struct auth_sasldb_user *u)
{
	struct buf *out = arg;

	buf_addf(out, "%.*s %.*s %s%.*s\n", SPAN_ARG(u->user), SPAN_ARG(u->realm), u->password ? "=" : "-",
		 SPAN_ARG(u->password ? secret_span(u->password) : SPAN("")));
	return out->n > 10000 ? 7 : 0;
}

static int stop_at_once(void *arg, const struct auth_sasldb_user *u)
{
	(void)u;
	++*(unsigned *)arg;
	return 7;
}

static void all_users_are_read(void)
{
	struct bed b;
	struct buf out = BUF_INIT(100000);
	struct errtext e = { "" };
	unsigned seen = 0;

	if (no_saslpasswd2())
		return;
	bed_open(&b);
	account(b.path, "mail.example.edu", "a", "pass: word");
	account(b.path, "mail.example.edu", "b.c-d", "p\xc3\xa4ss");
	account(b.path, "x", "a", "?");
	CHECK_INT(0, auth_sasldb_each(b.path, see_user, &out, &e));
	CHECK(strstr(buf_cstr(&out), "a mail.example.edu =pass: word\n") != NULL);
	CHECK(strstr(buf_cstr(&out), "b.c-d mail.example.edu =p\xc3\xa4ss\n") != NULL);
	CHECK(strstr(buf_cstr(&out), "a x =?\n") != NULL);
	CHECK_INT(strlen("a mail.example.edu =pass: word\n") + strlen("b.c-d mail.example.edu =p__ss\n") +
			  strlen("a x =?\n"),
		  out.n);
	CHECK_INT(7, auth_sasldb_each(b.path, stop_at_once, &seen, &e));
	CHECK_INT(1, seen);
	unlink(b.path);
	CHECK_INT(-ERR_NOTFOUND, auth_sasldb_each(b.path, see_user, &out, &e));
	CHECK(strstr(e.s, b.path) != NULL);
	buf_free(&out);
	bed_close(&b);
}

static void the_operator_is_told(void)
{
	struct bed b;
	struct buf out = BUF_INIT(100000);
	char conf[128];

	if (no_saslpasswd2())
		return;
	bed_open(&b);
	struct auth_sasldb_config cfg = { .path = span_of(b.path),
					  .realm = SPAN("r"),
					  .appname = SPAN("smtpauth"),
					  .conf_dirs = span_of(b.dir) };
	auth_sasldb_warnings(&cfg, &out);
	CHECK(strstr(buf_cstr(&out), "in clear") && strstr(buf_cstr(&out), "No such file"));

	account(b.path, "r", "a", "one");
	chmod(b.path, 0644);
	buf_reset(&out);
	auth_sasldb_warnings(&cfg, &out);
	CHECK(strstr(buf_cstr(&out), "everybody") && !strstr(buf_cstr(&out), "No such file"));

	chmod(b.path, 0640);
	snprintf(conf, sizeof conf, "%s/smtpauth.conf", b.dir);
	write_file(conf,
		   "pwcheck_method: auxprop\n sasldb_path:  /etc/postfix/sasldb2 \nmech_list: plain login\n");
	buf_reset(&out);
	auth_sasldb_warnings(&cfg, &out);
	CHECK(!strstr(buf_cstr(&out), "everybody") && strstr(buf_cstr(&out), conf) &&
	      strstr(buf_cstr(&out), " /etc/postfix/sasldb2,"));

	char same[200];
	snprintf(same, sizeof same, "sasldb_path: %s\n", b.path);
	write_file(conf, same);
	buf_reset(&out);
	auth_sasldb_warnings(&cfg, &out);
	CHECK(!strstr(buf_cstr(&out), conf));
	unlink(conf);
	buf_free(&out);
	bed_close(&b);
}

TEST_MAIN(TEST(a_file_of_saslpasswd2_authenticates), TEST(a_change_counts_at_once),
	  TEST(odd_names_and_passwords), TEST(a_file_that_cannot_be_read_is_no_wrong_password),
	  TEST(a_damaged_database_is_no_wrong_password), TEST(many_at_once), TEST(the_queue_is_bounded),
	  TEST(a_slow_disk_is_no_wrong_password), TEST(who_goes_away_is_not_called),
	  TEST(settings_are_checked), TEST(all_users_are_read), TEST(the_operator_is_told))
