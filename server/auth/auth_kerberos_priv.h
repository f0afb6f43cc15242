/* auth/auth_kerberos_priv.h - private to auth_kerberos: the backend, and one question to the KDC.
 *
 *   auth_kerberos.c        what is asked of the backend; its life
 *   auth_kerberos_login.c  a question, from the loop to its thread and back; the happy path is there
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "auth/auth_breaker.h"
#include "auth/auth_cache.h"
#include "auth/auth_kerberos.h"
#include "auth/auth_krb5.h"
#include "auth/auth_pattern.h"
#include "auth/auth_pool.h"

struct file_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct auth_kerberos {
	struct auth_backend head;
	atomic_uint refs; /* of the snapshot and of each login */
	struct auth_pool *pool;
	char *realm, *service, *keytab, *krb5_conf;
	struct auth_pattern allow;
	int64_t timeout_us;
	atomic_uint kdc_turn;
	atomic_uint generation; /* of krb5.conf: threads open it anew */
	pthread_mutex_t lock;   /* over all that follows */
	struct auth_cache cache;
	struct auth_breaker breaker;
	unsigned probes; /* under way */
	struct map under_way;
	unsigned epoch; /* counts what made answers of before void */
	struct file_stamp keytab_stamp, conf_stamp;
	struct auth_kerberos_stats stats;
};

/* One question to the KDC. */
struct login {
	struct auth_job job;
	struct auth_kerberos *b;
	struct map_node node; /* in b->under_way, under b->lock */
	bool is_under_way, begun, counted, probe;
	struct auth_cache_key key;
	struct auth_identity identity;
	int64_t begun_us;
	unsigned epoch;
	struct auth_krb5_login result;
	size_t npassword;
	char password[AUTH_KERBEROS_PASSWORD_MAX + 1];
};

void auth_kerberos_unref(struct auth_kerberos *b);
struct auth_krb5_config auth_kerberos_krb5(struct auth_kerberos *b);

/* ---- auth_kerberos_login.c ------------------------------------------------------------------------------- */

void auth_kerberos_thread_end(void *mine);

static inline int64_t auth_kerberos_answer_in_us(const struct auth_kerberos *b)
{
	return b->timeout_us - b->timeout_us / 20;
}

void auth_kerberos_answer(struct auth_check *c, enum auth_answer answer, const char *why);
/* The check's op is pending and completes with the answer: remembered, or of a question that is joined or started. */
void auth_kerberos_ask(struct auth_kerberos *b, struct auth_check *c, const struct auth_identity *id,
		       const struct auth_cache_key *key);
void auth_kerberos_cancel(struct op *op);
