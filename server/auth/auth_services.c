#include "auth/auth_services.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

enum { THREADS_MAX = 4, QUEUE_MAX = 1000 };

struct auth_services *auth_services_new(void)
{
	struct auth_services *s = mem_alloc(sizeof *s);

	atomic_init(&s->refs_, 1);
	s->http = http_client_new();
	s->pool = auth_pool_new("credentials", THREADS_MAX, QUEUE_MAX, NULL);
	return s;
}

struct auth_services *auth_services_ref(struct auth_services *s)
{
	require(atomic_fetch_add_explicit(&s->refs_, 1, memory_order_relaxed) > 0);
	return s;
}

void auth_services_unref(struct auth_services **sp)
{
	struct auth_services *s = *sp;

	*sp = NULL;
	if (!s || atomic_fetch_sub_explicit(&s->refs_, 1, memory_order_acq_rel) > 1)
		return;
	http_client_unref(&s->http);
	auth_pool_free(&s->pool);
	free(s);
}
