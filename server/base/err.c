#include "base/err.h"

#include <errno.h>
#include <stdio.h>
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
	const unsigned i = err < 0 ? 0u - (unsigned)err : (unsigned)err;

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
	case ENOBUFS:
		return ERR_NOMEM;
	case ENOSPC:
	case EDQUOT:
		return ERR_NOSPACE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECANCELED:
		return ERR_CANCELED;
	case ECONNRESET:
	case ECONNABORTED:
	case ENOTCONN:
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
	case EADDRINUSE:
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
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
	case EOPNOTSUPP:
	case ENOSYS:
		return ERR_UNSUPPORTED;
	case EFBIG:
	case EMSGSIZE:
	case ENAMETOOLONG:
		return ERR_TOOBIG;
	default:
		return ERR_IO;
	}
}

int errtext_set(struct errtext *e, int err, const char *fmt, ...)
{
	if (e) {
		struct errtext made; /* the arguments may be e->s itself */
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(made.s, sizeof made.s, fmt, ap);
		va_end(ap);
		*e = made;
	}
	return err < 0 ? err : -err;
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
