/* session/session_priv.h - the inside of a session; only session/ includes it.
 *
 *   phase  where the client is in RFC 5321's dialogue
 *   step   where we are in one command
 *
 * Invariants
 *   1. A refusal that waits for RCPT (refusal, txn->refusal) is never lost: HELO again does not forgive what connect or HELO got.
 *   2. txn != NULL exactly while a transaction is open (MAIL was accepted, or its refusal waits for RCPT).
 *   3. msg != NULL exactly while a body is being received or committed.
 *   4. At most one of call, commit, reverse, tls->handshake, auth->exchange is pending, but that reverse and tls may be both.
 *      The keys that msg->dkim wants are asked for beside them, also while the body comes.
 *   5. What a pending call or commit may look at (views, conn_mem, helo_mem, txn_mem) stays until it has answered.
 *
 *   6. While tls != NULL a handshake is under way: the stream is the TLS filter's and `stream` is NULL.
 *   7. auth != NULL from AUTH until its last reply.
 *
 * An idle session costs its struct, its stream, and an arena block each for what it said at connect and at HELO: what only a
 * transaction or a look-up needs is allocated when it is needed.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "dns/reverse.h"
#include "io/op.h"
#include "mail/mail_head.h"
#include "session/session.h"
#include "smtp/smtp_bdat.h"
#include "smtp/smtp_cmd.h"
#include "smtp/smtp_data.h"
#include "smtp/smtp_ehlo.h"
#include "smtp/smtp_line.h"
#include "smtp/smtp_reply.h"
#include "tls/tls_stream.h"

enum {
	SESSION_CONN_MEM_MAX = 32 * 1024,      /* names, the verdict and the path of connect */
	SESSION_HELO_MEM_MAX = 32 * 1024,      /* the same of HELO */
	SESSION_TXN_MEM_MAX = 2 * 1024 * 1024, /* envelope, verdicts, decision path */
	SESSION_CASE_TEXT_MAX = 700,
};

/* REFUSED: the greeting was a 554; all but QUIT is 503 (RFC 5321 section 3.1). */
#define SESSION_PHASE_MAP(X) X(REFUSED) X(CONNECT) X(HELO) X(READY) X(MAIL) X(RCPT) X(DATA) X(BDAT)
enum session_phase {
#define X(name) SESSION_PHASE_##name,
	SESSION_PHASE_MAP(X)
#undef X
};

#define SESSION_STEP_MAP(X)                                                                                  \
	X(PROXY)                                                                                             \
	X(ENTER)                                                                                             \
	X(TLS)                                                                                               \
	X(SECURED) X(REVERSE) X(CONNECT) X(BANNER) X(READ) X(CHECK) X(HOOK) X(APPLY) X(BODY) X(MESSAGE)      \
		X(ROUTE) X(COMMIT) X(AUTH) X(AUTH_LINE) X(AUTH_HOOK) X(CLOSE)
enum session_step {
#define X(name) SESSION_STEP_##name,
	SESSION_STEP_MAP(X)
#undef X
		SESSION_STEP_MAX_
};

enum session_next { NEXT_STEP, NEXT_WAIT, NEXT_GONE };

struct session_cmd;
struct session_tls;  /* session_tls.c */
struct session_auth; /* session_auth.c */

/* Why something is refused, and how that is said. */
struct session_refusal {
	unsigned code;
	struct smtp_enhanced enhanced;
	const char *rule; /* when verdict is NULL */
	const char *text;
	const struct verdict *verdict; /* a policy's */
	enum hook_id stage;            /* where it was decided; HOOK_MAX_: the protocol */
	struct span to;                /* the recipient in question */
	bool plain;                    /* the text is the reply, word for word */
};

/* A transaction: from MAIL to its end; lives in txn_mem. */
struct session_txn {
	struct view_txn view;
	struct view_rcpt *rcpt; /* accepted */
	uint32_t rcpt_cap;
	struct verdict refusal; /* MAIL was refused, to be told at RCPT; kind NONE: not */
	struct decision_path path;
	struct verdict hold; /* message: HOLD */
	bool bdat;
};

