#include "smtp/smtp_cmd.h"

#include "base/check.h"
#include "base/err.h"

static const struct {
	struct span name;
	enum smtp_verb_kind kind;
	enum smtp_verb_arg arg;
	size_t octets_max;
} verbs[SMTP_VERB_MAX_] = {
#define X(name, kind, arg, octets_max)                                                                       \
	[SMTP_VERB_##name] = { SPAN_INIT(#name), SMTP_VERB_IS_##kind, SMTP_ARG_##arg, octets_max },
	SMTP_VERB_MAP(X)
#undef X
};

const char *smtp_verb_name(enum smtp_verb verb)
{
	return (unsigned)verb < SMTP_VERB_MAX_ ? verbs[verb].name.p : verbs[SMTP_VERB_UNKNOWN].name.p;
}

enum smtp_verb_kind smtp_verb_kind(enum smtp_verb verb)
{
	return (unsigned)verb < SMTP_VERB_MAX_ ? verbs[verb].kind : SMTP_VERB_IS_UNKNOWN;
}

static enum smtp_verb verb_of(struct span word)
{
	for (unsigned v = SMTP_VERB_UNKNOWN + 1; v < SMTP_VERB_MAX_; v++)
		if (span_ieq(word, verbs[v].name))
			return (enum smtp_verb)v;
	return SMTP_VERB_UNKNOWN;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t blanks_at_start(struct span s)
{
	size_t n = 0;

	while (n < s.n && is_blank(s.p[n]))
		n++;
	return n;
}

static size_t word_at_start(struct span s)
{
	size_t n = 0;

	while (n < s.n && !is_blank(s.p[n]))
		n++;
	return n;
}

static int fail(const char **why_r, const char *why, int err)
{
	*why_r = why;
	return -err;
}

int smtp_cmd_parse(struct span line, unsigned flags, struct smtp_cmd *cmd_r, const char **why_r)
{
	struct smtp_cmd cmd = { 0 };

	while (line.n && is_blank(line.p[line.n - 1]))
		line.n--;
	if (line.n == 0)
		return fail(why_r, "empty command", ERR_SYNTAX);

	const size_t lead = blanks_at_start(line);
	if (lead) {
		if (!(flags & SMTP_LAX_SPACE))
			return fail(why_r, "space before the command", ERR_SYNTAX);
		cmd.tolerated |= SMTP_LAX_SPACE;
		line = span_skip(line, lead);
	}
	cmd.word = span_first(line, word_at_start(line));
	for (size_t i = 0; i < cmd.word.n; i++)
		if (cmd.word.p[i] <= ' ' || cmd.word.p[i] > '~') /* 8-bit octets are negative or above */
			return fail(why_r, "invalid character in the command", ERR_SYNTAX);
	cmd.verb = verb_of(cmd.word);

	cmd.arg = span_skip(line, cmd.word.n);
	const size_t gap = blanks_at_start(cmd.arg);
	/* More than one space is left to the argument's own parser unless it is forgiven here: a NOOP may
	 * have any text. */
	if (gap && (gap > 1 || cmd.arg.p[0] != ' ')) {
		if (flags & SMTP_LAX_SPACE) {
			cmd.tolerated |= SMTP_LAX_SPACE;
			cmd.arg = span_skip(cmd.arg, gap - 1);
		} else if (cmd.arg.p[0] != ' ') {
			return fail(why_r, "tab after the command", ERR_SYNTAX);
		}
	}
	cmd.arg = span_skip(cmd.arg, 1);
	*cmd_r = cmd;
	return 0;
}

int smtp_cmd_arg_check(struct smtp_cmd *cmd, unsigned flags, const char **why_r)
{
	switch (verbs[cmd->verb].arg) {
	case SMTP_ARG_NEEDED:
		if (cmd->arg.n)
			return 0;
		if (!(flags & SMTP_LAX_HELO) || (cmd->verb != SMTP_VERB_HELO && cmd->verb != SMTP_VERB_EHLO))
			return fail(why_r, "argument missing", ERR_INVAL);
		cmd->tolerated |= SMTP_LAX_HELO;
		return 0;
	case SMTP_ARG_NONE:
		/* RFC 5321 section 4.3.2: 501 unless an extension says otherwise. */
		if (cmd->arg.n == 0)
			return 0;
		if (!(flags & SMTP_LAX_ARGUMENT))
			return fail(why_r, "this command takes no argument", ERR_INVAL);
		cmd->tolerated |= SMTP_LAX_ARGUMENT;
		cmd->arg = span_first(cmd->arg, 0);
		return 0;
	case SMTP_ARG_ANY:
		return 0;
	}
	return 0;
}

int smtp_cmd_keyword(struct span arg, struct span keyword, unsigned flags, unsigned *tolerated,
		     const char **why_r)
{
	const struct span all = arg;
	size_t blanks = blanks_at_start(arg);

	arg = span_skip(arg, blanks);
	if (!span_istarts(arg, keyword))
		return fail(why_r, "expected FROM: after MAIL, TO: after RCPT", ERR_SYNTAX);
	arg = span_skip(arg, keyword.n);

	const size_t before_colon = blanks_at_start(arg);
	arg = span_skip(arg, before_colon);
	if (arg.n == 0 || arg.p[0] != ':')
		return fail(why_r, "expected a colon after FROM or TO", ERR_SYNTAX);
	arg = span_skip(arg, 1);

	const size_t after_colon = blanks_at_start(arg);
	arg = span_skip(arg, after_colon);
	blanks += before_colon + after_colon;
	if (blanks) {
		/* RFC 5321 section 3.3: spaces are not permitted on either side of the colon. */
		if (!(flags & SMTP_LAX_SPACE))
			return fail(why_r, "space around FROM: or TO:", ERR_SYNTAX);
		*tolerated |= SMTP_LAX_SPACE;
	}
	return (int)(all.n - arg.n);
}

size_t smtp_cmd_octets_max(struct span unread)
{
	unread = span_first(unread, SMTP_LINE_COMMAND_MAX);
	unread = span_skip(unread, blanks_at_start(unread));
	return verbs[verb_of(span_first(unread, word_at_start(unread)))].octets_max;
}

bool smtp_cmd_is_tls_hello(struct span unread)
{
	/* Record type 22 (handshake), version 3.x (RFC 8446 section 5.1). */
	return unread.n >= 3 && unread.p[0] == 0x16 && unread.p[1] == 3 && unread.p[2] >= 0 &&
	       unread.p[2] <= 4;
}
