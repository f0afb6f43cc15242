#include "main/cli_dkim.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "dkim/dkim_published.h"
#include "mail/mail_dkim_key.h"
#include "main/cli_dkim_priv.h"
#include "tls/tls_sign.h"

enum { DNS_PORT = 53, RECORD_TEXT_MAX = 32 * 1024 };

#define LOOKUP_US INT64_C(20000000)

/* ---- the request --------------------------------------------------------------------------------------------------- */

static struct span *place_of(struct cli_dkim_request *r, struct span key)
{
	static const struct {
		struct span name;
		size_t at;
	} places[] = {
#define X(name) { SPAN_INIT(#name), offsetof(struct cli_dkim_request, name) }
		X(config), X(domain), X(selector), X(type), X(bits), X(dir), X(key), X(server),
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (span_eq(places[i].name, key))
			return (struct span *)(void *)((char *)r + places[i].at);
	return NULL;
}

/* The first problem is enough here: `postern check` names them all. */
static int load_config(struct cli_dkim_request *r, struct errtext *why)
{
	struct config_problems problems;

	config_problems_init(&problems, r->mem);
	const int err = config_load(r->config.p, &problems, &r->cfg);
	for (size_t i = 0; err < 0 && i < problems.n; i++)
		if (!problems.v[i].warning) {
			errtext_set(why, ERR_INVAL, "%.*s:%u: %.*s", SPAN_ARG(problems.v[i].file),
				    problems.v[i].line, SPAN_ARG(problems.v[i].text));
			break;
		}
	return err;
}

int cli_dkim_begin(struct cli_dkim_request *r, struct span in, struct errtext *why)
{
	*r = (struct cli_dkim_request){ .mem = arena_new(CLI_DKIM_MEM) };
	while (in.p) {
		struct span line = span_cut(&in, '\n');
		if (!line.n)
			break;
		struct span *place = place_of(r, span_cut(&line, ' '));
		if (!place)
			return errtext_set(why, ERR_BUG, "dkim: a parameter that is not known");
		*place = arena_dup(r->mem, line.p ? line : SPAN(""));
	}
	r->message = in.p ? in : SPAN("");
	return r->config.n ? load_config(r, why) : 0;
}

void cli_dkim_end(struct cli_dkim_request *r)
{
	config_unref(&r->cfg);
	arena_free(&r->mem);
}

/* ---- the resolver -------------------------------------------------------------------------------------------------- */

static void nothing(struct scope *s)
{
	(void)s;
}

static int resolver_config(struct cli_resolver *x, const struct cli_dkim_request *r,
			   struct dns_config *config, struct errtext *why)
{
	*config = r->cfg ? r->cfg->dns : dns_config_default();
	if (!r->server.n)
		return 0;
	struct ip_addr addr;
	if (ip_parse(r->server, &addr))
		x->server = (struct ip_endpoint){ addr, DNS_PORT };
	else if (!ip_endpoint_parse(r->server, &x->server))
		return errtext_set(why, ERR_SYNTAX, "--server: \"%.*s\" is no address",
				   SPAN_ARG(span_first(r->server, 80)));
	config->servers = &x->server;
	config->servers_n = 1;
	return 0;
}

int cli_resolver_open(struct cli_resolver *x, const struct cli_dkim_request *r, struct errtext *why)
{
	struct dns_config config;

	*x = (struct cli_resolver){ .loop = NULL };
	int err = resolver_config(x, r, &config, why);
	if (err == 0)
		err = dns_global_init();
	if (err < 0)
		return err;
	x->global = true;
	x->loop = loop_new();
	loop_set_resident(x->loop, false);
	scope_init(&x->scope, x->loop, nothing);
	x->dns = dns_new(x->loop, &config, why);
	return x->dns ? 0 : -ERR_IO;
}

void cli_resolver_wait(struct cli_resolver *x, const struct op *op)
{
	while (op_pending(op) && loop_run_once(x->loop, true))
		;
}

void cli_resolver_close(struct cli_resolver *x)
{
	if (x->loop) {
		dns_free(&x->dns);
		scope_close(&x->scope);
		while (loop_run_once(x->loop, true))
			;
		loop_free(&x->loop);
	}
	if (x->global)
		dns_global_deinit();
}

/* ---- keygen -------------------------------------------------------------------------------------------------------- */

static int make_key(const struct cli_dkim_request *r, struct tls_private_key **key_r, struct errtext *why)
{
	uint64_t bits = TLS_RSA_BITS_WANTED;

	if (span_eq(r->type, SPAN("ed25519")))
		return tls_private_key_make(TLS_KEY_ED25519, 0, key_r, why);
	if (r->type.n && !span_eq(r->type, SPAN("rsa")))
		return errtext_set(why, ERR_INVAL, "--type: rsa or ed25519");
	/* Longer ones do not fit into the answers that every resolver gets (RFC 6376 section 3.3.3). */
	if (r->bits.n && (!span_to_u64(r->bits, 4096, &bits) || bits < TLS_RSA_BITS_WANTED))
		return errtext_set(why, ERR_INVAL, "--bits: between %d and 4096", TLS_RSA_BITS_WANTED);
	return tls_private_key_make(TLS_KEY_RSA, (unsigned)bits, key_r, why);
}

/* A file that is there is somebody's key: it is never replaced. */
static int save_key(const struct tls_private_key *key, const char *path, struct errtext *why)
{
	struct secret pem = { 0 };
	int err = tls_private_key_pem(key, &pem);

	if (err < 0)
		return errtext_set(why, -err, "the key cannot be written down");
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		err = errtext_set(why, err_from_errno(errno), "%s: %s", path, strerror(errno));
	else if (file_write_all(fd, secret_span(&pem)) < 0 || fsync(fd) < 0 || fchmod(fd, 0600) < 0)
		err = errtext_set(why, err_from_errno(errno), "%s: %s", path, strerror(errno));
	if (fd >= 0 && close(fd) < 0 && err == 0)
		err = errtext_set(why, err_from_errno(errno), "%s: %s", path, strerror(errno));
	if (fd >= 0 && err < 0)
		unlink(path);
	secret_deinit(&pem);
	return err;
}

/* What is to be done with @key. */
static int tell_key(const struct cli_dkim_request *r, const struct tls_private_key *key, const char *path,
		    struct span name, struct buf *out)
{
	struct buf record = BUF_INIT(RECORD_TEXT_MAX), zone = BUF_INIT(RECORD_TEXT_MAX);
	struct json j = json_to(out);
	const int err = dkim_published_record(key, &record);

