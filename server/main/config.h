/* main/config.h - the configuration: one immutable snapshot that every thread may read.
 *
 *   1. config_load() has policy/ evaluate the file, check it against schema/config.lua and prove its policies (policy/bundle.h)
 *   2. the tree of plain values becomes the structs that the other directories understand
 *   3. serve starts workers with it; a reload makes another one, and the last reference frees the old
 *
 * What is wrong is said as problems with file and line, all of them at once. A configuration with one that is not a warning is no
 * configuration: nothing of it is used.
 *
 * Ownership: counted. Whatever is reached from a snapshot (spans, listeners, routes, the bundle) lives as long as it does; a
 *            session, a worker, a delivery keeps it alive by a reference or by whoever holds one for it.
 * Threads:   immutable but for the counter, which is atomic.
 * Units:     as named; `*_bytes` and counts that are shared by the workers are a worker's share already.
 * Tests:     tests/unit/main/test_config*.c
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/span.h"
#include "delivery/delivery.h"
#include "delivery/route.h"
#include "dkim/dkim_signer.h"
#include "dns/dns.h"
#include "policy/bundle.h"
#include "policy/policy.h"
#include "queue/queue.h"
#include "session/session_config.h"
#include "spool/spool.h"
#include "sts/sts.h"

struct json;

enum { CONFIG_WORKERS_MAX = 256, CONFIG_LISTENERS_MAX = 64, CONFIG_BINDS_MAX = 64, CONFIG_PROFILES_MAX = 64 };

/* Something of a snapshot that comes from files which are replaced while the server runs. */
enum config_kept_kind {
	CONFIG_KEPT_TLS,     /* of listeners; its name is one of those that use it */
	CONFIG_KEPT_BACKEND, /* where passwords are checked; its name is that of `auth` */
};

struct config_kept {
	struct list link;
	enum config_kept_kind kind;
	struct span name, file; /* for the log; file may be empty */
	void *thing;
	/* 1: it has changed, 0: not, -ERR_x: it cannot be used and stays as it was. NULL: it has no files. From the main thread. */
	int (*refresh)(void *thing, struct errtext *e);
	void (*release)(void *thing); /* with the last reference to the snapshot */
};

struct config_listener {
	struct session_listener session; /* its name finds the policies: hook_ops.list() */
	const struct ip_endpoint *bind;
	uint32_t nbind; /* >= 1 */
};

struct config {
	struct span file; /* as it was asked for */
	struct span hostname;
	struct span data_dir, control; /* paths; NUL-terminated */
	struct span user, group;       /* to become after the sockets are bound; empty: stay */
	unsigned workers;

	struct config_listener *listeners;
	uint32_t nlisteners; /* >= 1 */
	struct session_profile *profiles;
	uint32_t nprofiles;
	struct route_table routes;
	struct dkim_signer *dkim; /* keys; NULL: none */

	enum log_format log_format;
	enum log_level log_level;

	struct dns_config dns;
	struct spool_config spool; /* a worker sets its number */
	struct queue_config queue;
	struct sts_config sts;
	struct delivery_config delivery; /* a worker sets `policies` */
	struct policy_limits limits;

	struct policy_bundle *bundle; /* its value tree: policy_bundle_config() */

	/* internal */
	_Atomic unsigned refs_;
	struct arena *mem_;
	struct list sets_;       /* of networks */
	struct list kept_;       /* struct config_kept */
	struct map tls_clients_; /* of routes */
	struct list credentials_, tokens_;
	struct auth_services *services_; /* NULL: no credentials */
};

/* Once in a process, before the first config_load(). */
int config_global_init(struct errtext *e);

/* Problems are added to @problems, also when it succeeds (warnings). Returns 0, or -ERR_INVAL, -ERR_IO, -ERR_NOTFOUND, -ERR_TOOBIG
 * with at least one problem that is not a warning; *cfg_r is untouched then. */
int config_load(const char *file, struct config_problems *problems, struct config **cfg_r);
/* The same for a text, as if it stood in @file. */
int config_load_text(struct span text, const char *file, struct config_problems *problems,
		     struct config **cfg_r);

struct config *config_ref(struct config *cfg);
void config_unref(struct config **cfg); /* accepts NULL */

/* Looks at the files of everything that was kept. @tell: what came of each that has changed; e is empty or says what is wrong. */
void config_refresh(const struct config *cfg,
		    void (*tell)(void *arg, const struct config_kept *k, int result, const struct errtext *e),
		    void *arg);
/* Is there a secret in it: a key, a password? */
bool config_has_secrets(const struct config *cfg);

/* NULL: there is none of that name. */
const struct config_listener *config_listener_by_name(const struct config *cfg, struct span name);

/* What @next changes that a running server cannot: a problem for each (sockets, directories, workers, ...). Returns how many; with
 * any, the reload is refused and @now stays in force as a whole. */
size_t config_reload_check(const struct config *now, const struct config *next,
			   struct config_problems *problems);

/* Tokens that a credential of @now has are those of @next too, where it says the same. Before @next is used. */
void config_inherit(struct config *next, const struct config *now);
/* Secrets whose files changed are read again. @told hears of each that did (1), or why not (-ERR_x; all stays as it was), once
 * for each state; -ERR_UNREACH: a token cannot be had, or kept. One thread at a time. */
void config_refresh_secrets(const struct config *cfg,
			    void (*told)(void *arg, struct span name, int result, const char *text),
			    void *arg);
/* The same for CAs, certificates and keys of routes; connections that are open keep what they have. */
void config_refresh_route_tls(const struct config *cfg,
			      void (*told)(void *arg, struct span name, int result, const char *text),
			      void *arg);

/* `postern check`: loads @file and writes every problem as "file:line: text", or as one JSON object, and a last line that sums up.
 * Returns the exit status: 0, or 1 if there is a problem that is not a warning. */
int config_check(const char *file, bool json, struct buf *out);
/* The lines of config_check() for problems that somebody else found. */
void config_problems_write(const struct config_problems *problems, struct buf *out);
/* The same as a member "problems" of the object that @j is in. */
void config_problems_json(const struct config_problems *problems, struct json *j);
