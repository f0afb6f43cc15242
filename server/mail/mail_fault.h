/* mail/mail_fault.h - what RFC 5322 wants in a header section and is missing, doubled or wrong; and the
 * repair of it.
 *
 * Copiers forget Date and Message-ID, some libraries send From twice; receivers refuse such messages for the
 * sake of spam. Whether a fault is repaired, refused or let through is the caller's decision: this file finds
 * and mends. A repair breaks a signature (DKIM) over the fields it touches.
 *
 * Pure: time, identifier and address are arguments.
 * Source: RFC 5322 section 3.6 (table), RFC 2045 section 3.
 * Tests:  tests/unit/mail/test_mail_fault.c
 */
#pragma once

#include <stdint.h>

#include "base/span.h"
#include "mail/mail_head.h"

#define MAIL_FAULT_MAP(X)                                                                                    \
	X(NO_DATE, 0, "no Date")                                                                             \
	X(NO_FROM, 1, "no From")                                                                             \
	X(NO_MESSAGE_ID, 2, "no Message-ID")                                                                 \
	X(NO_SENDER, 3, "several addresses in From and no Sender")                                           \
	X(NO_RECIPIENT, 4, "no To, Cc or Bcc")                                                               \
	X(BAD_DATE, 5, "Date is not a date")                                                                 \
	X(BAD_FROM, 6, "From is not a list of addresses")                                                    \
	X(BAD_SENDER, 7, "Sender is not one address")                                                        \
	X(BAD_MESSAGE_ID, 8, "Message-ID is not an identifier")                                              \
	X(FROM_NO_DOMAIN, 9, "an address in From has no domain")                                             \
	X(DUPLICATE, 10, "a field more than once that may be there once")

enum mail_fault {
#define X(name, bit, text) MAIL_FAULT_##name = 1 << (bit),
	MAIL_FAULT_MAP(X)
#undef X
};

/* Fields that may be there once. */
#define MAIL_SINGLE_FIELD_MAP(X)                                                                             \
	X("Date")                                                                                            \
	X("From")                                                                                            \
	X("Sender")                                                                                          \
	X("Reply-To")                                                                                        \
	X("To")                                                                                              \
	X("Cc")                                                                                              \
	X("Bcc")                                                                                             \
	X("Message-ID")                                                                                      \
	X("In-Reply-To")                                                                                     \
	X("References")                                                                                      \
	X("Subject")                                                                                         \
	X("MIME-Version")                                                                                    \
	X("Content-Type")                                                                                    \
	X("Content-Transfer-Encoding")                                                                       \
	X("Content-ID")                                                                                      \
	X("Content-Description")                                                                             \
	X("Content-Disposition")

struct mail_faults {
	unsigned found;      /* enum mail_fault */
	unsigned duplicates; /* bit i: number i of MAIL_SINGLE_FIELD_MAP */
};

/* Returns 0, or -ERR_TOOBIG if the arena of @h is full or From or Sender has more than 100 addresses; then
 * *faults_r is untouched. */
int mail_fault_check(const struct mail_head *h, struct mail_faults *faults_r);

/* The words for one fault, or for the lowest of several; and the name of single field number @i, NULL behind
 * the last. */
const char *mail_fault_text(unsigned faults);
const char *mail_fault_single_name(unsigned i);

struct mail_fault_repair {
	unsigned wanted; /* enum mail_fault: those to be mended, of those that can be */
	int64_t unix_s;  /* for Date */
	int zone_min;
	struct span unique, host;            /* for Message-ID, as mail_msgid_write() */
	struct span from_local, from_domain; /* for From; empty: From is not mended */
};

/* Mends what was found and is wanted: a missing or bad Date or Message-ID and a missing From or Sender is
 * supplied; of fields that are doubled the first stays, and for To, Cc and Bcc it takes the addresses of the
 * others (RFC 5322 section 4.5.3). The other faults cannot be mended without a decision about addresses: see
 * mail_rewrite.h.
 *
 * Returns the faults that were mended, or -ERR_TOOBIG; then a part may have been. */
int mail_fault_mend(struct mail_head *h, const struct mail_faults *faults,
		    const struct mail_fault_repair *repair);