	if (err == 0) {
		buf_addf(&zone, "%.*s. IN TXT (", SPAN_ARG(name));
		mail_dkim_key_zone_text(&zone, buf_span(&record));
		buf_add_str(&zone, ")");
		json_object(&j, NULL);
		json_str(&j, "domain", r->domain);
		json_str(&j, "selector", r->selector);
		json_cstr(&j, "type", tls_key_kind_name(tls_private_key_kind(key)));
		json_int(&j, "bits", tls_private_key_bits(key));
		json_cstr(&j, "file", path);
		json_str(&j, "name", name);
		json_str(&j, "record", buf_span(&record));
		json_str(&j, "zone", buf_span(&zone));
		json_object_end(&j);
	}
	buf_free(&record);
	buf_free(&zone);
	return err;
}

int cli_dkim_keygen(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct dkim_signer *trial = dkim_signer_new();
	struct tls_private_key *key = NULL, *taken = NULL;
	struct cli_dkim_request r;
	struct buf name = BUF_INIT(1024);

	(void)arg;
	int err = cli_dkim_begin(&r, in, why);
	if (err == 0)
		err = make_key(&r, &key, why);
	/* A name that the server would not take is refused before there is a file. */
	if (err == 0)
		err = tls_private_key_make(TLS_KEY_ED25519, 0, &taken, why);
	if (err == 0)
		err = dkim_signer_add(trial, r.domain, r.selector, &taken, why);
	if (err == 0 && mail_dkim_key_name(&name, r.selector, r.domain) < 0)
		err = errtext_set(why, ERR_INVAL, "no names in the DNS");
	const struct span path = arena_printf(r.mem, "%.*s/%.*s.%.*s.pem", SPAN_ARG(r.dir),
					      SPAN_ARG(r.domain), SPAN_ARG(r.selector));
	if (err == 0)
		err = path.p ? save_key(key, path.p, why) : errtext_set(why, ERR_TOOBIG, "--out: too long");
	if (err == 0)
		err = tell_key(&r, key, path.p, buf_span(&name), out);
	buf_free(&name);
	tls_private_key_free(&key);
	tls_private_key_free(&taken);
	dkim_signer_free(&trial);
	cli_dkim_end(&r);
	return err;
}

/* ---- check --------------------------------------------------------------------------------------------------------- */

static void query_done(struct op *op)
{
	(void)op;
}

/* The key's record, looked up and judged. */
static int check_one(struct cli_resolver *x, struct json *j, struct span domain, struct span selector,
		     const struct tls_private_key *key)
{
	struct buf name = BUF_INIT(1024), words = BUF_INIT(RECORD_TEXT_MAX),
		   record = BUF_INIT(RECORD_TEXT_MAX);
	struct dns_query q;
	int err = mail_dkim_key_name(&name, selector, domain);

	if (err == 0) {
		dns_query_init(&q, query_done);
		err = dns_query_start(&q, x->dns, &x->scope, DNS_TXT, buf_span(&name), LOOKUP_US);
		cli_resolver_wait(x, &q.op);
	}
	if (err == 0) {
		const enum dkim_published p =
			dkim_published_judge(buf_span(&name), dns_query_answer(&q), key, &words);
		json_object(j, NULL);
		json_str(j, "domain", domain);
		json_str(j, "selector", selector);
		json_str(j, "name", buf_span(&name));
		json_cstr(j, "result", dkim_published_name(p));
		json_str(j, "text", buf_span(&words));
		/* What should be there instead. */
		if (key && p == DKIM_PUBLISHED_BAD && dkim_published_record(key, &record) == 0)
			json_str(j, "record", buf_span(&record));
		json_object_end(j);
		dns_query_deinit(&q);
	}
	buf_free(&name);
	buf_free(&words);
	buf_free(&record);
	return err;
}

static int check_configured(struct cli_resolver *x, struct json *j, const struct config *cfg,
			    struct errtext *why)
{
	const size_t n = cfg->dkim ? dkim_signer_count(cfg->dkim) : 0;
	struct span domain, selector;
	int err = 0;

