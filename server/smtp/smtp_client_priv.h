/* smtp/smtp_client_priv.h - between smtp_client.c (the session), smtp_client_opening.c (until READY) and
 * smtp_client_txn.c (the transaction). */
#pragma once

#include "smtp/smtp_client.h"

/* The connection is of no more use; @result says why, and is every open recipient's, as a temporary one. */
void smtp_client_give_up(struct smtp_client *c, const struct smtp_result *result);

/* A reply that cannot be: from here on nothing can be attributed. Gives up, returns -ERR_SYNTAX. */
int smtp_client_out_of_place(struct smtp_client *c, const char *why);

/* The reply as a result about the connection; its text is still the reply's. */
struct smtp_result smtp_client_result(const struct smtp_client *c, const struct smtp_reply *reply,
				      enum smtp_result_kind kind);

/* The first failure is the reason; its text is copied. */
void smtp_client_set_failure(struct smtp_client *c, const struct smtp_result *result);
/* A command of one line, once per state. */
void smtp_client_say(struct smtp_client *c, struct buf *out, const char *verb, struct span arg);

/* From GREETING to AUTH. */
enum smtp_client_action smtp_client_opening_next(struct smtp_client *c, struct buf *out);
int smtp_client_opening_reply(struct smtp_client *c, const struct smtp_reply *reply,
			      enum smtp_reply_class class);

/* In ENVELOPE and CONTENT. */
enum smtp_client_action smtp_client_txn_next(struct smtp_client *c, struct buf *out);
int smtp_client_txn_reply(struct smtp_client *c, const struct smtp_reply *reply, enum smtp_reply_class class);
