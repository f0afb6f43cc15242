#include "control/control_queue_row.h"

enum { IMAGE_MEM_MAX = ENVELOPE_OCTETS_MAX * 2 };

static void opt(struct json *j, const char *key, struct span value)
{
	if (value.n)
		json_str(j, key, value);
}

static void write_last(struct json *j, const struct queue_outcome *o)
{
	if (!o->code && !o->text.n)
		return;
	json_object(j, "last");
	if (o->code)
		json_int(j, "code", o->code);
	opt(j, "enhanced", o->enhanced);
	opt(j, "text", o->text);
	opt(j, "remote", o->remote);
	json_object_end(j);
}

static void write_rcpt(struct json *j, const struct queue_row *row, const struct queue_row_rcpt *rcpt)
{
	const struct envelope *env = row->env;

	json_object(j, NULL);
	if (env && rcpt->index < env->nrcpt)
		json_str(j, "address", env->rcpt[rcpt->index].address);
	json_str(j, "domain", rcpt->domain);
	json_cstr(j, "state", queue_state_name(rcpt->state));
	json_int(j, "attempts", rcpt->attempts);
	if (rcpt->next_at_us)
		json_int(j, "next_at", rcpt->next_at_us / 1000000);
	opt(j, "destination", rcpt->destination);
	write_last(j, &rcpt->last);
	json_object_end(j);
}

static void write_envelope(struct json *j, const struct envelope *env)
{
	json_str(j, "from", env->sender);
	opt(j, "device", env->device);
	json_cstr(j, "client", env->client.len ? ip_format(&env->client).s : NULL);
	opt(j, "client_name", env->client_name);
	opt(j, "helo", env->helo);
	opt(j, "listener", env->listener);
	opt(j, "protocol", env->protocol);
	opt(j, "session", env->session);
	opt(j, "message_id", env->message_id);
	opt(j, "subject", env->subject);
	opt(j, "held_reason", env->hold_reason);
	opt(j, "meta", env->vars);
	if (env->deliver_by_us)
		json_int(j, "deliver_by", env->deliver_by_us / 1000000);
	json_bool(j, "notice", env->flags & ENVELOPE_BOUNCE);
}

void control_row_write(struct json *j, const struct queue_row *row)
{
	json_cstr(j, "id", id_from_u64(row->id).s);
	json_int(j, "arrived_at", row->arrived_at_us / 1000000);
	json_int(j, "size", (int64_t)row->size_bytes);
	json_int(j, "recipients_left", row->nrcpt_left);
	if (row->env)
		write_envelope(j, row->env);
	json_array(j, "recipients");
	for (uint32_t i = 0; i < row->nrcpt; i++)
		write_rcpt(j, row, &row->rcpt[i]);
	json_array_end(j);
}

void control_row_keep(struct control_row_kept *k, struct arena *mem, const struct queue_row *row)
{
	uint32_t *left = arena_array(mem, uint32_t, row->nrcpt);

	if (!left)
		return;
	for (uint32_t i = 0; i < row->nrcpt; i++)
		left[i] = row->rcpt[i].index;
	*k = (struct control_row_kept){ left, row->nrcpt };
}

void control_row_write_image(struct json *j, const struct control_row_kept *k, const struct spool_image *img)
{
	struct arena *mem = arena_new(IMAGE_MEM_MAX);
	struct envelope env;

	json_array(j, "settled");
	if (envelope_decode(img->meta, mem, &env) == 0) {
		for (uint32_t i = 0, at = 0; i < env.nrcpt; i++) {
			if (at < k->nleft && k->left[at] == i)
				at++;
			else
				json_str(j, NULL, env.rcpt[i].address);
		}
	}
	json_array_end(j);
	json_str(j, "head", img->head);
	arena_free(&mem);
}
