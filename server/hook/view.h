/* hook/view.h - what a policy may look at: plain structs that the session fills and keeps.
 *
 * These are the session's own state, not copies; policies see them read-only through bindings. What a policy may change goes
 * through the `actions`. A view carries no generation: the binding keeps {pointer, generation} of its own and is told by
 * conn_gone/txn_gone.
 *
 * Ownership: the session.  Threads: the worker's loop.
 *
 * Tests: tests/unit/session/test_hooks.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/random.h"
#include "base/span.h"
#include "mail/mail_head.h"
#include "smtp/smtp_param.h"
#include "smtp/smtp_path.h"

/* Forward-confirmed reverse DNS of the client. */
enum view_reverse {
	VIEW_REVERSE_PENDING,
	VIEW_REVERSE_PASS,
	VIEW_REVERSE_NO_PTR,
	VIEW_REVERSE_MISMATCH,
	VIEW_REVERSE_TEMPERROR,
	VIEW_REVERSE_OFF
};

struct view_conn;
struct view_txn;
struct view_msg;

struct view_actions {
	/* Tolerate what the named profile of the configuration tolerates, from now on. -ERR_NOTFOUND. */
	int (*use_profile)(struct view_conn *conn, struct span name);
	/* The registered device behind this client: goes to log, trace and envelope. */
	int (*set_device)(struct view_conn *conn, struct span id);
	/* Replaces the envelope sender (rewriting). -ERR_SYNTAX, -ERR_TOOBIG. */
	int (*set_sender)(struct view_msg *msg, struct span address);
	/* JSON text that is kept with the message in the spool. */
	int (*set_meta)(struct view_msg *msg, struct span json);
};

/* How a connection is protected, copied from the TLS stream: it outlives that. */
struct view_tls {
	struct span version; /* "TLSv1.3" */
	struct span cipher;
	int bits, cipher_bits; /* of the key: in use, and as the algorithm has it */
	struct span sni;       /* asked for by the client, or empty */
	bool resumed;
	bool cert_asked; /* of the client */
	bool cert_given, cert_ok;
	struct span cert_why; /* given and not ok: why not */
	struct span subject, common_name, email, dns_name, issuer;
	struct span fingerprint; /* SHA-256, hexadecimal */
};

struct view_conn {
	const struct view_actions *actions;
	struct id id;
	struct span listener;
	struct ip_endpoint client, server;
	struct ip_addr proxy; /* len 0: no PROXY header */
	struct span helo;     /* empty before HELO */
	bool esmtp;           /* said EHLO */
	bool early_talker;    /* spoke before the greeting */
	enum view_reverse reverse;
	struct span reverse_name; /* PASS: the first confirmed name; else the first PTR name, or empty */
	const struct span *reverse_names; /* all confirmed ones */
	uint32_t nreverse_names;
	struct span reverse_why; /* unless PASS: which look-up said what, as a sentence */
	struct span profile;     /* its name, or empty */
	struct span device;
	struct span auth_user, auth_mech,
		auth_realm;         /* empty: not authenticated; a realm is not always there */
	const struct view_tls *tls; /* NULL: no TLS */
	uint32_t messages;          /* accepted on this connection */
	uint32_t errors;            /* refused commands */
	int64_t started_wall_us;
	void *policy; /* the implementation's: vars */
};

struct view_txn {
	struct view_conn *conn;
	struct smtp_path sender;    /* .is & SMTP_PATH_IS_NULL: the null path */
	struct span sender_address; /* canonical text, empty for null */
	struct smtp_mail_params params;
	uint32_t rcpts; /* accepted so far */
	uint32_t rcpts_refused;
	int64_t started_wall_us;
	void *policy;
};

struct view_rcpt {
	struct view_txn *txn;
	struct smtp_path path;
	struct span address; /* canonical text */
	struct smtp_rcpt_params params;
	bool is_postmaster; /* the listener's: accepted unless a policy refuses it */
	bool routed_local;  /* the local part holds @ % or !: smtp_path_is_routed_local() */
};

struct view_msg {
	struct view_txn *txn;
	struct span queue_id;
	struct mail_head *head; /* may be edited through mail/ */
	struct arena *head_mem; /* where edits live */
	uint64_t size_bytes;    /* of the content as it came */
	struct span body;       /* the body when it is in memory, else empty */
	uint32_t received;      /* Received fields */
	bool has_8bit;
	const struct view_rcpt *rcpt; /* the accepted recipients */
	uint32_t nrcpt;
	struct span meta;               /* JSON text, or empty */
	const struct dkim_verify *dkim; /* what its signatures are worth; NULL: nobody looked */
};
