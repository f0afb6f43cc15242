/* smtp/smtp_param.h - the ESMTP parameters of MAIL and RCPT, both ways (RFC 5321 section 4.1.1.11).
 *
 *   MAIL  SIZE (1870) BODY (6152, 3030) SMTPUTF8 (6531) RET ENVID (3461) BY (2852) AUTH (4954)
 *         REQUIRETLS (8689)
 *   RCPT  NOTIFY ORCPT (3461, 6533)
 *
 * Values are checked when they are parsed and kept as they were written (xtext and all), for the next hop
 * must get the same (RFC 3461 section 5.2.1); smtp/smtp_xtext.h decodes them.
 *
 * Pure.  Ownership: spans live in the arena given.  Threads: any.
 * Tests: tests/unit/smtp/test_param.c, tests/fuzz/fuzz_smtp_param.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "smtp/smtp_ehlo.h"

/* Octets of an encoded value: RFC 3461 section 5.4, RFC 4954 section 5. */
enum { SMTP_ENVID_MAX = 100, SMTP_ORCPT_MAX = 500, SMTP_AUTH_PARAM_MAX = 500 };

enum smtp_mail_param {
	SMTP_MAIL_SIZE = 1 << 0,
	SMTP_MAIL_BODY = 1 << 1,
	SMTP_MAIL_SMTPUTF8 = 1 << 2,
	SMTP_MAIL_RET = 1 << 3,
	SMTP_MAIL_ENVID = 1 << 4,
	SMTP_MAIL_BY = 1 << 5,
	SMTP_MAIL_AUTH = 1 << 6,
	SMTP_MAIL_REQUIRETLS = 1 << 7,
};

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
enum smtp_ret { SMTP_RET_FULL, SMTP_RET_HDRS };

struct smtp_by {
	int32_t seconds; /* may be zero or negative in mode N: the time is over already */
	bool is_return;  /* R: send it back when it is late; else N: notify and go on */
	bool trace;
};

struct smtp_mail_params {
	unsigned has;         /* enum smtp_mail_param: only these members mean something */
	uint64_t size_octets; /* UINT64_MAX for anything that does not fit */
	enum smtp_body body;
	enum smtp_ret ret;
	struct span envid; /* xtext as written */
	struct smtp_by by;
	struct span auth; /* "<>" or a mailbox in xtext, as written */
};

enum smtp_rcpt_param {
	SMTP_RCPT_NOTIFY = 1 << 0,
	SMTP_RCPT_ORCPT = 1 << 1,
};

enum smtp_notify {
	SMTP_NOTIFY_NEVER = 0, /* with SMTP_RCPT_NOTIFY in has */
	SMTP_NOTIFY_SUCCESS = 1 << 0,
	SMTP_NOTIFY_FAILURE = 1 << 1,
	SMTP_NOTIFY_DELAY = 1 << 2,
};

struct smtp_rcpt_params {
	unsigned has;      /* enum smtp_rcpt_param */
	unsigned notify;   /* enum smtp_notify */
	struct span orcpt; /* "type;address" as written */
};

struct smtp_param_error {
	const char *why;   /* constant phrase */
	struct span param; /* the parameter's keyword, in the input; may be empty */
};

/* Parses all of @in, what follows the path. @offered: the extensions that EHLO announced; parameters of
 * others are refused.
 *
 * Returns 0, or
 *   -ERR_SYNTAX       malformed, given twice, or in conflict with another one: 501 5.5.4
 *   -ERR_UNSUPPORTED  not a parameter that we know or offer: 555 5.5.4
 *   -ERR_NOMEM        @a is full
 * On error *params_r is untouched and *error_r says what and why. */
int smtp_mail_params_parse(struct arena *a, struct span in, uint32_t offered,
			   struct smtp_mail_params *params_r, struct smtp_param_error *error_r);
/* @utf8: the transaction's MAIL command had SMTPUTF8. */
int smtp_rcpt_params_parse(struct arena *a, struct span in, uint32_t offered, bool utf8,
			   struct smtp_rcpt_params *params_r, struct smtp_param_error *error_r);

/* Appends " KEYWORD=value" for each that is there. Returns 0, -ERR_TOOBIG if @out is full, -ERR_INVAL if a
 * value could not stand in a command line. */
int smtp_mail_params_format(const struct smtp_mail_params *params, struct buf *out);
/* With @ascii an ORCPT above ASCII is written in its ASCII form: the next hop got no SMTPUTF8. */
int smtp_rcpt_params_format(const struct smtp_rcpt_params *params, bool ascii, struct buf *out);

const char *smtp_body_name(enum smtp_body body);
