#include "main/simulate_client.h"

#include "smtp/smtp_data.h"

enum { SAID_MAX = 8192, TEXT_MAX = 64 * 1024 * 1024 };

static bool has_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

static void on_react(struct memory_peer *p, void *arg);

void simulate_client_init(struct simulate_client *c, const struct simulate_request *req, struct span message)
{
	*c = (struct simulate_client){ .req = req, .message = message, .message_8bit = has_8bit(message) };
	smtp_reply_parser_init(&c->parser, SMTP_REPLY_OCTETS_MAX);
	buf_init(&c->said, SAID_MAX);
	buf_init(&c->decisions, TEXT_MAX);
	buf_init(&c->dialogue, TEXT_MAX);
	buf_init(&c->recipients, TEXT_MAX);
	buf_init(&c->answer, TEXT_MAX);
}

void simulate_client_deinit(struct simulate_client *c)
{
	smtp_reply_parser_deinit(&c->parser);
	if (c->peer.loop_)
		memory_stream_peer_deinit(&c->peer);
	buf_free(&c->said);
	buf_free(&c->decisions);
	buf_free(&c->dialogue);
	buf_free(&c->recipients);
	buf_free(&c->answer);
}

struct stream *simulate_client_connect(struct simulate_client *c, struct loop *loop)
{
	struct stream *s = memory_stream_new(loop, &c->peer);

	c->peer.react = on_react;
	c->peer.arg = c;
	return s;
}

/* ---- writing down --------------------------------------------------------------------------------------------- */

static struct json next_item(struct buf *list)
{
	struct json j = json_to(list);

	j.comma = list->n > 0;
	return j;
}

void simulate_client_decided(struct simulate_client *c, const struct decision *d)
{
	static const char *const modes[] = { [HOOK_MODE_ENFORCE] = "enforce",
					     [HOOK_MODE_OBSERVE] = "observe",
					     [HOOK_MODE_CANARY] = "canary" };
	struct json j = next_item(&c->decisions);

	json_object(&j, NULL);
	json_cstr(&j, "hook", hook_name((enum hook_id)d->hook));
	json_str(&j, "policy", d->policy);
	json_cstr(&j, "verdict", verdict_kind_name((enum verdict_kind)d->kind));
	json_cstr(&j, "mode", modes[d->mode]);
	json_bool(&j, "broken", d->broken);
	if (d->code)
		json_int(&j, "code", d->code);
	if (d->rule.n)
		json_str(&j, "rule", d->rule);
	if (d->text.n)
		json_str(&j, "text", d->text);
	json_int(&j, "us", d->took_us);
	json_object_end(&j);
}

static void write_reply(struct json *j, const struct smtp_reply *r)
{
	json_int(j, "code", r->code);
	if (r->enhanced.class)
		json_cstr(j, "enhanced", smtp_enhanced_format(r->enhanced).s);
	json_str(j, "text", r->text);
}

static void write_exchange(struct simulate_client *c, const struct smtp_reply *r)
{
	struct json j = next_item(&c->dialogue);

	json_object(&j, NULL);
	if (c->said.n)
		json_str(&j, "said", buf_span(&c->said));
	else
		json_null(&j, "said");
	write_reply(&j, r);
	json_array(&j, "decisions");
	if (c->decisions.n)
		json_raw(&j, NULL, buf_span(&c->decisions));
	json_array_end(&j);
	json_object_end(&j);
	buf_reset(&c->decisions);
	buf_reset(&c->said);
}

/* ---- what it says --------------------------------------------------------------------------------------------- */

static void say(struct simulate_client *c, enum simulate_stage stage, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct simulate_client *c, enum simulate_stage stage, const char *fmt, ...)
{
	va_list ap;

	c->stage = stage;
	va_start(ap, fmt);
	buf_vaddf(&c->said, fmt, ap);
	va_end(ap);
	memory_stream_send(&c->peer, buf_span(&c->said));
	memory_stream_send(&c->peer, SPAN("\r\n"));
}

static void quit(struct simulate_client *c)
{
	say(c, SIMULATE_QUIT, "QUIT");
}

/* As a careful client does: what the server offers is used where it is needed. */
static void say_mail(struct simulate_client *c)
{
	bool utf8 = has_8bit(c->req->from);

	for (size_t i = 0; i < c->req->nto; i++)
		utf8 = utf8 || has_8bit(c->req->to[i]);
	say(c, SIMULATE_MAIL, "MAIL FROM:<%.*s>%s%s", SPAN_ARG(c->req->from),
	    c->message_8bit && (c->server.ext & SMTP_EXT_8BITMIME) ? " BODY=8BITMIME" : "",
	    utf8 && (c->server.ext & SMTP_EXT_SMTPUTF8) ? " SMTPUTF8" : "");
}

