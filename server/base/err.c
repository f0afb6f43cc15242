#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *text;
	enum err_class class;
} map[ERR_MAX_] = {
#define X(name, class, text) { #name, text, ERR_CLASS_##class },
	ERR_MAP(X)
#undef X
};

static unsigned index_of(int err)
{
	const unsigned i = (unsigned)abs(err);

	return i < ERR_MAX_ ? i : ERR_BUG;
}

const char *err_name(int err)
{
	return map[index_of(err)].name;
}

const char *err_text(int err)
{
	return map[index_of(err)].text;
}

enum err_class err_class(int err)
{
	return map[index_of(err)].class;
}

int err_from_errno(int errno_value)
{
	switch (errno_value) {
	case 0:
		return ERR_NONE;
	case EAGAIN:
	case EINTR:
		return ERR_AGAIN;
	case ENOMEM:
		return ERR_NOMEM;
	case ENOSPC:
	case EDQUOT:
		return ERR_NOSPACE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECANCELED:
		return ERR_CANCELED;
	case ECONNRESET:
	case EPIPE:
		return ERR_CLOSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL:
		return ERR_UNREACH;
	case ECONNREFUSED:
		return ERR_REFUSED;
	case EBUSY:
		return ERR_BUSY;
	case EMFILE:
	case ENFILE:
		return ERR_LIMIT;
	case ENOENT:
		return ERR_NOTFOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EINVAL:
		return ERR_INVAL;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	default:
		return ERR_IO;
	}
}

int errtext_set(struct errtext *e, int err, const char *fmt, ...)
{
	if (e) {
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(e->s, sizeof e->s, fmt, ap);
		va_end(ap);
	}
	return -abs(err);
}

void errtext_wrap(struct errtext *e, const char *fmt, ...)
{
	char all[sizeof e->s];
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	const int n = vsnprintf(all, sizeof all, fmt, ap);
	va_end(ap);
	size_t at = n < 0 ? 0 : (size_t)n < sizeof all ? (size_t)n : sizeof all - 1;
	for (const char *p = ": "; *p && at + 1 < sizeof all; p++)
		all[at++] = *p;
	for (const char *p = e->s; *p && at + 1 < sizeof all; p++)
		all[at++] = *p;
	all[at] = 0;
	memcpy(e->s, all, at + 1);
}