	if (n == 0)
		return errtext_set(
			why, ERR_NOTFOUND,
			"the configuration has no dkim = { ... }; postern dkim keygen makes a key");
	for (size_t i = 0; i < n && err == 0; i++) {
		const struct tls_private_key *key = dkim_signer_key(cfg->dkim, i, &domain, &selector);
		err = check_one(x, j, domain, selector, key);
	}
	return err;
}

static int check_named(struct cli_resolver *x, struct json *j, const struct cli_dkim_request *r,
		       struct errtext *why)
{
	struct tls_private_key *key = NULL;
	int err = r->key.n ? tls_private_key_read(r->key.p, &key, why) : 0;

	if (err < 0)
		return err;
	err = check_one(x, j, r->domain, r->selector, key);
	if (err < 0)
		errtext_set(why, -err, "\"%.*s\" and \"%.*s\" are no names in the DNS", SPAN_ARG(r->selector),
			    SPAN_ARG(r->domain));
	tls_private_key_free(&key);
	return err;
}

int cli_dkim_check(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct cli_resolver x = { .loop = NULL };
	struct cli_dkim_request r;
	struct json j = json_to(out);

	(void)arg;
	int err = cli_dkim_begin(&r, in, why);
	if (err == 0)
		err = cli_resolver_open(&x, &r, why);
	if (err == 0) {
		json_array(&j, NULL);
		err = r.cfg && !r.domain.n ? check_configured(&x, &j, r.cfg, why)
					   : check_named(&x, &j, &r, why);
		json_array_end(&j);
	}
	cli_resolver_close(&x);
	cli_dkim_end(&r);
	return err;
}
