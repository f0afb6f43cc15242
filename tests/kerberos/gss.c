/* gss.c - the server's and the client's side of GSSAPI talk to each other, on a loop: for gssapi.py.
 *
 * usage: kerberos_gss KEY=VALUE ...       the environment says which krb5.conf, as libkrb5 has it
 *
 *   keytab service principal realm realms allow replay_cache   of the server (struct auth_gssapi_config; realms with commas)
 *   host client_realm client_principal client_keytab ccache authzid   of the client (struct auth_gss_client_config)
 *   tls=1             the channel has a binding, "the binding"
 *   parallel=N        so many exchanges at a time
 *   client=KIND       a client of the test's own instead, by KRB5CCNAME, which does one thing differently:
 *                     as-is, bound, bound-elsewhere, layer, size, short, unwrapped, data, garbage, late, replay
 *
 * Prints for each exchange "RESULT ANSWER IDENTITY BOUND STEPS WHY" (tabs between), or "client failed ERROR WHY".
 */
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_exchange.h"
#include "auth/auth_gss_client.h"
#include "auth/auth_gssapi.h"
#include "base/check.h"
#include "base/mem.h"

enum { PARALLEL_MAX = 256, DEADLINE_US = 30 * 1000000, TOKEN_MAX = 65536 };

struct bed {
	struct auth_gssapi_config server;
	struct auth_gss_client_config client;
	const char *kind;
	bool tls;
	unsigned parallel, open;
	char *realms;
	struct loop *loop;
	struct scope scope;
	struct auth_gssapi *gssapi;
	struct auth_channel channel;
	struct buf first; /* what the last exchange began with */
};

struct talk {
	struct auth_gssapi_exchange x;
	struct bed *bed;
	struct auth_gss_client *client;
	gss_ctx_id_t ctx; /* of the test's own client */
	bool established;
	unsigned steps;
	struct buf out;
};

static const char *const result_names[] = {
#define X(name, text) [AUTH_GSSAPI_##name] = text,
	AUTH_GSSAPI_RESULT_MAP(X)
#undef X
};

/* ---- a client that can misbehave ------------------------------------------------------------------------- */

static void own_token(struct talk *t, struct span in)
{
	const char *kind = t->bed->kind;
	gss_buffer_desc name = { .length = strlen("smtp@relay.example.edu"),
				 .value = (void *)(uintptr_t) "smtp@relay.example.edu" };
	gss_buffer_desc token = { .length = in.n, .value = (void *)(uintptr_t)in.p },
			out = GSS_C_EMPTY_BUFFER;
	char binding[] = "tls-server-end-point:the binding", elsewhere[] = "tls-server-end-point:another";
	struct gss_channel_bindings_struct cb = { 0 };
	gss_name_t target = GSS_C_NO_NAME;
	OM_uint32 minor, flags = GSS_C_INTEG_FLAG | (strcmp(kind, "as-is") == 0 ? 0 : GSS_C_MUTUAL_FLAG);

	cb.application_data.value = strcmp(kind, "bound") == 0 ? binding : elsewhere;
	cb.application_data.length = strlen(cb.application_data.value);
	require(gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &target) == GSS_S_COMPLETE);
	const OM_uint32 major = gss_init_sec_context(
		&minor, GSS_C_NO_CREDENTIAL, &t->ctx, target, (gss_OID)(uintptr_t)gss_mech_krb5, flags, 0,
		strncmp(kind, "bound", 5) == 0 ? &cb : GSS_C_NO_CHANNEL_BINDINGS, &token, NULL, &out, NULL,
		NULL);
	require(!GSS_ERROR(major));
	t->established = major == GSS_S_COMPLETE;
	buf_add(&t->out, out.value, out.length);
	gss_release_buffer(&minor, &out);
	gss_release_name(&minor, &target);
}

