#include "auth/auth_gss.h"

#include <stdio.h>

enum { STORE_MAX = 4, WORDS_MAX = 240 };

bool auth_gss_is_krb5(gss_const_OID mech)
{
	return mech && mech->length == gss_mech_krb5->length &&
	       memcmp(mech->elements, gss_mech_krb5->elements, mech->length) == 0;
}

static bool words(OM_uint32 status, int kind, char *text, size_t max)
{
	gss_buffer_desc out = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, more = 0;

	if (GSS_ERROR(gss_display_status(&minor, status, kind, gss_mech_krb5, &more, &out)))
		return false;
	(void)snprintf(text, max, "%.*s", SPAN_ARG(auth_gss_span(&out)));
	gss_release_buffer(&minor, &out);
	return true;
}

void auth_gss_say(OM_uint32 major, OM_uint32 minor, const char *what, char *why, size_t max)
{
	char text[WORDS_MAX] = "unknown error";

	/* The mechanism says more than the library, if it says anything. */
	if (!minor || !words(minor, GSS_C_MECH_CODE, text, sizeof text) || strcmp(text, "Success") == 0)
		words(major, GSS_C_GSS_CODE, text, sizeof text);
	(void)snprintf(why, max, "%s: %s", what, text);
}

int auth_gss_name(const char *principal, gss_name_t *name_r, struct errtext *e)
{
	gss_buffer_desc text = auth_gss_buffer(span_of(principal));
	OM_uint32 minor;
	const OM_uint32 major =
		gss_import_name(&minor, &text, (gss_OID)(uintptr_t)GSS_KRB5_NT_PRINCIPAL_NAME, name_r);

	return GSS_ERROR(major) ? errtext_set(e, ERR_INVAL, "%.150s: not a principal", principal) : 0;
}

int auth_gss_name_text(gss_name_t name, char *text, size_t max)
{
	gss_buffer_desc out = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;
	int err = 0;

	if (name == GSS_C_NO_NAME || GSS_ERROR(gss_display_name(&minor, name, &out, NULL)))
		return -ERR_INVAL;
	if (out.length >= max || memchr(out.value, '\0', out.length)) {
		err = -ERR_TOOBIG;
	} else {
		memcpy(text, out.value, out.length);
		text[out.length] = '\0';
	}
	gss_release_buffer(&minor, &out);
	return err;
}

OM_uint32 auth_gss_acquire(OM_uint32 *minor, gss_name_t name, gss_cred_usage_t usage,
			   const struct auth_gss_store *store, gss_cred_id_t *cred_r)
{
	const struct {
		const char *key, *value;
	} all[STORE_MAX] = {
		{ "keytab", store->keytab },
		{ "client_keytab", store->client_keytab },
		{ "ccache", store->ccache },
		{ "rcache", store->rcache },
	};
	gss_key_value_element_desc elements[STORE_MAX];
	gss_key_value_set_desc set = { .elements = elements };
	gss_OID_set_desc mechs = { .count = 1, .elements = (gss_OID)(uintptr_t)gss_mech_krb5 };

	for (size_t i = 0; i < STORE_MAX; i++)
		if (all[i].value)
			elements[set.count++] =
				(gss_key_value_element_desc){ .key = all[i].key, .value = all[i].value };
	return gss_acquire_cred_from(minor, name, GSS_C_INDEFINITE, &mechs, usage, &set, cred_r, NULL, NULL);
}
