#include "auth/auth_backend.h"

const char *auth_answer_name(enum auth_answer answer)
{
	static const char *const names[] = {
#define X(name, text) [AUTH_ANSWER_##name] = text,
		AUTH_ANSWER_MAP(X)
#undef X
	};

	return answer < AUTH_ANSWER_MAX_ ? names[answer] : "?";
}
