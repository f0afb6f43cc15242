/* session_table.c - which command may come when, who is asked about it, and what it does: nowhere else. */
#include "session/session_priv.h"

#define IN(phase) (1u << SESSION_PHASE_##phase)
#define GREETED   (IN(READY) | IN(MAIL) | IN(RCPT))
#define ANY       (IN(HELO) | GREETED)
#define EVER      (ANY | IN(BDAT) | IN(REFUSED))

/* clang-format off */
static const struct session_cmd commands[] = {
	/* verb                 allowed in           hooked hook        idle   clear  check               apply */
	{ SMTP_VERB_HELO,       ANY | IN(BDAT),      true,  HOOK_HELO,  true,  true,  cmd_helo_check,     cmd_helo_apply },
	{ SMTP_VERB_EHLO,       ANY | IN(BDAT),      true,  HOOK_HELO,  true,  true,  cmd_helo_check,     cmd_helo_apply },
	{ SMTP_VERB_MAIL,       IN(READY),           true,  HOOK_MAIL,  false, false, cmd_mail_check,     cmd_mail_apply },
	{ SMTP_VERB_RCPT,       IN(MAIL) | IN(RCPT), true,  HOOK_RCPT,  false, false, cmd_rcpt_check,     cmd_rcpt_apply },
	{ SMTP_VERB_DATA,       GREETED,             true,  HOOK_DATA,  false, false, cmd_data_check,     cmd_data_apply },
	{ SMTP_VERB_BDAT,       ANY | IN(BDAT),      true,  HOOK_DATA,  false, false, cmd_bdat_check,     cmd_bdat_apply },
	{ SMTP_VERB_RSET,       ANY | IN(BDAT),      false, HOOK_MAX_,  true,  true,  NULL,               cmd_rset_apply },
	{ SMTP_VERB_NOOP,       ANY | IN(BDAT),      false, HOOK_MAX_,  true,  true,  NULL,               cmd_noop_apply },
	{ SMTP_VERB_VRFY,       ANY | IN(BDAT),      false, HOOK_MAX_,  true,  false, NULL,               cmd_vrfy_apply },
	{ SMTP_VERB_EXPN,       ANY | IN(BDAT),      false, HOOK_MAX_,  true,  false, NULL,               cmd_expn_apply },
	{ SMTP_VERB_HELP,       ANY | IN(BDAT),      false, HOOK_MAX_,  true,  true,  NULL,               cmd_help_apply },
	{ SMTP_VERB_ETRN,       IN(READY),           false, HOOK_MAX_,  true,  false, cmd_etrn_check,     cmd_etrn_apply },
	{ SMTP_VERB_QUIT,       EVER,                false, HOOK_MAX_,  false, true,  NULL,               cmd_quit_apply },
	{ SMTP_VERB_AUTH,       ANY,                 false, HOOK_MAX_,  true,  false, cmd_auth_check,     cmd_auth_apply },
	{ SMTP_VERB_STARTTLS,   ANY,                 false, HOOK_MAX_,  true,  true,  cmd_starttls_check, cmd_starttls_apply },
};
/* clang-format on */

const struct session_cmd *session_cmd_find(enum smtp_verb verb)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].verb == verb)
			return &commands[i];
	return NULL;
}
