/* auth/auth_global.h - Cyrus SASL, which has to be begun once per process.
 *
 * main does, before the first thread that authenticates. Nothing of Cyrus's own configuration is read: no smtpd.conf, and of its
 * plug-ins the one for sasldb alone is loaded (mechanisms are ours).
 *
 * There is no end: a thread that hangs in a read of a dead file server would find its code unloaded.
 *
 * Threads: main's.  Errors: -ERR_UNSUPPORTED, with Cyrus's words.  Tests: tests/unit/auth/test_sasldb.c
 */
#pragma once

#include "base/err.h"

int auth_global_init(struct errtext *e);