static void own_choice(struct talk *t, struct span in)
{
	const char *kind = t->bed->kind;
	gss_buffer_desc wrapped = { .length = in.n, .value = (void *)(uintptr_t)in.p }, plain,
			out = GSS_C_EMPTY_BUFFER;
	char choice[300] = { 1, 0, 0, 0 };
	size_t n = 4;
	OM_uint32 minor;

	require(gss_unwrap(&minor, t->ctx, &wrapped, &plain, NULL, NULL) == GSS_S_COMPLETE);
	require(plain.length == 4 &&
		memcmp(plain.value, "\1\0\0\0", 4) == 0); /* RFC 4752: no layer, size 0 */
	gss_release_buffer(&minor, &plain);
	if (strcmp(kind, "layer") == 0)
		choice[0] = 2;
	if (strcmp(kind, "size") == 0)
		choice[2] = 16;
	if (strcmp(kind, "short") == 0)
		n = 3;
	if (t->bed->client.authzid) {
		memcpy(choice + n, t->bed->client.authzid, strlen(t->bed->client.authzid));
		n += strlen(t->bed->client.authzid);
	}
	gss_buffer_desc text = { .length = n, .value = choice };
	require(gss_wrap(&minor, t->ctx, 0, GSS_C_QOP_DEFAULT, &text, NULL, &out) == GSS_S_COMPLETE);
	if (strcmp(kind, "unwrapped") == 0)
		buf_add(&t->out, choice, n);
	else
		buf_add(&t->out, out.value, out.length);
	gss_release_buffer(&minor, &out);
}

static void own_client(struct talk *t, struct span in)
{
	const char *kind = t->bed->kind;

	buf_reset(&t->out);
	if (t->steps == 0 && strcmp(kind, "late") == 0)
		return; /* nothing at first */
	if (t->steps == 0 && strcmp(kind, "garbage") == 0) {
		buf_add_str(&t->out, "\x60\x23not a token");
		return;
	}
	if (!t->established) {
		own_token(t, in);
		if (t->established && strcmp(kind, "data") == 0)
			buf_add_str(&t->out, "data");
		return;
	}
	own_choice(t, in);
}

/* ---- talks ----------------------------------------------------------------------------------------------- */

static void talk_over(struct talk *t, const char *fmt_result, int err, const char *why)
{
	OM_uint32 minor;

	if (err < 0)
		printf("client failed\t%s\t%s\n", err_name(err), why);
	else
		printf("%s\t%s\t%s\t%d\t%u\t%s\n", fmt_result, auth_answer_name(t->x.answer),
		       t->x.identity.user, t->x.bound, t->steps, t->x.why);
	auth_gssapi_exchange_deinit(&t->x);
	auth_gss_client_free(&t->client);
	if (t->ctx)
		gss_delete_sec_context(&minor, &t->ctx, GSS_C_NO_BUFFER);
	buf_wipe(&t->out);
	buf_free(&t->out);
	if (--t->bed->open == 0)
		scope_close(&t->bed->scope);
	free(t);
}

static void talk_step(struct talk *t, struct span challenge)
{
	struct errtext e = { "" };

	if (t->bed->kind) {
		own_client(t, challenge);
	} else {
		const int said = auth_gss_client_step(t->client, challenge, &t->out, &e);
		if (said < 0) {
			talk_over(t, NULL, said, e.s);
			return;
		}
	}
	if (t->steps == 0 && t->bed->kind && strcmp(t->bed->kind, "replay") == 0) {
		if (t->bed->first.n) {
			buf_reset(&t->out);
			buf_add_span(&t->out, buf_span(&t->bed->first));
		} else {
			buf_add_span(&t->bed->first, buf_span(&t->out));
		}
	}
	t->steps++;
	require(auth_gssapi_exchange_step(&t->x, &t->bed->scope, buf_span(&t->out), DEADLINE_US) == 0);
}

