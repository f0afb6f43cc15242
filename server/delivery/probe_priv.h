/* delivery/probe_priv.h - the inside of a probe; only probe*.c include it. */
#pragma once

#include "auth/auth_client.h"
#include "delivery/probe.h"
#include "dns/mx_lookup.h"
#include "io/tcp.h"
#include "smtp/smtp_client.h"
#include "tls/tls_stream.h"

enum { PROBE_TLSA_MAX = 24, PROBE_NAME_MAX = 256 };

struct probe {
	struct probe_config cfg;
	struct loop *loop;
	struct dns *dns;
	struct scope scope;
	int64_t last_us; /* of the last event */
	bool ended, failed, stream_gone, token_due;

	struct mx_lookup mx;
	size_t target_at;
	uint16_t port;
	struct tcp_connect tcp;
	struct stream *stream; /* NULL: none, or a handshake has it */
	struct dns_query tlsa;
	struct tls_tlsa record[PROBE_TLSA_MAX];
	size_t nrecords;
	bool required, verified;
	enum tls_verify verify;
	struct tls_handshake handshake;

	struct smtp_client client;
	struct smtp_reply_parser parser;
	struct buf out;
	struct auth_client auth;
	struct auth_token_wait token;
	bool auth_used, token_used, token_here;
	enum { PROBE_TALK_OPENING, PROBE_TALK_MAIL, PROBE_TALK_RCPT, PROBE_TALK_RSET } talk;
};

/* ---- probe.c ---- */
void probe_say(struct probe *p, enum probe_step step, enum probe_outcome outcome, unsigned code,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The last word; @good false after a step that failed. */
void probe_end(struct probe *p, bool good);
/* What was waited for when it ended has come. */
void probe_token_came(struct probe *p);
/* The stream becomes one under TLS. */
void probe_handshake(struct probe *p);

/* ---- probe_talk.c ---- */
extern const struct stream_events probe_stream_events;
/* A connection stands, or TLS on it does. */
void probe_talk_begin(struct probe *p, bool tls);
void probe_talk(struct probe *p);
/* True: a token is on its way, and will be told. */
bool probe_talk_leave(struct probe *p);
void probe_talk_deinit(struct probe *p);
