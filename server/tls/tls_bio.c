/* The BIO between OpenSSL and the stream below: nothing lies in it. It reads what is unread there and writes to its out queue. */
#include "tls/tls_filter_priv.h"

enum {
	HANDSHAKE_OCTETS_MAX = 256 * 1024, /* of a peer: two ClientHellos and a chain are far less */
};

static int bio_read(BIO *bio, char *out, int n)
{
	struct tls_filter *f = BIO_get_data(bio);
	const struct span in = span_first(stream_input(f->lower), n > 0 ? (size_t)n : 0);

	BIO_clear_retry_flags(bio);
	if (f->phase == TLS_SHAKING && f->shaken_octets > HANDSHAKE_OCTETS_MAX)
		return -1;
	if (in.n == 0) {
		f->lower_ended = stream_eof(f->lower);
		if (f->lower_ended)
			return 0;
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(out, in.p, in.n);
	stream_consume(f->lower, in.n);
	if (f->phase == TLS_SHAKING)
		f->shaken_octets += (uint32_t)in.n;
	return (int)in.n;
}

static int bio_write(BIO *bio, const char *data, int n)
{
	struct tls_filter *f = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (stream_pending(f->lower) > STREAM_OUT_HIGH) {
		BIO_set_retry_write(bio);
		return -1;
	}
	return stream_write(f->lower, span_make(data, n > 0 ? (size_t)n : 0)) < 0 ? -1 : n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct tls_filter *f = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH: /* the end of the turn does it */
		return 1;
	case BIO_CTRL_EOF:
		return f->lower_ended;
	default:
		return 0;
	}
}

BIO_METHOD *tls_filter_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "postern stream");

	if (m && BIO_meth_set_read(m, bio_read) == 1 && BIO_meth_set_write(m, bio_write) == 1 &&
	    BIO_meth_set_ctrl(m, bio_ctrl) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}
