#include "auth/auth_global.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_sasldb_priv.h"
#include "base/mem.h"

/* Cyrus asks for locks of ours, and has none otherwise. */
static void *lock_new(void)
{
	pthread_mutex_t *m = mem_alloc(sizeof *m);

	pthread_mutex_init(m, NULL);
	return m;
}

static int lock_take(void *lock)
{
	return pthread_mutex_lock(lock) ? SASL_FAIL : SASL_OK;
}

static int lock_give(void *lock)
{
	return pthread_mutex_unlock(lock) ? SASL_FAIL : SASL_OK;
}

static void lock_free(void *lock)
{
	pthread_mutex_destroy(lock);
	free(lock);
}

/* What no connection is there for goes nowhere: by default it would go to syslog. */
static int say_nothing(void *context, int level, const char *message)
{
	(void)context;
	(void)level;
	(void)message;
	return SASL_OK;
}

/* SASL_CONTINUE: leave it out. GSSAPI's plug-in would bring its own libraries and its own mind. */
static int only_sasldb(void *context, const char *file, sasl_verify_type_t type)
{
	(void)context;
	if (type == SASL_VRFY_PLUGIN)
		return strstr(file, "/libsasldb.") ? SASL_OK : SASL_CONTINUE;
	return SASL_CONTINUE;
}

int auth_global_init(struct errtext *e)
{
	/* Cyrus keeps the pointer for as long as the process lives. */
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_LOG, SASLDB_PROC(say_nothing), NULL },
		{ SASL_CB_VERIFYFILE, SASLDB_PROC(only_sasldb), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};

	sasl_set_mutex(lock_new, lock_take, lock_give, lock_free);
	/* Without a name of an application there is no configuration file to look for. */
	const int ret = sasl_server_init(callbacks, NULL);
	if (ret != SASL_OK)
		return errtext_set(e, ERR_UNSUPPORTED, "Cyrus SASL does not start: %s",
				   sasl_errstring(ret, NULL, NULL));
	return 0;
}
