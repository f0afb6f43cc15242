/* postern user, in this process: what it prints and what becomes of the file; and with a terminal of its own, that it does not echo. */
#include <fcntl.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/auth_user.h"
#include "auth/auth_users.h"
#include "base/buf.h"
#include "main/cli.h"
#include "main/cli_terminal.h"
#include "test.h"

struct bed {
	char dir[64], file[100];
	struct buf out, err;
};

static void bed_open(struct bed *b)
{
	*b = (struct bed){ .dir = "/tmp/postern-cli-user-XXXXXX",
			   .out = BUF_INIT(1 << 20),
			   .err = BUF_INIT(1 << 20) };
	NEED(mkdtemp(b->dir));
	snprintf(b->file, sizeof b->file, "%s/users", b->dir);
}

static void bed_close(struct bed *b)
{
	(void)unlink(b->file);
	CHECK_INT(0, rmdir(b->dir));
	buf_free(&b->out);
	buf_free(&b->err);
}

static int divert(int fd, int to)
{
	const int kept = dup(fd);

	NEED(kept >= 0 && dup2(to, fd) >= 0);
	return kept;
}

static void restore(int fd, int kept)
{
	NEED(dup2(kept, fd) >= 0);
	close(kept);
}

static void read_file(FILE *from, struct buf *to)
{
	char chunk[4096];
	size_t n;

	buf_reset(to);
	rewind(from);
	while ((n = fread(chunk, 1, sizeof chunk, from)) > 0)
		buf_add(to, chunk, n);
	fclose(from);
}

/* `postern user @words --file FILE` with @input as standard input. Words are separated by one space. */
static int user(struct bed *b, const char *words, const char *input)
{
	char text[500], *argv[32] = { (char *)"postern", (char *)"user" };
	int argc = 2;

	snprintf(text, sizeof text, "%s --file %s", words, b->file);
	for (char *at = text; *at && argc < 31; argc++) {
		argv[argc] = at;
		at += strcspn(at, " ");
		if (*at)
			*at++ = 0;
	}
	FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
	NEED(in && out && err);
	fputs(input, in);
	fflush(NULL);
	NEED(lseek(fileno(in), 0, SEEK_SET) == 0);
	const int kept_in = divert(0, fileno(in)), kept_out = divert(1, fileno(out)),
		  kept_err = divert(2, fileno(err));
	const int status = cli_main(argc, argv);
	fflush(NULL);
	restore(0, kept_in);
	restore(1, kept_out);
	restore(2, kept_err);
	fclose(in);
	read_file(out, &b->out);
	read_file(err, &b->err);
	return status;
}

static bool says(const struct buf *b, const char *text)
{
	return span_find(buf_span(b), span_of(text)) >= 0;
}

static void expect(struct bed *b, const char *words, const char *input, int status, const char *out,
		   const char *err)
{
	const int got = user(b, words, input);

	if (got != status || (out && !says(&b->out, out)) || (err && !says(&b->err, err)))
		FAIL("user %s: expected %d, \"%s\", \"%s\"; got %d, \"%.*s\", \"%.*s\"", words, status,
		     out ? out : "", err ? err : "", got, SPAN_ARG(buf_span(&b->out)),
		     SPAN_ARG(buf_span(&b->err)));
}

/* 1: that is the password of @name. */
static int is_password(struct bed *b, const char *name, const char *password)
{
	struct auth_users_table *t = NULL;

	NEED(auth_users_read(b->file, &t, NULL) == 0);
	const struct auth_users_entry *en = auth_users_find(t, span_of(name));
	NEED(en && !en->is_alias);
	const int right = auth_user_check_password(&en->user.hash, span_of(password));
	auth_users_table_free(&t);
	return right;
}

