/* mail/mail_dsn_priv.h - what mail_dsn.c and mail_dsn_text.c share. */
#pragma once

#include "mail/mail_dsn.h"

/* The gravest of the recipients' actions: the report is about that. */
enum mail_dsn_action mail_dsn_gravest(const struct mail_dsn *d);

/* The status that is reported for a recipient: its own, or the general one for its action. */
struct span mail_dsn_status(const struct mail_dsn_rcpt *r);

/* Adds the words for a person: UTF-8, lines with CRLF. */
void mail_dsn_write_words(const struct mail_dsn *d, struct buf *out);
