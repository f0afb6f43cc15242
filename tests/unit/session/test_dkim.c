/* test_dkim.c - signatures of what is received: ours on top, those of others in Authentication-Results and in the view; waiting for
 * keys. A message that one session signed is given to another one that verifies. */
#include "session_bed.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dkim/dkim_signer.h"
#include "dkim/dkim_verify.h"
#include "dns/dns.h"
#include "mail/mail_dkim_key.h"

struct dkim_session {
	struct bed b;
	struct dkim_signer *signer;
	struct dns_hosts *hosts;
	int silent; /* a name server that never answers */
	struct ip_endpoint server;
};

static void add_key(struct dkim_session *d, const char *selector, enum tls_key_kind kind)
{
	struct tls_private_key *key = NULL;
	struct buf octets = BUF_INIT(2000), record = BUF_INIT(4000);
	struct errtext why = { "" };
	char name[100];

	NEED(tls_private_key_make(kind, 1024, &key, &why) == 0);
	NEED(tls_private_key_public(key, &octets) == 0);
	NEED(mail_dkim_key_write(&record, kind == TLS_KEY_RSA ? MAIL_DKIM_KEY_RSA : MAIL_DKIM_KEY_ED25519,
				 buf_span(&octets)));
	snprintf(name, sizeof name, "%s._domainkey.relay.example.edu", selector);
	NEED(dns_hosts_add(d->hosts, span_of(name), DNS_TXT, buf_span(&record), &why) == 0);
	NEED(dkim_signer_add(d->signer, SPAN("relay.example.edu"), span_of(selector), &key, &why) == 0);
	buf_free(&octets);
	buf_free(&record);
}

static void silent_server(struct dkim_session *d)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;

	d->silent = socket(AF_INET, SOCK_DGRAM, 0);
	NEED(d->silent >= 0 && bind(d->silent, (struct sockaddr *)&at, n) == 0);
	NEED(getsockname(d->silent, (struct sockaddr *)&at, &n) == 0);
	NEED(ip_parse(SPAN("127.0.0.1"), &d->server.addr));
	d->server.port = ntohs(at.sin_port);
}

static void begin(struct dkim_session *d, bool silent)
{
	struct dns_config config = dns_config_default();
	struct errtext why = { "" };

	*d = (struct dkim_session){ .silent = -1 };
	bed_init(&d->b);
	d->signer = dkim_signer_new();
	d->hosts = dns_hosts_new();
	add_key(d, "r1", TLS_KEY_RSA);
	add_key(d, "e1", TLS_KEY_ED25519);
	config.offline = !silent;
	config.hosts = silent ? NULL : d->hosts;
	if (silent) {
		silent_server(d);
		config.servers = &d->server;
		config.servers_n = 1;
	}
	NEED(dns_global_init() == 0);
	d->b.env.dns = dns_new(d->b.loop, &config, &why);
	NEED(d->b.env.dns);
	d->b.listener.reverse_dns = false;
	d->b.listener.signer = d->signer;
	d->b.listener.dkim_timeout_us = 5 * SECOND;
}

static void end(struct dkim_session *d)
{
	bed_close(&d->b);
	dns_free(&d->b.env.dns);
	bed_run(&d->b);
	bed_end(&d->b);
	dns_global_deinit();
	dkim_signer_free(&d->signer);
	dns_hosts_free(&d->hosts);
	if (d->silent >= 0)
		close(d->silent);
}

/* Sends @message, dots and all; it must be taken. */
static void send_message(struct bed *b, struct span message)
{
	struct buf wire = BUF_INIT(4 * 1024 * 1024);

	bed_envelope(b);
	SAY(b, "DATA\r\n", "354 ");
	for (size_t i = 0; i < message.n; i++) {
		if (message.p[i] == '.' && (i == 0 || message.p[i - 1] == '\n'))
			buf_add_char(&wire, '.');
		buf_add_char(&wire, message.p[i]);
	}
	buf_add_str(&wire, span_ends(message, SPAN("\r\n")) ? ".\r\n" : "\r\n.\r\n");
	bed_check(__FILE__, __LINE__, "the message", "250 2.0.0 Ok: queued as ",
		  bed_say_span(b, buf_span(&wire)));
	buf_free(&wire);
}

static const char *kept(struct bed *b, unsigned i)
{
	NEED(i < b->store.n);
	return buf_cstr(&b->store.msg[i].octets);
}

