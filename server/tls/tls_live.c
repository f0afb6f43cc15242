#include <openssl/err.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_context_priv.h"
#include "tls/tls_filter_priv.h"

struct tls_live *tls_live_new(void)
{
	struct tls_live *live = mem_alloc(sizeof *live);

	atomic_init(&live->refs, 1);
	live->bio = tls_filter_bio_method();
	if (!live->bio)
		tls_live_unref(&live);
	return live;
}

struct tls_live *tls_live_ref(struct tls_live *live)
{
	atomic_fetch_add_explicit(&live->refs, 1, memory_order_relaxed);
	return live;
}

void tls_live_unref(struct tls_live **livep)
{
	struct tls_live *live = *livep;

	*livep = NULL;
	if (!live || atomic_fetch_sub_explicit(&live->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < live->nby_certs; i++)
		SSL_CTX_free(live->by_certs[i].ctx);
	SSL_CTX_free(live->ctx);
	tls_names_deinit(&live->names);
	BIO_meth_free(live->bio);
	free(live);
}
