/* auth_sasldb_file.c - the file itself, and Cyrus with settings that come from us alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth_sasldb_priv.h"
#include "base/check.h"

/* ---- the file ------------------------------------------------------------------------------------------ */

/* The kinds of database that Cyrus is built with, by a number at a place, in the order of the machine that wrote it. */
static bool is_database(const uint8_t *p, size_t n)
{
	static const struct {
		size_t at;
		uint32_t magic;
	} kinds[] = {
		{ 12, 0x00061561 }, /* Berkeley DB, hash */
		{ 12, 0x00053162 }, /* Berkeley DB, btree */
		{ 16, 0xbeefc0de }, /* LMDB */
		{ 0, 0x13579ace },  /* GDBM, and its variants */
		{ 0, 0x13579acd },  { 0, 0x13579acf }, { 0, 0x13579ad0 }, { 0, 0x13579ad1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const uint8_t *m = p + kinds[i].at;
		if (kinds[i].at + 4 > n)
			continue;
		const uint32_t little = (uint32_t)m[3] << 24 | (uint32_t)m[2] << 16 | (uint32_t)m[1] << 8 |
					m[0],
			       big = (uint32_t)m[0] << 24 | (uint32_t)m[1] << 16 | (uint32_t)m[2] << 8 | m[3];
		if (little == kinds[i].magic || big == kinds[i].magic)
			return true;
	}
	return false;
}

int sasldb_file_look(const char *path, struct errtext *e)
{
	uint8_t first[24];
	struct stat st;
	int err = 0;
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return errtext_set(e, err_from_errno(errno), "sasldb %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		err = errtext_set(e, ERR_INVAL, "sasldb %s: it is no file", path);
		goto out;
	}
	const ssize_t n = read(fd, first, sizeof first);
	if (n < 0)
		err = errtext_set(e, err_from_errno(errno), "sasldb %s: %s", path, strerror(errno));
	else if (!is_database(first, (size_t)n))
		err = errtext_set(e, ERR_INVAL, "sasldb %s: it is no database; saslpasswd2 -c makes one",
				  path);
out:
	close(fd);
	return err;
}

/* ---- Cyrus --------------------------------------------------------------------------------------------- */

/* All settings that count, so that none is looked for in a file. */
static int get_setting(void *context, const char *plugin, const char *option, const char **value_r,
		       unsigned *n_r)
{
	const struct sasldb_conn *c = context;
	const struct {
		const char *option, *value;
	} settings[] = {
		{ "pwcheck_method", "auxprop" }, { "auxprop_plugin", "sasldb" }, { "sasldb_path", c->path },
		{ "auto_transition", "no" },     { "log_level", "1" },
	};

	(void)plugin;
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (strcmp(option, settings[i].option) != 0)
			continue;
		*value_r = settings[i].value;
		if (n_r)
			*n_r = (unsigned)strlen(*value_r);
		return SASL_OK;
	}
	return SASL_FAIL;
}

/* Errors only: on higher levels Cyrus tells passwords too. */
static int note_message(void *context, int level, const char *message)
{
	struct sasldb_conn *c = context;

	if (level == SASL_LOG_ERR && message)
		snprintf(c->said, sizeof c->said, "%.*s", (int)sizeof c->said - 1, message);
	return SASL_OK;
}

int sasldb_open(struct sasldb_conn *c, const char *path, struct errtext *e)
{
	*c = (struct sasldb_conn){ .path = path };
	c->callbacks[0] = (sasl_callback_t){ SASL_CB_GETOPT, SASLDB_PROC(get_setting), c };
	c->callbacks[1] = (sasl_callback_t){ SASL_CB_LOG, SASLDB_PROC(note_message), c };
	c->callbacks[2] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	/* The name of the host is not used, for every user comes with a realm; given, so that Cyrus does not ask the DNS for it. */
	const int ret = sasl_server_new("smtp", "localhost", NULL, NULL, NULL, c->callbacks, 0, &c->sasl);
	if (ret != SASL_OK)
		return errtext_set(e, ERR_UNSUPPORTED, "Cyrus SASL: %s", sasl_errstring(ret, NULL, NULL));
	return 0;
}

void sasldb_close(struct sasldb_conn *c)
{
	sasl_dispose(&c->sasl);
}
