/* Happy path: the descriptor is readable, up to ACCEPT_MAX connections are taken, each becomes a stream and
 * goes to `accepted`.
 *
 * Out of descriptors: accepting pauses for PAUSE_US, so that the loop does not spin on a backlog that it
 * cannot take. If there are none after that either, the descriptor held in reserve takes one connection and
 * closes it: whoever waited longest is told to go elsewhere rather than left hanging.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "io/loop_priv.h"
#include "io/tcp_priv.h"

enum { ACCEPT_MAX = 64, PAUSE_US = 100 * 1000 };

struct listener {
	struct loop *loop;
	uv_poll_t poll;
	int fd, reserve_fd;
	bool paused;       /* by the owner */
	bool short_of_fds; /* the last accept found none; `resume` is set */
	bool closed;
	struct timer resume;
	void (*accepted)(void *arg, struct stream *s);
	void *arg;
};

/* ---- the descriptor ------------------------------------------------------------------------------------ */

int tcp_listen_fd(const struct ip_endpoint *at, int backlog, struct ip_endpoint *bound_r, struct errtext *e)
{
	struct sockaddr_storage sa;
	socklen_t sa_n = ip_to_sockaddr(at, &sa);
	const struct ip_text text = ip_format(&at->addr);
	const char *what = "socket";
	const int on = 1;
	const int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		goto failed;
	what = "setsockopt";
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
	    (sa.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0))
		goto failed;
	what = "bind";
	if (bind(fd, (struct sockaddr *)&sa, sa_n) < 0)
		goto failed;
	what = "listen";
	if (listen(fd, backlog) < 0)
		goto failed;
	what = "getsockname";
	sa_n = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &sa_n) < 0)
		goto failed;
	if (bound_r)
		*bound_r = ip_from_sockaddr((struct sockaddr *)&sa);
	return fd;
failed:;
	const int why = errno;
	if (fd >= 0)
		close(fd);
	return errtext_set(e, err_from_errno(why), "listen on %s port %u: %s: %s", text.s, at->port, what,
			   strerror(why));
}

/* ---- accepting ----------------------------------------------------------------------------------------- */

static void on_ready(uv_poll_t *h, int status, int events);

static void listener_watch(struct listener *ls)
{
	if (ls->closed)
		return;
	if (ls->paused || ls->resume.due_us)
		uv_poll_stop(&ls->poll);
	else
		uv_poll_start(&ls->poll, UV_READABLE, on_ready);
}

static void shed_one(struct listener *ls)
{
	if (ls->reserve_fd < 0)
		return;
	close(ls->reserve_fd);
	const int fd = accept4(ls->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	ls->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void no_room(struct listener *ls)
{
	if (ls->short_of_fds)
		shed_one(ls);
	ls->short_of_fds = true;
	timer_set_in(ls->loop, &ls->resume, PAUSE_US);
	listener_watch(ls);
}

static void on_resume(struct timer *t)
{
	struct listener *ls = container_of(t, struct listener, resume);

	listener_watch(ls);
}

/* Returns false when there is nothing more to accept for now. */
static bool accept_one(struct listener *ls)
{
	struct sockaddr_storage sa;
	socklen_t sa_n = sizeof sa;
	const int fd = accept4(ls->fd, (struct sockaddr *)&sa, &sa_n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		switch (errno) {
		case EAGAIN:
			return false;
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
			no_room(ls);
			return false;
		default:
			return true; /* that connection died in the queue; accept(2) tells it as ours */
		}
	}
	ls->short_of_fds = false;
	const struct ip_endpoint peer = ip_from_sockaddr((struct sockaddr *)&sa);
	struct stream *s = tcp_stream_new(ls->loop, fd, &peer);
	if (s)
		ls->accepted(ls->arg, s);
	return true;
}

static void on_ready(uv_poll_t *h, int status, int events)
{
	struct listener *ls = container_of(h, struct listener, poll);

	(void)events;
	for (unsigned i = 0; i < ACCEPT_MAX && !ls->paused && !ls->closed; i++)
		if (!accept_one(ls))
			break;
	if (status < 0)
		listener_watch(ls); /* uv stopped at an error of the descriptor, which accept has taken */
}

struct listener *listener_new(struct loop *l, int fd, void (*accepted)(void *arg, struct stream *s),
			      void *arg)
{
	struct listener *ls = mem_alloc(sizeof *ls);

	*ls = (struct listener){ .loop = l, .fd = fd, .accepted = accepted, .arg = arg };
	require(uv_poll_init(&l->uv, &ls->poll, fd) == 0);
	timer_init(&ls->resume, on_resume);
	ls->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	listener_watch(ls);
	return ls;
}

void listener_pause(struct listener *ls, bool paused)
{
	ls->paused = paused;
	listener_watch(ls);
}

static void on_listener_closed(uv_handle_t *h)
{
	free(container_of((uv_poll_t *)h, struct listener, poll));
}

void listener_close(struct listener **lsp)
{
	struct listener *ls = *lsp;

	if (!ls)
		return;
	*lsp = NULL;
	ls->closed = true;
	timer_unset(ls->loop, &ls->resume);
	uv_close((uv_handle_t *)&ls->poll, on_listener_closed);
	close(ls->fd);
	if (ls->reserve_fd >= 0)
		close(ls->reserve_fd);
}
