#!/usr/bin/env python3
"""upstream.py - the relay logs in to a Postfix with Cyrus SASL by GSSAPI, with a keytab and with a ticket of somebody else's.

Exit status 77: no KDC, no Postfix, or no GSSAPI plug-in of Cyrus SASL is installed. The environment says which binary: POSTERN.
"""
import glob
import os
import smtplib
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import certs  # noqa: E402
import dns_server  # noqa: E402
import kdc as k  # noqa: E402
import postfix  # noqa: E402

SKIPPED = 77
HOST = "up.example.net"
CONFIG = """
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
dns = { servers = "127.0.0.1:%(dns)d" }
listener "relay" { bind = "127.0.0.1:0", reverse_dns = false, policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
local tls = { level = "verify", ca = "%(ca)s" }
route "keytab.example" { via = "[up.example.net]:%(port)d", tls = tls, retry = "1h", idle_timeout = "0s",
  auth = { gssapi = { keytab = "%(keytab)s", principal = "smtp-relay/relay.example.edu" } } }
route "ticket.example" { via = "[up.example.net]:%(port)d", tls = tls, retry = "1h", idle_timeout = "0s",
  auth = { gssapi = { ccache = "FILE:%(ccache)s" } } }
route "nobody.example" { via = "[up.example.net]:%(port)d", tls = tls, retry = "1h", idle_timeout = "0s",
  auth = { gssapi = { ccache = "FILE:%(ccache)s.none" } } }
"""


def missing():
    if not glob.glob("/usr/lib/*/sasl2/libgssapiv2.so*"):
        return "libsasl2-modules-gssapi-mit is not installed"
    return k.unavailable() or postfix.unavailable()


def start_postfix(bed, kdc, ca, sink):
    keytab = kdc.keytab("smtp/" + HOST, "postfix.keytab")
    os.chmod(keytab, 0o644)  # its smtpd is another user
    for directory in (bed.dir, kdc.dir):
        os.chmod(directory, 0o755)
    cert = certs.Cert(bed.dir, "postfix", [HOST], ca)
    chain = k.write(bed.path("chain.pem"), (certs.read(cert.path[:-4] + ".key") + certs.read(cert.path[:-4] + ".crt")).decode())
    sasl = bed.path("sasl")
    os.makedirs(sasl)
    k.write(os.path.join(sasl, "smtpd.conf"), "mech_list: GSSAPI\n")
    # Cyrus SASL would take the machine's own name for the service's.
    conf = kdc.conf("postfix.conf", [kdc.port], "[libdefaults]\n ignore_acceptor_hostname = true\n")
    return bed.keep(postfix.Postfix(
        bed.path("postfix"), relayhost="[127.0.0.1]:%d" % sink.port, cyrus_sasl_config_path=sasl, smtpd_sasl_auth_enable="yes",
        smtpd_sasl_security_options="noanonymous", smtpd_sasl_authenticated_header="yes", smtpd_tls_security_level="may",
        smtpd_tls_chain_files=chain, smtpd_recipient_restrictions="permit_sasl_authenticated, reject", smtpd_tls_auth_only="yes",
        import_environment="MAIL_CONFIG KRB5_CONFIG=%s KRB5_KTNAME=%s KRB5RCACHENAME=none: TZ LANG=C" % (conf, keytab)).start())


def check(bed):
    kdc = bed.keep(k.Kdc(bed.path("kdc")))
    kdc.start()
    kdc.add("smtp-relay/relay.example.edu", "secret")
    kdc.add("bob", "secret")
    keytab = kdc.user_keytab("smtp-relay/relay.example.edu", "relay.keytab")
    ccache = kdc.ticket("bob", "secret", bed.path("bob.cc"))
    sink = bed.sink()
    ca = certs.Ca(bed.dir, "a1")
    upstream = start_postfix(bed, kdc, ca, sink)
    dns = bed.keep(dns_server.DnsServer(HOST + " A 127.0.0.1\n").start())
    relay = bed.relay(CONFIG % {"dns": dns.port, "ca": ca.path, "port": upstream.port, "keytab": keytab, "ccache": ccache},
                      env={"KRB5_CONFIG": kdc.path("krb5.conf")})
    with smtplib.SMTP("127.0.0.1", relay.port("relay"), "client.example.edu", 60) as client:
        for domain in ("keytab", "ticket", "nobody"):
            client.sendmail("a@example.edu", ["x@%s.example" % domain], "From: a@example.edu\r\nSubject: %s\r\n\r\nbody\r\n" % domain)
    try:
        messages = [sink.file(m) for m in sink.wait_for(2)]
    except b.Failure as e:
        raise b.Failure("%s\n%s\n%s" % (e, relay.log_text()[-3000:], upstream.log_text()[-3000:])) from None
    for domain, user in (("keytab", b"smtp-relay/relay.example.edu@EXAMPLE.EDU"), ("ticket", b"bob@EXAMPLE.EDU")):
        mine = [m for m in messages if b"Subject: " + domain.encode() in m]
        if len(mine) != 1 or b"(Authenticated sender: " + user.partition(b"@")[0] not in mine[0]:
            raise b.Failure("%s: not by %r:\n%r" % (domain, user, mine))
    relay.wait_for(event="attempt_finished", to="x@nobody.example", status="deferred")
    if "bob.cc.none" not in relay.log_text():
        raise b.Failure("the log does not name the tickets that are not there:\n" + relay.log_text()[-3000:])


def main():
    reason = missing()
    if reason:
        print("skipped: " + reason)
        return SKIPPED
    with b.Bed() as bed:
        try:
            check(bed)
            print("ok")
        except b.Failure as e:
            print("not ok %s" % e)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