static const struct span shapes[] = {
	SPAN_INIT("From: a@relay.example.edu\r\nSubject: x\r\n\r\nHello.\r\n"),
	SPAN_INIT("From: a@relay.example.edu\r\n\r\n"),
	SPAN_INIT("From: a@relay.example.edu\r\n"),
	SPAN_INIT("From: a@relay.example.edu\r\nno blank line\r\n"),
	SPAN_INIT("From: a@relay.example.edu\r\n\r\n.\r\n..\r\n \r\n\t\r\n\r\n\r\n"),
	SPAN_INIT("From: a@elsewhere.example\r\n\r\nno line end"),
	SPAN_INIT("Return-Path: <x@y>\r\nFrom: a@relay.example.edu\r\n\r\n\xff\xfe \r\n"),
};

static void what_is_signed_here_verifies_there(void)
{
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct dkim_session d;
		begin(&d, false);
		bed_ehlo(&d.b);
		send_message(&d.b, shapes[i]);
		HAS(kept(&d.b, 0), "\r\nDKIM-Signature: v=1; a=rsa-sha256;");
		HAS(kept(&d.b, 0), "\r\nDKIM-Signature: v=1; a=ed25519-sha256;");
		d.b.listener.signer = NULL;
		d.b.listener.dkim_verify = true;
		send_message(&d.b, buf_span(&d.b.store.msg[0].octets));
		const char *passed = strstr(kept(&d.b, 1), "dkim=pass");
		if (!passed || !strstr(passed + 1, "dkim=pass"))
			FAIL("message %zu: %.300s", i, kept(&d.b, 1));
		end(&d);
	}
}

static void without_an_author_nobody_signs(void)
{
	struct dkim_session d;

	begin(&d, false);
	bed_ehlo(&d.b);
	send_message(&d.b, SPAN("Subject: x\r\n\r\nx\r\n"));
	CHECK(strstr(kept(&d.b, 0), "DKIM-Signature") == NULL);
	CHECK(strstr(kept(&d.b, 0), "Authentication-Results") == NULL);
	end(&d);
}

/* Large enough to come in many pieces, with a store that wants a rest between them. */
static void a_large_one(void)
{
	struct buf m = BUF_INIT(2 * 1024 * 1024);
	struct dkim_session d;

	begin(&d, false);
	buf_add_str(&m, "From: a@relay.example.edu\r\n\r\n");
	for (int i = 0; i < 20000; i++)
		buf_addf(&m, "line %d \t of many  \r\n", i);
	bed_ehlo(&d.b);
	send_message(&d.b, buf_span(&m));
	d.b.listener.dkim_verify = true;
	send_message(&d.b, buf_span(&d.b.store.msg[0].octets));
	HAS(kept(&d.b, 1), "dkim=pass");
	buf_free(&m);
	end(&d);
}

static void policies_see_it_before_they_decide(void)
{
	struct dkim_session d;
	const struct dkim_verify *v;

	begin(&d, false);
	d.b.listener.dkim_verify = true;
	d.b.hook[HOOK_MESSAGE].waits = true;
	bed_ehlo(&d.b);
	bed_envelope(&d.b);
	SAY(&d.b, "DATA\r\n", "354 ");
	SAY(&d.b,
	    "Authentication-Results: RELAY.example.edu; dkim=pass\r\nDKIM-Signature: v=1\r\nFrom: a@b.example\r\n\r\nx\r\n.\r\n",
	    "");
	NEED(d.b.asked && d.b.asked->msg);
	v = d.b.asked->msg->dkim;
	NEED(v != NULL);
	CHECK_INT(1, v->n);
	CHECK_STR("neutral", dkim_result_name(v->outcome[0].result));
	CHECK_STR("none", dkim_result_name(v->chain.result));
	/* What claims to be ours is gone before they look. */
	CHECK(mail_head_find(d.b.asked->msg->head, SPAN("Authentication-Results"), 0) == NULL);
	bed_answer(&d.b);
	HEAR(&d.b, "the answer", "250 2.0.0 Ok: queued as ");
	CHECK(span_starts(buf_span(&d.b.store.msg[0].octets),
			  SPAN("Authentication-Results: relay.example.edu; dkim=neutral reason=\"no")));
	CHECK(strstr(kept(&d.b, 0), "RELAY.example.edu") == NULL);
	end(&d);
}