static void say_helo(struct simulate_client *c)
{
	say(c, SIMULATE_HELO, "%s %.*s", c->req->plain_helo ? "HELO" : "EHLO", SPAN_ARG(c->req->helo));
}

/* A device sends its password whether that is offered or not; what it is told then is worth seeing. */
static void say_auth(struct simulate_client *c)
{
	struct span offered = span_of(c->server.auth);
	const struct span first = span_cut(&offered, ' ');
	const bool plain = !first.n || smtp_ehlo_has_mech(&c->server, SPAN("PLAIN"));

	say(c, SIMULATE_AUTH, "AUTH %.*s *", SPAN_ARG(plain ? SPAN("PLAIN") : first));
}

static void after_helo(struct simulate_client *c)
{
	if (c->req->tls && !c->tls && (c->server.ext & SMTP_EXT_STARTTLS))
		say(c, SIMULATE_STARTTLS, "STARTTLS");
	else if (c->req->auth.n && !c->authenticated)
		say_auth(c);
	else
		say_mail(c);
}

static void say_rcpt(struct simulate_client *c)
{
	say(c, SIMULATE_RCPT, "RCPT TO:<%.*s>", SPAN_ARG(c->req->to[c->rcpt_at]));
}

static void send_message(struct simulate_client *c)
{
	struct smtp_data_encoder e;
	struct span in = c->message, run;

	smtp_data_encoder_init(&e);
	while (smtp_data_encode(&e, &in, &run) == SMTP_DATA_RUN)
		memory_stream_send(&c->peer, run);
	memory_stream_send(&c->peer, smtp_data_encode_end(&e));
	buf_add_char(&c->said, '.');
	c->stage = SIMULATE_BODY;
}

static void see_rcpt(struct simulate_client *c, const struct smtp_reply *r)
{
	const bool ok = smtp_reply_class(r->code) == SMTP_REPLY_OK;
	struct json j = next_item(&c->recipients);

	json_object(&j, NULL);
	json_str(&j, "address", c->req->to[c->rcpt_at]);
	json_bool(&j, "accepted", ok);
	write_reply(&j, r);
	json_object_end(&j);
	c->rcpts_accepted += ok;
	if (++c->rcpt_at < c->req->nto)
		say_rcpt(c);
	else if (c->rcpts_accepted)
		say(c, SIMULATE_DATA, "DATA");
	else
		quit(c);
}

static void see_answer(struct simulate_client *c, const struct smtp_reply *r)
{
	struct json j = json_to(&c->answer);

	write_reply(&j, r);
	c->message_ok = c->stage == SIMULATE_BODY && smtp_reply_class(r->code) == SMTP_REPLY_OK;
	quit(c);
}

static void on_reply(struct simulate_client *c, const struct smtp_reply *r)
{
	const bool ok = smtp_reply_class(r->code) == SMTP_REPLY_OK;

	write_exchange(c, r);
	switch (c->stage) {
	case SIMULATE_GREETING:
		if (ok)
			say_helo(c);
		else
			quit(c);
		break;
	case SIMULATE_HELO:
		if (!ok || smtp_ehlo_parse(r, &c->server) < 0)
			quit(c);
		else
			after_helo(c);
		break;
	case SIMULATE_STARTTLS:
		c->tls = ok;
		if (ok)
			say_helo(c);
		else
			quit(c);
		break;
	case SIMULATE_AUTH:
		c->authenticated = ok;
		if (ok)
			say_mail(c);
		else
			quit(c);
		break;
	case SIMULATE_MAIL:
		if (ok && c->req->nto)
			say_rcpt(c);
		else
			quit(c);
		break;
	case SIMULATE_RCPT:
		see_rcpt(c, r);
		break;
	case SIMULATE_DATA:
		if (smtp_reply_class(r->code) == SMTP_REPLY_MORE)
			send_message(c);
		else
			see_answer(c, r);
		break;
	case SIMULATE_BODY:
		see_answer(c, r);
		break;
	default:
		c->stage = SIMULATE_OVER;
	}
}

static void on_react(struct memory_peer *p, void *arg)
{
	struct simulate_client *c = arg;
	struct buf got = BUF_INIT(MEMORY_STREAM_MAX);
	const char *why = NULL;

	memory_stream_take_output(p, &got);
	struct span in = buf_span(&got);
	for (int n = 1; n == 1 && c->stage != SIMULATE_OVER;) {
		n = smtp_reply_parse(&c->parser, &in, &why);
		if (n == 1)
			on_reply(c, &c->parser.reply);
		else if (n < 0) {
			c->broken = why;
			c->stage = SIMULATE_OVER;
		}
	}
	buf_free(&got);
	if (c->stage == SIMULATE_OVER)
		memory_stream_send_eof(p);
}
