/* auth_sasldb_tools.c - what is said about a sasldb at start-up, and what an import reads of it. */
#include <errno.h>
#include <fcntl.h>
#include <sasl/prop.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/auth_sasldb_priv.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

/* Cyrus's list as Debian and upstream build it, and Postfix's. */
#define CONF_DIRS                                                                                            \
	"/etc/sasl2:/etc/sasl:/usr/lib/x86_64-linux-gnu/sasl2:/usr/lib/aarch64-linux-gnu/sasl2:/usr/lib/sasl2:/etc/postfix/sasl"

enum { CONF_MAX = 64 * 1024, NAMES_MAX = 64 * 1024 * 1024 };

/* ---- warnings ------------------------------------------------------------------------------------------ */

/* The value of "sasldb_path: ..." in a file of Cyrus's; empty if it has none. */
static struct span conf_path(struct span text)
{
	struct span found = { NULL, 0 };

	while (text.p) {
		struct span line = span_trim(span_cut(&text, '\n'));
		const struct span key = span_trim(span_cut(&line, ':'));
		if (line.p && span_ieq(key, SPAN("sasldb_path")))
			found = span_trim(line);
	}
	return found;
}

static void look_at_conf(const char *file, struct span ours, struct buf *out)
{
	struct buf text = BUF_INIT(CONF_MAX);
	const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return;
	if (file_read_all(fd, &text) == 0) {
		const struct span said = conf_path(buf_span(&text));
		const struct span theirs = said.n ? said : SPAN("/etc/sasldb2");
		if (!span_eq(theirs, ours))
			buf_addf(
				out,
				"sasldb: programs that read %s use %.*s, Postern uses %.*s and reads no such file\n",
				file, SPAN_ARG(theirs), SPAN_ARG(ours));
	}
	close(fd);
	buf_free(&text);
}

void auth_sasldb_warnings(const struct auth_sasldb_config *cfg, struct buf *out)
{
	const struct span path = sasldb_path_of(cfg);
	struct span dirs = cfg->conf_dirs.n ? cfg->conf_dirs : SPAN(CONF_DIRS);
	char *file = mem_strndup(path.p, path.n);
	struct errtext e;
	struct stat st;

	buf_addf(
		out,
		"sasldb: %s holds its passwords in clear; postern user import-sasldb moves them into a file of hashes\n",
		file);
	if (sasldb_file_look(file, &e) < 0)
		buf_addf(out, "%s; until then those who log in are told to come back later\n", e.s);
	else if (stat(file, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)))
		buf_addf(out, "sasldb: everybody on this machine may read %s; chmod o-rwx it\n", file);
	free(file);
	while (cfg->appname.n && dirs.p) {
		struct buf name = BUF_INIT(SASLDB_PATH_MAX);
		const struct span dir = span_cut(&dirs, ':');
		buf_addf(&name, "%.*s/%.*s.conf", SPAN_ARG(dir), SPAN_ARG(cfg->appname));
		if (dir.n && !name.overflow)
			look_at_conf(buf_cstr(&name), path, out);
		buf_free(&name);
	}
}

/* ---- all users ----------------------------------------------------------------------------------------- */

static const char *lister(void)
{
	static const char *const places[] = { "/usr/sbin/sasldblistusers2",
					      "/usr/local/sbin/sasldblistusers2",
					      "/usr/bin/sasldblistusers2" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (access(places[i], X_OK) == 0)
			return places[i];
	}
	return NULL;
}

/* Runs @program -f @path; its output is a line for each property of each user: "user@realm: property". */
static int run_lister(const char *program, const char *path, struct buf *out, struct errtext *e)
{
	char *const argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t) "-f", (char *)(uintptr_t)path,
			       NULL };
	char *const environ_[] = { (char *)(uintptr_t) "LC_ALL=C", NULL };
	posix_spawn_file_actions_t actions;
	int pipe_fd[2], status = 0;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return errtext_set(e, err_from_errno(errno), "pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	const int failed = posix_spawn(&pid, program, &actions, NULL, argv, environ_);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fd[1]);
	int err = failed ? errtext_set(e, err_from_errno(failed), "%s: %s", program, strerror(failed)) : 0;
	if (!err) {
		err = file_read_all(pipe_fd[0], out);
		if (err < 0)
			errtext_set(e, -err, "the names in %s: %s", path, err_text(err));
	}
	close(pipe_fd[0]); /* one that still writes ends by it */
	if (!failed) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
		if (!err && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
			err = errtext_set(e, ERR_IO, "%s -f %s failed", program, path);
	}
	return err;
}