static void a_seal_is_put_on_top(void)
{
	struct dkim_session d;

	begin(&d, false);
	d.b.listener.dkim_verify = d.b.listener.arc_seal = true;
	d.b.listener.own_hops_max = 10;
	bed_ehlo(&d.b);
	send_message(&d.b, shapes[0]);
	HAS(bed_log(&d.b), "\"signed_by\":\"relay.example.edu\"");
	CHECK(span_starts(buf_span(&d.b.store.msg[0].octets), SPAN("ARC-Seal: i=1; a=rsa-sha256; cv=none;")));
	send_message(&d.b, buf_span(&d.b.store.msg[0].octets));
	CHECK(span_starts(buf_span(&d.b.store.msg[1].octets), SPAN("ARC-Seal: i=2; a=rsa-sha256; cv=pass;")));
	HAS(kept(&d.b, 1), "arc=pass");
	HAS(bed_log(&d.b),
	    "\"dkim\":[{\"domain\":\"relay.example.edu\",\"selector\":\"r1\",\"result\":\"pass\",\"reason\":\"\"}");
	/* Somebody changes what is under the seals: the next one says so, and is the last. */
	struct buf m = BUF_INIT(100000);
	buf_add_span(&m, buf_span(&d.b.store.msg[1].octets));
	buf_add_str(&m, "more\r\n");
	send_message(&d.b, buf_span(&m));
	CHECK(span_starts(buf_span(&d.b.store.msg[2].octets), SPAN("ARC-Seal: i=3; a=rsa-sha256; cv=fail;")));
	send_message(&d.b, buf_span(&d.b.store.msg[2].octets));
	CHECK(span_starts(buf_span(&d.b.store.msg[3].octets), SPAN("Authentication-Results: ")));
	HAS(kept(&d.b, 3), "arc=fail");
	buf_free(&m);
	end(&d);
}

#define SIGNED                                                                                               \
	"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from;\r\n"                                   \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=Zm9v\r\nFrom: a@a.example\r\n\r\n"

static void begin_waiting(struct dkim_session *d)
{
	begin(d, true);
	d->b.listener.dkim_verify = true;
	bed_ehlo(&d->b);
	bed_envelope(&d->b);
	SAY(&d->b, "DATA\r\n", "354 ");
	SAY(&d->b, SIGNED, "");
}

static void silence_costs_its_time(void)
{
	struct dkim_session d;

	begin_waiting(&d);
	SAY(&d.b, "x\r\n.\r\nNOOP\r\n", "");
	CHECK_INT(0, d.b.hook[HOOK_MESSAGE].asked);
	bed_pass(&d.b, 4 * SECOND);
	HEAR(&d.b, "four seconds", "");
	bed_pass(&d.b, 2 * SECOND);
	HEAR(&d.b, "six seconds", "250 2.0.0 Ok: queued as ");
	HAS(kept(&d.b, 0), "dkim=temperror reason=");
	end(&d);
}

/* The time runs while the body comes, so a slow client does not wait twice. */
static void keys_are_asked_for_while_the_body_comes(void)
{
	struct dkim_session d;

	begin_waiting(&d);
	bed_pass(&d.b, 6 * SECOND);
	SAY(&d.b, "x\r\n.\r\n", "250 2.0.0 Ok: queued as ");
	HAS(kept(&d.b, 0), "dkim=temperror reason=");
	end(&d);
}

static void the_client_goes_meanwhile(void)
{
	struct dkim_session d;

	begin_waiting(&d);
	SAY(&d.b, "half of the bo", "");
	end(&d);
	/* All of the message is here: it is kept, though nobody waits for the reply. */
	begin_waiting(&d);
	SAY(&d.b, "x\r\n.\r\n", "");
	memory_stream_reset(&d.b.peer, -ERR_CLOSED);
	bed_run(&d.b);
	CHECK_INT(0, d.b.store.n);
	bed_pass(&d.b, 6 * SECOND);
	CHECK_INT(1, d.b.store.n);
	end(&d);
}

static void a_refused_message_waits_for_nothing(void)
{
	struct dkim_session d;

	begin_waiting(&d);
	SAY(&d.b, "bare\nnewline\r\n.\r\n", "550 5.5.2 ");
	SAY(&d.b, "NOOP\r\n", "250 ");
	end(&d);
}

TEST_MAIN(TEST(what_is_signed_here_verifies_there), TEST(without_an_author_nobody_signs), TEST(a_large_one),
	  TEST(policies_see_it_before_they_decide), TEST(a_seal_is_put_on_top), TEST(silence_costs_its_time),
	  TEST(keys_are_asked_for_while_the_body_comes), TEST(the_client_goes_meanwhile),
	  TEST(a_refused_message_waits_for_nothing))
