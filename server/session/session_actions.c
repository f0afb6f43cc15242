/* session_actions.c - what a policy may change: everything else of a view is read-only. */
#include "session/session_priv.h"

static struct session *session_of(struct view_conn *conn)
{
	return container_of(conn, struct session, conn);
}

static int use_profile(struct view_conn *conn, struct span name)
{
	struct session *s = session_of(conn);

	for (uint32_t i = 0; i < s->listener->nprofiles; i++) {
		if (span_eq(s->listener->profiles[i].name, name)) {
			s->profile = &s->listener->profiles[i];
			s->conn.profile = s->profile->name;
			return 0;
		}
	}
	return -ERR_NOTFOUND;
}

static int set_device(struct view_conn *conn, struct span id)
{
	struct session *s = session_of(conn);
	const struct span kept = span_eq(conn->device, id) ? conn->device : arena_dup(s->conn_mem, id);

	if (!kept.p && id.n)
		return -ERR_TOOBIG;
	conn->device = kept;
	return 0;
}

/* The new sender is a mailbox or empty (the null path), by the same grammar as MAIL FROM, nothing forgiven. */
static int set_sender(struct view_msg *msg, struct span address)
{
	struct session *s = session_of(msg->txn->conn);
	const bool utf8 = msg->txn->params.has & SMTP_MAIL_SMTPUTF8;
	struct smtp_path path = { .is = SMTP_PATH_IS_NULL };
	const char *why;

	if (address.n) {
		const int err =
			smtp_path_parse_mailbox(s->txn_mem, address, utf8 ? SMTP_ALLOW_UTF8 : 0, &path, &why);
		if (err < 0)
			return err == -ERR_NOMEM ? -ERR_TOOBIG : -ERR_SYNTAX;
	}
	struct buf text = BUF_INIT(SMTP_PATH_LONG_MAX + 8);
	const int err = smtp_path_format_mailbox(&path, &text);
	const struct span kept = err < 0 ? (struct span){ NULL, 0 } : arena_dup(s->txn_mem, buf_span(&text));
	buf_free(&text);
	if (!kept.p)
		return err < 0 ? -ERR_SYNTAX : -ERR_TOOBIG;
	msg->txn->sender = path;
	msg->txn->sender_address = kept;
	return 0;
}

enum { META_OCTETS_MAX = 16 * 1024 };

static int set_meta(struct view_msg *msg, struct span json)
{
	struct session *s = session_of(msg->txn->conn);
	const struct span kept =
		json.n <= META_OCTETS_MAX ? arena_dup(s->txn_mem, json) : (struct span){ NULL, 0 };

	if (!kept.p)
		return -ERR_TOOBIG;
	msg->meta = kept;
	return 0;
}

const struct view_actions session_actions = {
	.use_profile = use_profile, .set_device = set_device, .set_sender = set_sender, .set_meta = set_meta
};
