#include "smtp/smtp_syntax.h"

const char *smtp_lax_name(unsigned bit)
{
	switch (bit) {
#define X(name, n, word)                                                                                     \
	case SMTP_LAX_##name:                                                                                \
		return word;
		SMTP_LAX_MAP(X)
#undef X
	default:
		return "";
	}
}
