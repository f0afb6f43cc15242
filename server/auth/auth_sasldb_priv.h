/* auth/auth_sasldb_priv.h - Cyrus SASL with a sasldb and no surprises; only auth_sasldb*.c and
 * auth_global.c include it. */
#pragma once

#include <sasl/sasl.h>

#include "auth/auth_sasldb.h"

enum { SASLDB_PATH_MAX = 1024, SASLDB_SAID_MAX = 160 };

/* Cyrus keeps callbacks of all kinds as one type. The step between says that it is meant. */
#define SASLDB_PROC(f) ((int (*)(void))(void (*)(void))(f))

static inline struct span sasldb_path_of(const struct auth_sasldb_config *cfg)
{
	return cfg->path.n ? cfg->path : SPAN("/etc/sasldb2");
}

/* Can it be read, and is it of a kind that sasldb files are? -ERR_x in words for the log. */
int sasldb_file_look(const char *path, struct errtext *e);

/* One connection in Cyrus's sense; not to be moved while it is open. */
struct sasldb_conn {
	sasl_conn_t *sasl;
	sasl_callback_t callbacks[3];
	const char *path;
	char said[SASLDB_SAID_MAX]; /* its last error message */
};

int sasldb_open(struct sasldb_conn *c, const char *path, struct errtext *e); /* @path outlives it */
void sasldb_close(struct sasldb_conn *c);
