/* control.c - HTTP in, HTTP out: libmicrohttpd's side of the admin API.
 *
 * A connection has a thread of its own, of which there are at most CONNECTIONS_MAX. A request is gathered (bounded), handed to
 * control_route(), and its answer sent. Ways it fails: too large (413), too slow (the connection ends), no such thing (404).
 */
#include "control/control.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/mem.h"
#include "control/control_priv.h"

enum { CONNECTIONS_MAX = 32, IDLE_TIMEOUT_S = 60, BACKLOG = 64, CONNECTION_MEMORY = 64 * 1024 };

struct control {
	struct control_env env;
	struct MHD_Daemon *daemon;
	pthread_mutex_t log_lock;
	struct sockaddr_un at; /* the socket's file; an empty path: it is not known */
	struct stat file;
};

struct span control_arg(const struct control_request *r, const char *name)
{
	return span_of(MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name));
}

struct unknown_arg {
	const char *known, *name;
};

static enum MHD_Result see_arg(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct unknown_arg *u = cls;
	char word[64];

	(void)kind;
	(void)value;
	const int n = snprintf(word, sizeof word, " %s ", name);
	if (n > 0 && (size_t)n < sizeof word && !strchr(name, ' ') && strstr(u->known, word))
		return MHD_YES;
	u->name = name;
	return MHD_NO;
}

const char *control_arg_unknown(const struct control_request *r, const char *known)
{
	struct unknown_arg u = { .known = known };

	MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, see_arg, &u);
	return u.name;
}

bool control_flag(const struct control_request *r, const char *name)
{
	const struct span v = control_arg(r, name);

	return span_eq(v, SPAN("1")) || span_eq(v, SPAN("true"));
}

void control_fail(struct control_request *r, unsigned code, const char *fmt, ...)
{
	struct json j = json_to(&r->out);
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_reset(&r->out);
	r->code = code;
	json_object(&j, NULL);
	json_cstr(&j, "error", text);
	json_object_end(&j);
}

/* The user at the other end of the socket. A tool of his may name a person in addition. */
static void find_actor(struct control_request *r)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const char *said = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "X-Postern-Actor");
	struct ucred cred;
	socklen_t n = sizeof cred;
	struct passwd pw, *found = NULL;
	char mem[1024];

	snprintf(r->actor, sizeof r->actor, "unknown");
	if (!info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
		return;
	getpwuid_r(cred.uid, &pw, mem, sizeof mem, &found);
	char user[33];
	if (found)
		snprintf(user, sizeof user, "%.32s", found->pw_name);
	else
		snprintf(user, sizeof user, "uid %u", (unsigned)cred.uid);
	snprintf(r->actor, sizeof r->actor, "%s%s%.24s", user, said ? "/" : "", said ? said : "");
}

static void log_request(struct control *c, const struct control_request *r)
{
	struct log_rec rec;
	const bool bad = r->code >= 400;

	metric_add_label(c->env.process_metrics, METRIC_CONTROL_REQUESTS_TOTAL,
			 bad ? SPAN("error") : SPAN("ok"), 1);
	if (span_eq(r->method, SPAN("GET")) && !bad)
		return; /* looking changes nothing; monitoring looks every few seconds */
	pthread_mutex_lock(&c->log_lock);
	if (log_begin(&rec, c->env.log, bad ? LOG_EV_CONTROL_REFUSED : LOG_EV_CONTROL_REQUEST)) {
		log_str(&rec, LOG_F_METHOD, r->method);
		log_str(&rec, LOG_F_RESOURCE, r->path);
		log_cstr(&rec, LOG_F_ACTOR, r->actor);
		log_int(&rec, LOG_F_CODE, r->code ? r->code : 200);
		if (bad)
			log_str(&rec, LOG_F_TEXT, span_first(buf_span(&r->out), 300));
		if (control_arg(r, "reason").n)
			log_str(&rec, LOG_F_REASON, control_arg(r, "reason"));
		log_end(&rec);
	}
	log_flush(c->env.log);
	pthread_mutex_unlock(&c->log_lock);
}

static enum MHD_Result answer(struct control_request *r)
{
	struct MHD_Response *res = MHD_create_response_from_buffer(r->out.n, r->out.p ? r->out.p : (char *)"",
								   MHD_RESPMEM_MUST_COPY);