/* The password of one account. Cyrus gives it to who checks one, and a wrong one will do: what was asked for stays with the
 * connection. 1: *password_r is set; 0: only a hash is there; -ERR_x. */
static int read_password(const char *path, struct span who, struct secret *password_r, struct errtext *e)
{
	/* without the "*", which would be the property that the check itself uses and erases */
	const char *wanted[] = { "userPassword", NULL }; /* Cyrus keeps the names, not the list */
	struct propval values[2] = { { .name = NULL } };
	struct sasldb_conn conn;
	char *user = mem_strndup(who.p, who.n);
	int ret = sasldb_open(&conn, path, e);

	if (ret == 0) {
		if (sasl_auxprop_request(conn.sasl, wanted) == SASL_OK)
			sasl_checkpass(conn.sasl, user, (unsigned)who.n, "?", 1);
		struct propctx *props = sasl_auxprop_getctx(conn.sasl);
		if (props && prop_getnames(props, wanted, values) > 0 && values[0].values &&
		    values[0].values[0]) {
			ret = secret_set(password_r, span_of(values[0].values[0])) < 0 ? 0 : 1;
			prop_erase(props, wanted[0]);
		}
		sasldb_close(&conn);
	}
	free(user);
	return ret;
}

static bool has_line(struct span lines, struct span user, struct span property)
{
	while (lines.p) {
		const struct span line = span_cut(&lines, '\n');
		if (line.n == user.n + 2 + property.n && span_starts(line, user) && span_ends(line, property))
			return true;
	}
	return false;
}

/* One line of the list; 0 to go on. */
static int see_line(const char *path, struct span line, struct span all,
		    int (*see)(void *arg, const struct auth_sasldb_user *u), void *arg, struct errtext *e)
{
	const ptrdiff_t colon = span_rfind_char(line, ':'), at = span_find_char(line, '@');
	struct secret password = { NULL, 0 };

	if (colon <= 0 || at <= 0 || at > colon)
		return 0;
	const struct span who = span_first(line, (size_t)colon),
			  property = span_trim(span_skip(line, (size_t)colon + 1));
	const bool clear = span_eq(property, SPAN("userPassword"));
	if (!clear && has_line(all, who, SPAN("userPassword")))
		return 0; /* it has come, or will */
	if (!clear && !span_eq(property, SPAN("cmusaslsecretPLAIN")))
		return 0;
	int ret = clear ? read_password(path, who, &password, e) : 0;
	if (ret >= 0) {
		const struct auth_sasldb_user u = { .user = span_first(who, (size_t)at),
						    .realm = span_skip(who, (size_t)at + 1),
						    .password = ret > 0 ? &password : NULL };
		ret = see(arg, &u);
	}
	secret_deinit(&password);
	return ret;
}

int auth_sasldb_each(const char *path, int (*see)(void *arg, const struct auth_sasldb_user *u), void *arg,
		     struct errtext *e)
{
	struct buf names = BUF_INIT(NAMES_MAX);
	const char *program = lister();
	int ret = sasldb_file_look(path, e);

	if (ret == 0 && !program)
		ret = errtext_set(e, ERR_NOTFOUND,
				  "sasldblistusers2 is not installed; it is in Debian's package sasl2-bin");
	if (ret == 0)
		ret = run_lister(program, path, &names, e);
	struct span rest = buf_span(&names);
	while (ret == 0 && rest.p)
		ret = see_line(path, span_cut(&rest, '\n'), buf_span(&names), see, arg, e);
	buf_free(&names);
	return ret;
}
