/* upstream_check.c - see upstream_check.h. */
#include "main/upstream_check.h"

#include <stdio.h>

#include "auth/auth_credential.h"
#include "base/check.h"
#include "base/json.h"
#include "delivery/probe.h"
#include "main/config.h"

enum { PROBLEMS_MEM = 1024 * 1024, STEPS_MAX = 64 * 1024 };

struct checking {
	const struct upstream_request *req;
	struct config *cfg;
	const struct route *route;
	struct auth_credential *credential;
	struct span domain, from, to;
	struct loop *loop;
	struct dns *dns;
	struct buf steps; /* JSON, of the host in hand */
	struct json j;    /* to @steps */
	char failed[32];  /* the first step that did; empty: none */
	bool done, good;
};

/* ---- words ------------------------------------------------------------------------------------------------------ */

static const char *advice_on(const struct checking *c, enum probe_step step, unsigned code)
{
	const bool login = c->credential != NULL;

	switch (step) {
	case PROBE_DNS:
		return "Is the host's name right, and do the name servers (dns.servers) know it?";
	case PROBE_CONNECT:
		return "Does a firewall, here or there, let this port through? Many networks block 25 to the outside; 587 and 465 "
		       "are for logins.";
	case PROBE_GREETING:
		return code ? "The server does not want this client: is our address on a block list, or not registered there?"
			    : "Is it the right port? On one for TLS from the start (465), set tls = { level = \"verify\", "
			      "implicit = true }.";
	case PROBE_EHLO:
	case PROBE_EHLO_AGAIN:
		return "Is hostname a name that the server accepts?";
	case PROBE_STARTTLS:
		return "The server has no TLS here, and the route or its login demands it: is the port right? Somebody on the way "
		       "may take STARTTLS out.";
	case PROBE_CERTIFICATE:
		return "Is the host's name the one in the certificate (tls.names), and the CA known (tls.ca)? Is the clock right?";
	case PROBE_TOKEN:
		return "The words are the provider's, translated; mend it there or in `token`, then check again.";
	case PROBE_AUTH:
		return code >= 500
			       ? "Are user and secret those of the provider, and may they use SMTP there?"
			       : "Which mechanisms does the server offer behind TLS, and does `auth` have what one of them needs?";
	case PROBE_MAIL:
		return login ? "May this login send as that address? --from names another one."
			     : "Does the server take mail from us, or from that sender, without a login?";
	case PROBE_RCPT:
		return "Does the server relay for us to that domain?";
	case PROBE_STEP_MAX_:
		break;
	}
	return "";
}

/* ---- a host -------------------------------------------------------------------------------------------------------- */

static void on_said(void *arg, const struct probe_event *e)
{
	struct checking *c = arg;

	json_object(&c->j, NULL);
	json_cstr(&c->j, "step", probe_step_name(e->step));
	json_cstr(&c->j, "outcome", probe_outcome_name(e->outcome));
	if (e->code)
		json_int(&c->j, "code", e->code);
	json_str(&c->j, "text", e->text);
	if (e->outcome == PROBE_FAILED)
		json_cstr(&c->j, "advice", advice_on(c, e->step, e->code));
	json_int(&c->j, "us", e->took_us);
	json_object_end(&c->j);
	if (e->outcome == PROBE_FAILED && !c->failed[0])
		(void)snprintf(c->failed, sizeof c->failed, "%s", probe_step_name(e->step));
}

static void on_done(void *arg, bool good)
{
	struct checking *c = arg;

	c->done = true;
	c->good = good;
}

static bool check_host(struct checking *c, uint32_t host, struct json *out)
{
	const struct probe_config cfg = { .route = c->route,
					  .host = host,
					  .domain = c->domain,
					  .credential = c->credential,
					  .from = c->from,
					  .to = c->to,
					  .hostname = c->cfg->hostname,
					  .self = &c->cfg->delivery.self,
					  .said = on_said,
					  .done = on_done,
					  .arg = c };

	c->done = false;
	c->steps = BUF_INIT(STEPS_MAX);
	c->j = json_to(&c->steps);
	(void)probe_start(&cfg, c->loop, c->dns);
	while (!c->done)
		loop_run_once(c->loop, true);
	json_object(out, NULL);
	json_str(out, "host", c->route->nhosts ? c->route->host[host].text : c->domain);
	json_bool(out, "good", c->good);
	json_array(out, "steps");
	if (c->steps.n && !c->steps.overflow)
		json_raw(out, NULL, buf_span(&c->steps));
	json_array_end(out);
	json_object_end(out);
	buf_free(&c->steps);
	return c->good;
}

