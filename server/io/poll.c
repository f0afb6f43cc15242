#include "io/poll.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "io/loop_priv.h"

struct poll {
	uv_poll_t handle;
	int fd;
	int wanted, watched; /* UV_READABLE | UV_WRITABLE: the library's wish, and what uv was told */
	bool freed;
	void (*ready)(void *arg, int fd, bool readable, bool writable);
	void *arg;
};

static void on_ready(uv_poll_t *h, int status, int events);

static void watch_wanted(struct poll *p)
{
	if (p->freed || p->wanted == p->watched)
		return;
	p->watched = p->wanted;
	if (p->wanted)
		uv_poll_start(&p->handle, p->wanted, on_ready);
	else
		uv_poll_stop(&p->handle);
}

static void on_ready(uv_poll_t *h, int status, int events)
{
	struct poll *p = container_of(h, struct poll, handle);

	/* An error of the descriptor (EPOLLERR, at which uv stops): the library's own call will find it. */
	if (status < 0) {
		p->watched = 0;
		events = p->wanted;
	}
	p->ready(p->arg, p->fd, events & UV_READABLE, events & UV_WRITABLE);
	watch_wanted(p);
}

struct poll *poll_new(struct loop *l, int fd, void (*ready)(void *arg, int fd, bool readable, bool writable),
		      void *arg)
{
	struct poll *p = mem_alloc(sizeof *p);

	*p = (struct poll){ .fd = fd, .ready = ready, .arg = arg };
	if (uv_poll_init(&l->uv, &p->handle, fd) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

void poll_set(struct poll *p, bool read, bool write)
{
	p->wanted = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
	watch_wanted(p);
}

static void on_closed(uv_handle_t *h)
{
	free(container_of((uv_poll_t *)h, struct poll, handle));
}

void poll_free(struct poll **pp)
{
	struct poll *p = *pp;

	if (!p)
		return;
	*pp = NULL;
	p->freed = true;
	uv_close((uv_handle_t *)&p->handle, on_closed);
}
