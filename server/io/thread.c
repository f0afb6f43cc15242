#include "io/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

enum { NAME_BYTES = 16 }; /* Linux's limit, with the NUL */

struct thread {
	pthread_t id;
	char name[NAME_BYTES];
	void (*run)(void *arg);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	pthread_setname_np(pthread_self(), t->name);
	t->run(t->arg);
	return NULL;
}

struct thread *thread_start(const char *name, void (*run)(void *arg), void *arg)
{
	struct thread *t = mem_alloc(sizeof *t);
	sigset_t all, before;

	snprintf(t->name, sizeof t->name, "%s", name);
	t->run = run;
	t->arg = arg;
	sigfillset(&all);
	/* The thread inherits the mask: no signal can come in between. */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	require(pthread_create(&t->id, NULL, thread_main, t) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return t;
}

void thread_join(struct thread **tp)
{
	struct thread *t = *tp;

	if (!t)
		return;
	*tp = NULL;
	require(pthread_join(t->id, NULL) == 0);
	free(t);
}

void thread_leave(struct thread **tp)
{
	struct thread *t = *tp;

	if (!t)
		return;
	*tp = NULL;
	require(pthread_detach(t->id) == 0);
	free(t); /* a thread looks at it before @run only */
}
