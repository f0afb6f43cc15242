#include "main/cli_cert.h"

#include <time.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/secret.h"
#include "policy/bundle.h"
#include "tls/tls_cert_check.h"

enum { NAMES_MAX = 100, FILES_MAX = 200, MEM_MAX = 1024 * 1024 };

struct request {
	struct arena *mem;
	struct span config, ca;
	struct span name[NAMES_MAX], file[FILES_MAX];
	size_t nnames, nfiles;
	struct json out;
	unsigned problems;
	size_t pairs;
};

static int read_request(struct request *r, struct span in, struct errtext *why)
{
	while (in.p) {
		struct span line = span_cut(&in, '\n');
		const struct span key = span_cut(&line, ' '), value = arena_dup(r->mem, line);
		if (!key.n)
			continue;
		if (!value.p)
			return errtext_set(why, ERR_TOOBIG, "cert check: too much was asked for");
		if (span_eq(key, SPAN("config")))
			r->config = value;
		else if (span_eq(key, SPAN("ca")))
			r->ca = value;
		else if (span_eq(key, SPAN("name")) && r->nnames < NAMES_MAX)
			r->name[r->nnames++] = value;
		else if (span_eq(key, SPAN("file")) && r->nfiles < FILES_MAX)
			r->file[r->nfiles++] = value;
		else
			return errtext_set(why, ERR_INVAL, "cert check: too many of \"%.*s\"",
					   SPAN_ARG(span_first(key, 40)));
	}
	return 0;
}

static void check_pair(struct request *r, struct span where, struct tls_cert_check *q)
{
	q->ca_file = q->ca_file.n ? q->ca_file : r->ca;
	if (!q->client) {
		q->names = r->name;
		q->nnames = r->nnames;
	}
	q->now_s = time(NULL);
	q->where = where;
	r->problems += tls_cert_check(q, &r->out);
	r->pairs++;
}

/* ---- the configuration --------------------------------------------------------------------------------- */

/* `tls = { cert, key }` or `tls = { certs = { { cert, key }, ... } }`. The first is for clients that ask for no name. */
static void check_served(struct request *r, struct span where, const struct config_value *tls,
			 struct span hostname)
{
	const struct config_value *list = config_get(tls, "certs");

	if (config_text(config_get(tls, "cert"), SPAN("")).n)
		check_pair(r, where,
			   &(struct tls_cert_check){ .cert = config_text(config_get(tls, "cert"), SPAN("")),
						     .key = config_text(config_get(tls, "key"), SPAN("")),
						     .hostname = hostname });
	for (size_t i = 0; i < config_count(list); i++) {
		const struct config_value *v = config_at(list, i);
		check_pair(r, where,
			   &(struct tls_cert_check){ .cert = config_text(config_get(v, "cert"), SPAN("")),
						     .key = config_text(config_get(v, "key"), SPAN("")),
						     .hostname = i == 0 ? hostname : SPAN("") });
	}
}

static void check_shown(struct request *r, struct span where, const struct config_value *tls)
{
	const struct span cert = config_text(config_get(tls, "cert"), SPAN(""));

	if (cert.n)
		check_pair(r, where,
			   &(struct tls_cert_check){ .cert = cert,
						     .key = config_text(config_get(tls, "key"), SPAN("")),
						     .client = true });
}

static int check_config(struct request *r, struct errtext *why)
{
	struct config_problems problems;
	struct policy_bundle *b = NULL;

	config_problems_init(&problems, r->mem);
	const int err = policy_bundle_load(r->config.p, &problems, &b);
	for (size_t i = 0; err < 0 && i < problems.n; i++) {
		const struct config_problem *p = &problems.v[i];
		if (!p->warning) /* the first is enough here: `postern check` names them all */
			return errtext_set(why, -err, "%.*s:%u: %.*s", SPAN_ARG(p->file), p->line,
					   SPAN_ARG(p->text));
	}
	if (err < 0)
		return err;
	const struct config_value *root = policy_bundle_config(b);
	const struct span hostname = config_text(config_get(root, "hostname"), SPAN(""));
	check_served(r, SPAN("tls"), config_get(root, "tls"), hostname);
	const struct config_value *list = config_get(root, "listeners");
	for (size_t i = 0; i < config_count(list); i++) {
		const struct config_value *v = config_at(list, i);
		const struct span own = config_text(config_get(v, "hostname"), hostname);
		check_served(r,
			     arena_printf(r->mem, "listener \"%.*s\"",
					  SPAN_ARG(config_text(config_get(v, "name"), SPAN("")))),
			     config_get(v, "tls"), own);
	}
	list = config_get(root, "routes");
	for (size_t i = 0; i < config_count(list); i++) {
		const struct config_value *v = config_at(list, i);
		check_shown(r,
			    arena_printf(r->mem, "route \"%.*s\"",
					 SPAN_ARG(config_text(config_get(v, "name"), SPAN("")))),
			    config_get(v, "tls"));
	}
	policy_bundle_unref(&b);
	return 0;
}

/* ---- files --------------------------------------------------------------------------------------------- */

enum holds { HOLDS_CERT = 1, HOLDS_KEY = 2 };

/* What a file seems to have; of one that cannot be read, that is found out later. */
static unsigned holds(struct span path)
{
	struct secret s = { NULL, 0 };
	unsigned what = 0;

	if (secret_read(&s, path.p, NULL) >= 0) {
		what |= span_find(secret_span(&s), SPAN("-----BEGIN CERTIFICATE-----")) >= 0 ? HOLDS_CERT : 0;
		what |= span_find(secret_span(&s), SPAN("PRIVATE KEY-----")) >= 0 ? HOLDS_KEY : 0;
	}
	secret_deinit(&s);
	return what;
}

static void check_files(struct request *r)
{
	for (size_t i = 0; i < r->nfiles; i++) {
		const unsigned what = holds(r->file[i]);
		struct tls_cert_check q = { .cert = r->file[i], .without_key = !(what & HOLDS_KEY) };
		if (what == HOLDS_CERT && i + 1 < r->nfiles && !(holds(r->file[i + 1]) & HOLDS_CERT)) {
			q.key = r->file[++i];
			q.without_key = false;
		}
		check_pair(r, SPAN(""), &q);
	}
}

int cli_cert_check(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct request r = { .mem = arena_new(MEM_MAX) };
	struct buf pairs = BUF_INIT(16 * 1024 * 1024);
	struct json j = json_to(out);

	(void)arg;
	r.out = json_to(&pairs);
	json_array(&r.out, NULL);
	int err = read_request(&r, in, why);
	if (!err && r.config.n)
		err = check_config(&r, why);
	if (!err)
		check_files(&r);
	json_array_end(&r.out);
	if (!err && !r.pairs)
		err = errtext_set(why, ERR_NOTFOUND, "there is no certificate to check%s",
				  r.config.n ? ": the configuration names none" : "");
	json_object(&j, NULL);
	json_int(&j, "problems", r.problems);
	json_raw(&j, "pairs", pairs.overflow ? SPAN("[]") : buf_span(&pairs));
	json_object_end(&j);
	buf_free(&pairs);
	arena_free(&r.mem);
	return err;
}