static void users_are_added_and_changed(void)
{
	struct bed b;

	bed_open(&b);
	expect(&b, "add copier7 --comment floor3", "correct horse\nnext line\n", 0,
	       "copier7 was added to /tmp/", NULL);
	CHECK(!says(&b.out, "correct"));
	CHECK_INT(1, is_password(&b, "copier7", "correct horse"));
	expect(&b, "add copier7", "other password", 1, NULL, "\"copier7\" is in /tmp/");
	expect(&b, "passwd copier7", "other password", 0, "copier7 has a new password", NULL);
	CHECK_INT(0, is_password(&b, "copier7", "correct horse"));
	CHECK_INT(1, is_password(&b, "copier7", "other password"));
	expect(&b, "disable copier7", "", 0, "copier7 is disabled", NULL);
	expect(&b, "ls", "", 0, "copier7  disabled  scrypt, SCRAM", NULL);
	CHECK(says(&b.out, "floor3"));
	expect(&b, "enable copier7", "", 0, "copier7 is enabled", NULL);
	expect(&b, "ls --json", "", 0,
	       "\"name\":\"copier7\",\"state\":\"enabled\",\"password\":true,\"scram\":true,\"created\":\"",
	       NULL);
	CHECK(!says(&b.out, "scrypt:"));
	expect(&b, "set copier7 --comment=", "", 0, "copier7 was changed", NULL);
	expect(&b, "ls --json", "", 0, NULL, NULL);
	CHECK(!says(&b.out, "floor3"));
	expect(&b, "remove copier7", "", 0, "copier7 was removed from", NULL);
	expect(&b, "remove copier7", "", 1, NULL, "there is no user \"copier7\"");
	bed_close(&b);
}

static void aliases_are_made_and_shown(void)
{
	struct bed b;

	bed_open(&b);
	expect(&b, "add copier7", "correct horse", 0, NULL, NULL);
	expect(&b, "alias cp-4711 copier7", "", 0, "cp-4711 is copier7 in", NULL);
	expect(&b, "alias k smtp-relay/k.example.edu@EXAMPLE.EDU", "", 0, "that one is another backend's",
	       NULL);
	expect(&b, "alias x cp-4711", "", 1, NULL, "\"cp-4711\" is an alias itself");
	expect(&b, "alias copier7 k", "", 1, NULL, "\"copier7\" is a user already");
	expect(&b, "passwd cp-4711", "correct horse", 1, NULL, "\"cp-4711\" is an alias, of \"copier7\"");
	expect(&b, "ls", "", 0, "cp-4711", NULL);
	CHECK(says(&b.out, "smtp-relay/k.example.edu@EXAMPLE.EDU"));
	expect(&b, "remove copier7", "", 0, "and 1 alias", NULL);
	bed_close(&b);
}

static void bad_passwords_and_names_are_refused(void)
{
	struct bed b;
	char longer[1100];

	bed_open(&b);
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	expect(&b, "add x", "", 1, NULL, "the password is empty");
	expect(&b, "add x", "\n", 1, NULL, "the password is empty");
	expect(&b, "add x", "short", 1, NULL, "less than 8 characters");
	expect(&b, "add x", "aaaaaaaaaaaa", 1, NULL, "one character over and over");
	expect(&b, "add copier-7", "Copier-7", 1, NULL, "the password is the name");
	expect(&b, "add x", longer, 1, NULL, "the password is too long");
	expect(&b, "add x", "pass\x01word", 1, NULL, "cannot be prepared");
	expect(&b, "add", "", 2, NULL, "user add wants a name");
	expect(&b, "add \xff", "correct horse", 1, NULL, "cannot be a user's name");
	expect(&b, "passwd x", "correct horse", 1, NULL, "No such file");
	expect(&b, "ls", "", 1, NULL, "No such file");
	CHECK(access(b.file, F_OK) < 0);
	bed_close(&b);
}

static void a_generated_password_is_shown_once(void)
{
	struct bed b;

	bed_open(&b);
	expect(&b, "add scan --generate", "", 0, "; its password: ", NULL);
	const ptrdiff_t at = span_find(buf_span(&b.out), SPAN("password: "));
	NEED(at >= 0);
	char password[17] = "";
	snprintf(password, sizeof password, "%.*s", 16, b.out.p + at + 10);
	CHECK_INT(16, strlen(password));
	CHECK_INT(1, is_password(&b, "scan", password));
	bed_close(&b);
}

/* ---- sasldb -------------------------------------------------------------------------------------------- */

#define SASLPASSWD2 "/usr/sbin/saslpasswd2"

static void saslpasswd(const char *options, const char *file, const char *account, const char *password)
{
	char command[300];

	snprintf(command, sizeof command, SASLPASSWD2 " -p %s -f %s %s", options, file, account);
	FILE *to = popen(command, "w");
	NEED(to);
	fprintf(to, "%s\n", password);
	CHECK_INT(0, pclose(to));
}