static void stepped(struct op *op)
{
	struct talk *t = container_of(container_of(op, struct work, op), struct talk, x.work);

	if (op->status < 0)
		talk_over(t, NULL, op->status, "a step was not done");
	else if (t->x.result == AUTH_GSSAPI_CHALLENGE)
		talk_step(t, t->x.challenge);
	else
		talk_over(t, result_names[t->x.result], 0, "");
}

static int talk_start(struct bed *b)
{
	struct talk *t = mem_alloc(sizeof *t);
	struct errtext e = { "" };

	t->bed = b;
	t->out = BUF_INIT(TOKEN_MAX);
	t->ctx = GSS_C_NO_CONTEXT;
	auth_gssapi_exchange_init(&t->x, b->gssapi, &b->channel, stepped);
	b->open++;
	const int err = b->kind ? 0 : auth_gss_client_new(&b->client, &t->client, &e);
	if (err < 0)
		talk_over(t, NULL, err, e.s);
	else
		talk_step(t, SPAN(""));
	return err;
}

/* ---- set-up ---------------------------------------------------------------------------------------------- */

static int the_binding(void *arg, struct span type, uint8_t *out, size_t max)
{
	static const char value[] = "the binding";

	(void)arg;
	if (!span_eq(type, SPAN("tls-server-end-point")) || max < sizeof value)
		return -ERR_UNSUPPORTED;
	memcpy(out, value, sizeof value - 1);
	return sizeof value - 1;
}

static void set_realms(struct bed *b, const char *value)
{
	b->realms = mem_strdup(value);
	for (char *p = b->realms, *comma; p; p = comma) {
		comma = strchr(p, ',');
		if (comma)
			*comma++ = '\0';
		b->server.realms[b->server.nrealms++] = p;
	}
}

static void set(struct bed *b, const char *key, const char *value)
{
	const struct {
		const char *key, **to;
	} texts[] = {
		{ "keytab", &b->server.keytab },
		{ "service", &b->server.service },
		{ "principal", &b->server.principal },
		{ "realm", &b->server.realm },
		{ "allow", &b->server.allow },
		{ "replay_cache", &b->server.replay_cache },
		{ "host", &b->client.host },
		{ "client_realm", &b->client.realm },
		{ "client_principal", &b->client.principal },
		{ "client_keytab", &b->client.keytab },
		{ "ccache", &b->client.ccache },
		{ "authzid", &b->client.authzid },
		{ "client", &b->kind },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(key, texts[i].key) == 0)
			*texts[i].to = value;
	if (strcmp(key, "realms") == 0)
		set_realms(b, value);
	if (strcmp(key, "tls") == 0)
		b->tls = true;
	if (strcmp(key, "parallel") == 0)
		b->parallel = (unsigned)strtoul(value, NULL, 10);
}

static void closed(struct scope *s)
{
	loop_stop(s->loop);
}

int main(int argc, char **argv)
{
	struct bed b = { .parallel = 1, .first = BUF_INIT(TOKEN_MAX) };
	struct errtext e = { "" };

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		require(value);
		*value++ = '\0';
		set(&b, argv[i], value);
	}
	require(b.parallel > 0 && b.parallel <= PARALLEL_MAX);
	if (auth_gssapi_new(&b.server, &b.gssapi, &e) < 0) {
		printf("failed\t%s\n", e.s);
		free(b.realms);
		return 1;
	}
	b.channel.tls = b.tls;
	b.channel.binding = b.tls ? the_binding : NULL;
	b.loop = loop_new();
	scope_init(&b.scope, b.loop, closed);
	if (b.kind && strcmp(b.kind, "replay") == 0)
		b.parallel = 2;
	b.open = 1; /* ours, while they are started */
	for (unsigned i = 0; i < b.parallel; i++)
		talk_start(&b);
	if (--b.open == 0)
		scope_close(&b.scope);
	loop_run(b.loop);
	auth_gssapi_free(&b.gssapi);
	loop_free(&b.loop);
	buf_free(&b.first);
	free(b.realms);
	return 0;
}
