/* session/session_config.h - what a listener is: immutable, made by main/ from the configuration, shared by all workers.
 *
 * Ownership: the configuration snapshot; a session keeps the snapshot alive while it runs.
 * Units: as named; 0 never means "no limit".
 *
 * Tests: tests/unit/session/test_dialogue.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth_exchange.h"
#include "base/ip.h"
#include "base/span.h"
#include "state/bans.h"
#include "state/clients.h"
#include "tls/tls_context.h"

/* What is tolerated from clients that a policy, or the listener, gives this profile. A stranger has none. */
struct session_profile {
	struct span name;
	unsigned lax;            /* enum smtp_lax: syntax */
	bool normalise_newlines; /* bare CR and LF become CRLF; else the message is refused */
	bool nul;                /* NUL octets in a message pass; else it is refused */
	bool early;              /* talking before the greeting is no offence */
	bool auth_old_clients;   /* sees an "AUTH=" line too, as session_auth_config.old_clients */
	uint32_t hide_ext;       /* enum smtp_ext: not announced to it */
};

#define SESSION_TLS_MODE_MAP(X)                                                                              \
	X(OFF, "off")                                                                                        \
	X(OPTIONAL, "optional") /* STARTTLS */                                                               \
	X(REQUIRED, "required") /* STARTTLS, before anything that moves mail */                              \
	X(IMPLICIT, "implicit") /* from the first octet, behind a PROXY header */

enum session_tls_mode {
#define X(name, text) SESSION_TLS_##name,
	SESSION_TLS_MODE_MAP(X)
#undef X
};

const char *session_tls_mode_name(enum session_tls_mode mode);

struct session_tls_config {
	enum session_tls_mode mode;
	struct tls_server *server; /* the snapshot's; NULL: SESSION_TLS_OFF, without sniffing */
	int64_t required_from_wall_us; /* REQUIRED: before this it is counted and logged who would be refused; 0: at once */
	bool serve_hello; /* a ClientHello instead of a command is served; else logged, and the connection ends */
	bool asks_cert; /* clients are asked for a certificate */
	int64_t handshake_timeout_us;
};

struct session_auth_config {
	const struct auth_server *server; /* the snapshot's; NULL: AUTH is not offered */
	const struct ip_set *clear_from;  /* who may authenticate without TLS; NULL: nobody */
	bool required;                    /* mail is taken from authenticated clients only */
	bool old_clients;                 /* an "AUTH=" line too, for clients of the drafts before RFC 2554 */
	uint32_t failures_max;            /* of a connection; then it ends */
	int64_t failure_delay_us;         /* before the first refusal; each further one waits twice as long */
	int64_t timeout_us;               /* for the places where passwords are checked */
	struct bans_rules bans;
};

struct session_listener {
	struct span name;
	struct span hostname;            /* ours: greeting, EHLO, Received */
	struct span postmaster;          /* a mailbox: who gets mail for <postmaster>; empty: nobody in particular */
	struct span greeting;            /* behind the hostname in the 220 */
	struct span help_url, help_text; /* the help desk: refusals, HELP */
	uint32_t ext;                    /* enum smtp_ext: offered */
	uint64_t message_max_bytes;
	uint32_t head_max_bytes;    /* of the header section */
	uint32_t line_max_octets;   /* of a line of the message; longer ones are refused */
	uint32_t rcpts_max;         /* of one transaction */
	uint32_t messages_max;      /* of one connection */
	uint32_t errors_max;        /* refused commands before the connection ends */
	uint32_t idle_commands_max; /* commands in a row that move no mail: NOOP, RSET, VRFY, ... */
	uint32_t hops_max;          /* Received fields: more is a loop */
	uint32_t own_hops_max;      /* of them our own */
	uint32_t deliverby_min_s;
	struct clients_limits clients; /* connections */
	int64_t greet_delay_us;        /* wait before the greeting, to catch early talkers */
	int64_t command_timeout_us;    /* for a whole command line, from its prompt */
	int64_t data_timeout_us;       /* between two pieces of a message */
	int64_t message_timeout_us;    /* for a whole message */
	int64_t reverse_timeout_us;    /* for the forward-confirmed name of the client */
	bool reverse_dns;
	bool refuse_early_talkers;
	bool log_subject;                /* the Subject of messages goes into the log */
	bool refuse_now;                 /* answer refusals at their own command, not at RCPT */
	const struct ip_set *clients_from; /* who may connect; NULL: everybody */
	const struct ip_set *proxy_from; /* who speaks the PROXY protocol; NULL: nobody */
	const struct ip_set *etrn_from;  /* who may say ETRN; NULL: nobody */
	struct session_tls_config tls;
	struct session_auth_config auth;
	const struct session_profile *profiles;
	uint32_t nprofiles;
	const struct session_profile *profile; /* every client's here; NULL: none */
	const struct dkim_signer *signer;      /* the snapshot's; NULL: mail is not signed */
	bool dkim_verify;                      /* signatures of what comes in are looked at */
	bool arc_seal;                         /* and what was found is sealed */
	int64_t dkim_timeout_us;               /* for the keys */
	int zone_min;                          /* of the dates we write */
};