	if (!res)
		return MHD_NO;
	MHD_add_response_header(res, MHD_HTTP_HEADER_CONTENT_TYPE, r->type ? r->type : "application/json");
	MHD_add_response_header(res, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	const enum MHD_Result ok = MHD_queue_response(r->connection, r->code ? r->code : 200, res);
	MHD_destroy_response(res);
	return ok;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_n, void **state)
{
	struct control *c = cls;
	struct control_request *r = *state;

	(void)version;
	if (!r) {
		r = mem_alloc(sizeof *r);
		r->control = c;
		r->env = &c->env;
		r->connection = connection;
		r->mem = arena_new(16 * 1024 * 1024);
		r->method = arena_dup(r->mem, span_of(method));
		r->path = arena_dup(r->mem, span_of(url)); /* what CONNECTION_MEMORY lets through fits */
		buf_init(&r->body, CONTROL_BODY_MAX);
		buf_init(&r->out, CONTROL_ANSWER_MAX);
		*state = r;
		return MHD_YES;
	}
	if (*upload_n) {
		buf_add(&r->body, upload, *upload_n); /* over the maximum: the flag stays */
		*upload_n = 0;
		return MHD_YES;
	}
	find_actor(r);
	if (r->body.overflow)
		control_fail(r, 413, "the request is larger than %d octets", (int)CONTROL_BODY_MAX);
	else
		control_route(r);
	if (r->out.overflow)
		control_fail(r, 507, "the answer is too large; ask for less with limit=");
	log_request(c, r);
	return answer(r);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct control_request *r = *state;

	(void)cls;
	(void)connection;
	(void)why;
	if (!r)
		return;
	if (r->shutdown)
		r->env->shutdown(r->env->arg);
	buf_free(&r->body);
	buf_free(&r->out);
	arena_free(&r->mem);
	free(r);
	*state = NULL;
}

/* Which file is ours: another process may put its own in the place. */
static void remember_file(struct control *c, int fd)
{
	socklen_t n = sizeof c->at;

	if (getsockname(fd, (struct sockaddr *)&c->at, &n) != 0 || n >= sizeof c->at ||
	    lstat(c->at.sun_path, &c->file) != 0)
		c->at.sun_path[0] = 0;
}

/* While the socket is open, so that its inode is no other file's. */
static void remove_file(const struct control *c)
{
	struct stat now;

	if (c->at.sun_path[0] && lstat(c->at.sun_path, &now) == 0 && now.st_dev == c->file.st_dev &&
	    now.st_ino == c->file.st_ino)
		unlink(c->at.sun_path);
}

int control_start(struct control **c_r, const struct control_env *env, int fd, struct errtext *e)
{
	struct control *c = mem_alloc(sizeof *c);

	c->env = *env;
	remember_file(c, fd);
	require(pthread_mutex_init(&c->log_lock, NULL) == 0);
	c->daemon = MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, c,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	if (!c->daemon) {
		close(fd);
		pthread_mutex_destroy(&c->log_lock);
		free(c);
		return errtext_set(e, ERR_IO, "the admin API could not be started");
	}
	*c_r = c;
	return 0;
}

void control_stop(struct control **c)
{
	if (!*c)
		return;
	remove_file(*c);
	MHD_stop_daemon((*c)->daemon);
	pthread_mutex_destroy(&(*c)->log_lock);
	free(*c);
	*c = NULL;
}

const char *control_library(void)
{
	return MHD_get_version();
}

/* ---- the socket ----------------------------------------------------------------------------------------------- */

static bool is_alive(const struct sockaddr_un *at)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) == 0;

	if (fd >= 0)
		close(fd);
	return alive;
}

int control_listen(const char *path, struct errtext *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char dir[sizeof at.sun_path];

	if (strlen(path) >= sizeof at.sun_path)
		return errtext_set(e, ERR_TOOBIG, "control socket %s: the path is longer than %zu octets",
				   path, sizeof at.sun_path - 1);
	memcpy(at.sun_path, path, strlen(path) + 1);
	memcpy(dir, path, strlen(path) + 1);
	char *slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = 0;
		if (mkdir(dir, 0755) != 0 && errno != EEXIST)
			return errtext_set(e, err_from_errno(errno), "control socket: make %s: %s", dir,
					   strerror(errno));
	}
	struct stat there;
	if (lstat(path, &there) == 0) {
		if (!S_ISSOCK(there.st_mode))
			return errtext_set(e, ERR_EXISTS,
					   "control socket %s: there is something that is no socket", path);
		if (is_alive(&at))
			return errtext_set(e, ERR_EXISTS, "control socket %s: another process answers there",
					   path);
		unlink(path);
	}
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errtext_set(e, err_from_errno(errno), "control socket: %s", strerror(errno));
	const mode_t before = umask(0117);
	const bool bound = bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, BACKLOG) == 0;
	const int why = errno;
	umask(before);
	if (!bound) {
		close(fd);
		return errtext_set(e, err_from_errno(why), "control socket %s: %s", path, strerror(why));
	}
	return fd;
}