struct session_dkim; /* session_dkim.c */

/* A message that is being received; in txn_mem but for its buffers. */
struct session_msg {
	struct view_msg view;
	struct store_message *stored; /* NULL once it failed: the rest is read and thrown away */
	struct smtp_data_decoder decoder;
	struct smtp_bdat bdat;
	struct mail_head_scan scan;
	struct buf head; /* octets up to the end of the header section */
	struct arena *head_mem;
	bool head_done;
	bool has_8bit;
	struct session_refusal fail; /* code 0: fine so far; else the reply at its end */
	int64_t began_us, body_ended_us, commit_started_us;
	struct id id;
	bool asked, route_asked, committing; /* what the current step waits for or has got */
	uint32_t route_at;                   /* STEP_ROUTE: the next recipient whose domain is asked for */
	struct span *route;                  /* per recipient: what policy chose */
	struct session_dkim *dkim;           /* NULL: signatures are nothing to us here */
};

struct session {
	struct view_conn conn;
	struct session_env *env;
	struct session_setup setup;
	const struct session_listener *listener;
	const struct session_profile *profile; /* NULL: a stranger's */
	struct list link;                      /* in env->sessions */
	struct stream *stream;
	struct scope scope;
	enum session_phase phase;
	enum session_step step;
	bool running;      /* inside session_run() */
	bool waiting_room; /* the store has no room for more of the body */
	bool waiting_out;  /* the client does not read our replies: no more commands until it does */
	bool draining;     /* the server shuts down: 421 at the next prompt */
	bool counted;      /* entered in env->clients */
	bool banner_due;   /* the greeting's delay is over */
	bool ended;        /* no more steps */
	bool stream_closed, scope_closed;
	bool helo_kept; /* the refusal that waits for RCPT lives in helo_mem */
	bool barred; /* policy refused what TLS brought, at once: every command but QUIT gets that (RFC 3207 section 4.1) */
	bool auth_too_long;           /* the line that is being skipped begins with AUTH */
	bool tls_noted;               /* "would have been refused without TLS" was logged */
	uint64_t bytes_in, bytes_out; /* of streams that are gone */
	struct timer banner_timer;
	struct task run_task;
	struct smtp_line_reader reader;
	uint32_t commands, idle_commands, refusals, rcpts_total, auth_failures;
	const char *end_reason;
	int64_t started_us;

	struct arena *conn_mem;    /* reverse name, device, what connect decided */
	struct arena *helo_mem;    /* NULL before HELO: its name, what it decided; begun anew by each HELO */
	struct decision_path path; /* of connect */
	struct decision_path helo_path; /* of the last HELO */
	struct verdict refusal;         /* connect, helo or starttls refused, to be told at RCPT */
	enum hook_id refusal_stage;
	const struct session_profile *connect_profile; /* what there was before the client said anything */
	struct span connect_device;
	struct session_tls *tls;   /* NULL: no handshake is under way */
	struct session_auth *auth; /* NULL: no AUTH is under way */

	struct arena *txn_mem; /* NULL between transactions */
	struct session_txn *txn;
	struct session_msg *msg;

	const struct session_cmd *cmd; /* the command in hand, CHECK .. APPLY */
	struct smtp_cmd parsed;        /* points into the stream's input until it is consumed */
	size_t line_octets;            /* to consume when the command is done */
	uint64_t swallow;              /* octets of a refused BDAT still to come */
	int64_t swallow_since_us;
	struct smtp_bdat_chunk chunk; /* BDAT's argument */
	struct view_rcpt *rcpt;       /* RCPT: in question, in txn_mem */
	struct hook_call call;
	struct reverse *reverse; /* NULL: no look-up is under way */
	struct store_commit commit;
};

struct session_cmd {
	enum smtp_verb verb;
	unsigned phases; /* bit per enum session_phase; else 503 */
	bool hooked;
	enum hook_id hook;
	bool idle;                       /* moves no mail */
	bool clear;                      /* also before TLS where that is required */
	int (*check)(struct session *s); /* 0, or != 0: it has answered */
	enum session_next (*apply)(struct session *s);
};

