/* mail/mail_msgid.h - Message-ID: <unique@host>.
 *
 * Pure.  Source: RFC 5322 sections 3.6.4 and 4.5.4.  Tests: tests/unit/mail/test_mail_msgid.c
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/* Adds "<unique@host>". That @unique is unique on @host is the caller's promise (a queue id and a time); what
 * cannot stand in a Message-ID becomes '-'. Returns 0, -ERR_INVAL if either is empty, or -ERR_TOOBIG if @out
 * is full. */
int mail_msgid_write(struct buf *out, struct span unique, struct span host);

/* Is this the value of a Message-ID field that others accept: one identifier in angle brackets, with a left
 * and a right side? Returns 0 and the identifier with its brackets, or -ERR_SYNTAX. @id_r may be NULL. */
int mail_msgid_parse(struct span value, struct span *id_r);