static bool check_hosts(struct checking *c, struct json *out)
{
	bool good = true;

	json_array(out, "hosts");
	for (uint32_t i = 0; i < (c->route->nhosts ? c->route->nhosts : 1); i++)
		good &= check_host(c, i, out);
	json_array_end(out);
	return good;
}

/* ---- what is asked -------------------------------------------------------------------------------------------------- */

static struct span domain_of(struct span address)
{
	const ptrdiff_t at = span_rfind_char(address, '@');

	return at < 0 ? address : span_skip(address, (size_t)at + 1);
}

static bool is_path(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 127 || s.p[i] == '<' || s.p[i] == '>')
			return false;
	return s.n <= 320;
}

static int find_route(struct checking *c, struct errtext *why)
{
	const struct upstream_request *req = c->req;

	c->route = route_by_name(&c->cfg->routes, req->route);
	if (!c->route && span_find_char(req->route, '.') > 0)
		c->route = route_find(&c->cfg->routes, req->route);
	if (!c->route)
		return errtext_set(why, ERR_NOTFOUND, "the configuration has no route \"%.*s\"",
				   SPAN_ARG(span_first(req->route, 80)));
	if (!is_path(req->to) || !is_path(req->from))
		return errtext_set(why, ERR_INVAL,
				   "--to, --from: a mailbox or a domain is wanted, without brackets");
	c->domain = domain_of(req->to.n ? req->to : req->route);
	c->to = span_find_char(req->to, '@') > 0 ? req->to : SPAN("");
	c->from = req->from;
	if (!c->route->nhosts && (!c->domain.n || span_eq(c->domain, SPAN("*")) || c->domain.p[0] == '.'))
		return errtext_set(
			why, ERR_INVAL,
			"this route goes to the MX hosts of each domain: say which one, --to example.org");
	return 0;
}

/* That of the sender's domain, or the route's; and without --from, a sender that the login is likely to be allowed. */
static void find_credential(struct checking *c)
{
	const struct route_login *own = route_login_find(c->route, c->from);

	c->credential = own ? own->credential : c->route->auth;
	if (c->from.n || !c->credential)
		return;
	const struct span user = auth_credential_user(c->credential);
	if (span_find_char(user, '@') > 0 && is_path(user))
		c->from = user;
}

static int run(struct checking *c, struct json *j, struct errtext *why)
{
	bool good;
	int err = find_route(c, why);

	if (err < 0)
		return err;
	find_credential(c);
	c->loop = loop_new();
	loop_set_resident(c->loop, false);
	c->dns = dns_new(c->loop, &c->cfg->dns, why);
	if (c->dns) {
		json_str(j, "route", c->route->name);
		if (c->credential)
			json_str(j, "login", auth_credential_user(c->credential));
		else
			json_null(j, "login");
		good = check_hosts(c, j);
		json_cstr(j, "failed", c->failed[0] ? c->failed : NULL);
		json_bool(j, "good", good);
	} else {
		err = -ERR_INVAL;
	}
	dns_free(&c->dns);
	while (loop_run_once(c->loop, false)) { /* what is closing */
	}
	loop_free(&c->loop);
	return err;
}

int upstream_check(const struct upstream_request *req, struct buf *out, struct errtext *why)
{
	struct checking c = { .req = req };
	struct arena *mem = arena_new(PROBLEMS_MEM);
	struct config_problems problems;
	struct json j = json_to(out);
	int err = 0;

	config_problems_init(&problems, mem);
	const char *file = arena_strdup(mem, req->config);
	const bool loaded = file && config_load(file, &problems, &c.cfg) >= 0;
	json_object(&j, NULL);
	config_problems_json(&problems, &j);
	if (loaded) {
		err = run(&c, &j, why);
	} else {
		json_cstr(&j, "failed", "configuration");
		json_bool(&j, "good", false);
	}
	json_object_end(&j);
	config_unref(&c.cfg);
	arena_free(&mem);
	return err;
}