/* ---- session.c ---- */
void session_run(struct session *s);
void session_run_soon(struct session *s);
/* Ends the command in hand and goes on reading. */
enum session_next session_command_done(struct session *s);
/* What is said is said; the connection ends once it is sent. */
void session_end(struct session *s, const char *reason);
void session_ask(struct session *s, enum hook_id id, enum session_step then);
unsigned session_lax(const struct session *s);

/* The stream of the session from now on; the end of all of them. */
void session_stream_set(struct session *s, struct stream *stream);
void session_stream_gone(struct session *s);
/* Bare line ends and NUL are for those whose profile says so. */
bool session_line_flags_ok(const struct session *s, const struct smtp_line *line);

/* After the last octet of the connection nothing is consumed and no deadline is set. */
void session_consume(struct session *s, size_t n);
void session_deadline(struct session *s, int64_t in_us);

/* ---- session_table.c ---- */
const struct session_cmd *session_cmd_find(enum smtp_verb verb);

/* ---- session_reply.c ---- */

void session_reply(struct session *s, unsigned code, struct smtp_enhanced e, struct span text);
void session_replyf(struct session *s, unsigned code, struct smtp_enhanced e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Answers, logs and counts a refusal. Returns 1, so that a check can return it. */
int session_refuse(struct session *s, const struct session_refusal *r);
/* A refusal by the protocol itself. */
int session_refuse_protocol(struct session *s, unsigned code, struct smtp_enhanced e, const char *rule,
			    const char *text);
/* A verdict's code and enhanced code, with the stage's defaults; its text and rule. */
int session_refuse_verdict(struct session *s, const struct verdict *v, enum hook_id stage, struct span to);

/* Parameters of MAIL or RCPT that did not parse. */
int session_refuse_params(struct session *s, int err, const struct smtp_param_error *e, const char *rule);

/* ---- cmd_helo.c ---- */
/* What this client is offered now: enum smtp_ext. */
uint32_t session_ext(const struct session *s);
/* All that the client said of itself goes, and what came of it: until it says EHLO again it is somebody else (RFC 3207 section
 * 4.2). */
void session_forget(struct session *s);

/* ---- session_txn.c ---- */
struct session_txn *session_txn_begin(struct session *s);
void session_txn_end(struct session *s);

/* ---- session_body.c: DATA and BDAT content ---- */
int session_msg_begin(struct session *s); /* 0, or it has answered */
/* The message cannot be kept: the rest of it is read and thrown away, then this is the reply. The first failure stands. */
void session_msg_fail(struct session *s, unsigned code, struct smtp_enhanced e, const char *rule,
		      const char *text);
/* A refused BDAT: the transaction, if there is one, fails as a whole, and the chunk's octets are read and thrown away. */
void session_swallow_chunk(struct session *s);
void session_msg_end(struct session *s);
enum session_next session_step_body(struct session *s);

/* ---- session_dkim.c ---- */
/* The header section of the message is complete, in msg->head; before the first octet of the body. */
void session_dkim_head(struct session *s);
void session_dkim_body(struct session *s, struct span run);
/* After the body: does the session have to wait for keys? Then it is run again. */
bool session_dkim_wait(struct session *s);
bool session_dkim_pending(const struct session *s);
/* Takes fields out of the head that claim to be our results. */
void session_dkim_drop_forged(struct session *s);
/* The head is as it will be sent, but for trace fields: signs it, and adds what goes above Received to @out. 0 or -ERR_x. */
int session_dkim_finish_head(struct session *s, struct buf *out);
/* Whose signature the message got, and what those were worth that it had. */
void session_dkim_log(struct session *s, struct log_rec *r);
void session_dkim_free(struct session *s);

/* ---- session_message.c: from the end of the content to its reply ---- */
enum session_next session_step_message(struct session *s);
enum session_next session_step_route(struct session *s);
enum session_next session_step_commit(struct session *s);
enum session_next session_message_verdict(struct session *s);

/* ---- session_greet.c: from the connection to the greeting ---- */
int64_t session_proxy_timeout_us(
	const struct session *s); /* or command_timeout_us when there is no PROXY header to wait for */
void session_reverse_free(struct session *s);
enum session_next session_step_proxy(struct session *s);
enum session_next session_step_enter(struct session *s);
enum session_next session_step_reverse(struct session *s);
enum session_next session_step_connect(struct session *s);
enum session_next session_step_banner(struct session *s);

/* ---- session_tls.c ---- */
/* Takes the stream away and begins a handshake; @then is the step after it. What the client sent so far is thrown away, unless
 * nothing was said yet. */
void session_tls_start(struct session *s, enum session_step then);
bool session_tls_pending(const struct session *s);
/* It is broken off, and the session ends; nothing if there is none. */
void session_tls_cancel(struct session *s);
void session_tls_free(struct session *s);
enum session_next session_step_tls(struct session *s);
enum session_next session_step_secured(struct session *s);
/* The unread input is a TLS ClientHello where SMTP was expected: what becomes of that. */
enum session_next session_tls_hello(struct session *s);
/* Refuses the command in hand if it needs TLS and there is none. Returns 1, or 0. */
int session_tls_wanted(struct session *s);
/* There is none, and mail is not taken without it. */
bool session_tls_required(const struct session *s);

/* ---- session_auth.c ---- */
/* Can the client say AUTH now, and how? Bits of enum auth_mech. */
uint32_t session_auth_offered(const struct session *s);
/* AUTH is refused before anything is looked at: 1, and it has answered. */
int session_auth_refuse_now(struct session *s);
bool session_auth_pending(const struct session *s);
/* Is the address turned away for failed logins, or this user unless that is empty? */
bool session_auth_banned(struct session *s, struct span user);
void session_auth_start(struct session *s, struct span mechanism, struct span initial);
/* Consumes the first @n octets of the input, which are a secret, or may be. */
void session_auth_wipe_input(struct session *s, size_t n);
void session_auth_free(struct session *s);
enum session_next session_step_auth(struct session *s);
enum session_next session_step_auth_line(struct session *s);
enum session_next session_step_auth_hook(struct session *s);
/* Whoever it was is nobody again. */
void session_auth_forget(struct session *s);

/* ---- session_log.c ---- */
void session_log_finished(struct session *s);
void session_log_refused(struct session *s, const struct session_refusal *r, unsigned code,
			 struct smtp_enhanced e, struct span rule, struct span text,
			 const struct id *case_id);
/* An event that tells nothing but who. */
void session_log_event(struct session *s, enum log_event event);
/* The fields that every record of a session has. */
void session_log_who(struct session *s, struct log_rec *r);
void session_log_accepted(struct session *s);
void session_log_discarded(struct session *s, const struct verdict *v);
/* enum mail_received_how, and the keyword that it makes: "ESMTP", "ESMTPSA" ... (RFC 3848). */
unsigned session_how(const struct session *s);
struct span session_protocol(const struct session *s);

/* ---- session_actions.c ---- */
extern const struct view_actions session_actions;

/* ---- cmd_*.c ---- */
int cmd_helo_check(struct session *s);
enum session_next cmd_helo_apply(struct session *s);
int cmd_mail_check(struct session *s);
enum session_next cmd_mail_apply(struct session *s);
int cmd_rcpt_check(struct session *s);
enum session_next cmd_rcpt_apply(struct session *s);
int cmd_data_check(struct session *s);
enum session_next cmd_data_apply(struct session *s);
int cmd_bdat_check(struct session *s);
enum session_next cmd_bdat_apply(struct session *s);
enum session_next cmd_rset_apply(struct session *s);
enum session_next cmd_noop_apply(struct session *s);
enum session_next cmd_vrfy_apply(struct session *s);
enum session_next cmd_expn_apply(struct session *s);
enum session_next cmd_help_apply(struct session *s);
int cmd_etrn_check(struct session *s);
enum session_next cmd_etrn_apply(struct session *s);
enum session_next cmd_quit_apply(struct session *s);
int cmd_auth_check(struct session *s);
enum session_next cmd_auth_apply(struct session *s);
int cmd_starttls_check(struct session *s);
enum session_next cmd_starttls_apply(struct session *s);
