#include "io/signal.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "io/loop_priv.h"

struct signal_watch {
	uv_signal_t handle;
	void (*caught)(void *arg, int signum);
	void *arg;
};

static void on_signal(uv_signal_t *h, int signum)
{
	struct signal_watch *w = container_of(h, struct signal_watch, handle);

	w->caught(w->arg, signum);
}

static void on_closed(uv_handle_t *h)
{
	free(container_of((uv_signal_t *)h, struct signal_watch, handle));
}

struct signal_watch *signal_watch_new(struct loop *l, int signum, void (*caught)(void *arg, int signum),
				      void *arg)
{
	struct signal_watch *w = mem_alloc(sizeof *w);

	w->caught = caught;
	w->arg = arg;
	if (uv_signal_init(&l->uv, &w->handle) < 0) {
		free(w);
		return NULL;
	}
	uv_unref((uv_handle_t *)&w->handle);
	if (uv_signal_start(&w->handle, on_signal, signum) < 0)
		signal_watch_free(&w);
	return w;
}

void signal_watch_free(struct signal_watch **wp)
{
	struct signal_watch *w = *wp;

	if (!w)
		return;
	*wp = NULL;
	uv_close((uv_handle_t *)&w->handle, on_closed);
}
