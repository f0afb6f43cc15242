/* Whatever a client calls itself, what we take for a principal is one to libkrb5 as well, of our realm, with the same text: nobody
 * gets past the look at the realm by being read twice. */
#include <krb5.h>
#include <stdlib.h>

#include "auth/auth_principal.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char realm[] = "EXAMPLE.EDU";
	const struct span user = span_make(data, n);
	struct auth_identity id;
	const char *why = NULL;
	krb5_context ctx;
	krb5_principal principal;
	char *text = NULL;

	if (auth_principal_parse(user, span_of(realm), &id, &why) < 0) {
		require(why && *why);
		return 0;
	}
	require(strcmp(id.realm, realm) == 0);
	require(auth_principal_name(&id).n > 0 && auth_principal_name(&id).n <= n);
	require(krb5_init_context(&ctx) == 0);
	require(krb5_parse_name(ctx, id.user, &principal) == 0);
	require(span_eq(span_make(principal->realm.data, principal->realm.length), span_of(realm)));
	require(krb5_unparse_name(ctx, principal, &text) == 0);
	require(strcmp(text, id.user) == 0);
	krb5_free_unparsed_name(ctx, text);
	krb5_free_principal(ctx, principal);
	krb5_free_context(ctx);
	return 0;
}