static void a_sasldb_is_imported(void)
{
	char sasldb[100], words[200];
	struct bed b;

	if (access(SASLPASSWD2, X_OK) < 0) {
		printf("  not tested: %s is missing\n", SASLPASSWD2);
		return;
	}
	bed_open(&b);
	snprintf(sasldb, sizeof sasldb, "%s/sasldb2", b.dir);
	saslpasswd("-c -u example.edu", sasldb, "old1", "first password");
	saslpasswd("-u example.edu", sasldb, "copier7", "short");
	expect(&b, "add copier7", "correct horse", 0, NULL, NULL);
	snprintf(words, sizeof words, "import-sasldb %s", sasldb);
	expect(&b, words, "", 0, "copier7 was left out: it is here already", NULL);
	CHECK(says(&b.out, "1 user came to"));
	CHECK(says(&b.out, "with and without @example.edu"));
	CHECK_INT(1, is_password(&b, "old1", "first password"));
	CHECK_INT(1, is_password(&b, "copier7", "correct horse"));
	expect(&b, "ls", "", 0, "old1@example.edu", NULL);
	saslpasswd("-u example.org", sasldb, "old2", "second password");
	snprintf(words, sizeof words, "import-sasldb %s --replace --realm example.edu", sasldb);
	expect(&b, words, "", 0, "3 users came to", NULL);
	CHECK_INT(1, is_password(&b, "copier7", "short")); /* what has been good enough so far */
	CHECK_INT(1, is_password(&b, "old2@example.org", "second password"));
	snprintf(words, sizeof words, "import-sasldb %s.not", sasldb);
	expect(&b, words, "", 1, NULL, "No such file");
	CHECK_INT(0, unlink(sasldb));
	bed_close(&b);
}

/* ---- a terminal ---------------------------------------------------------------------------------------- */

/* A child with a terminal asks for a secret; @typed goes there as it is asked for. Returns the child's word on how it ended; what the
 * terminal showed is in @shown. */
static int on_terminal(const char *typed, struct buf *shown)
{
	char chunk[512];
	int fd, status = -1;
	ssize_t n;

	fflush(NULL);
	const pid_t child = forkpty(&fd, NULL, NULL, NULL);
	NEED(child >= 0);
	if (child == 0) {
		struct secret s = { 0 };
		struct errtext why = { "" };
		const int err = cli_terminal_secret("password of x", &s, &why);
		_exit(err == 0 && secret_eq(&s, SPAN("correct horse")) ? 0
		      : err == -ERR_INVAL                              ? 1
		      : err == -ERR_CANCELED                           ? 2
								       : 3);
	}
	while ((n = read(fd, chunk, sizeof chunk)) > 0) {
		buf_add(shown, chunk, (size_t)n);
		const char *end = strchr(typed, '\n');
		if (chunk[n - 1] == ' ' && end) { /* a prompt: the next line */
			NEED(write(fd, typed, (size_t)(end - typed + 1)) == end - typed + 1);
			typed = end + 1;
		} else if (chunk[n - 1] == ' ' && *typed) {
			NEED(write(fd, typed, 1) == 1); /* a key alone: ^C */
			typed++;
		}
	}
	close(fd);
	NEED(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void what_is_typed_is_not_shown(void)
{
	struct buf shown = BUF_INIT(10000);

	CHECK_INT(0, on_terminal("correct horse\ncorrect horse\n", &shown));
	CHECK(span_find(buf_span(&shown), SPAN("password of x: ")) >= 0);
	CHECK(span_find(buf_span(&shown), SPAN("again, password of x: ")) >= 0);
	CHECK(span_find(buf_span(&shown), SPAN("horse")) < 0);
	buf_reset(&shown);
	CHECK_INT(1, on_terminal("correct horse\nwrong horse\n", &shown));
	CHECK(span_find(buf_span(&shown), SPAN("horse")) < 0);
	CHECK_INT(2, on_terminal("\x03", &shown));
	buf_free(&shown);
}

TEST_MAIN(TEST(users_are_added_and_changed), TEST(aliases_are_made_and_shown),
	  TEST(bad_passwords_and_names_are_refused), TEST(a_generated_password_is_shown_once),
	  TEST(a_sasldb_is_imported), TEST(what_is_typed_is_not_shown))
