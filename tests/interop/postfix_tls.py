#!/usr/bin/env python3
"""postfix_tls.py penn|verify_fails|stanford|uwmadison|how-to|wrong_password - a real Postfix delivers through a listener of ours, set up
as universities and a how-to tell people to set up theirs: which certificate it looks at, whether it logs in, and from what map.

penn            smtp_tls_security_level = verify, a file of CAs, a password map with the host as its key, no security options
verify_fails    the same with a CA that did not sign our certificate: the mail waits at Postfix, and nothing of it came here
stanford        smtp_tls_security_level = may, no login; once more with smtp_use_tls = yes as their lines for Postfix 2.2 have it
uwmadison       no TLS at all and opportunistic TLS of version 1.2, from a network that is known
how-to          relayhost with brackets and a port, noanonymous, may, smtp_tls_note_starttls_offer
wrong_password  the how-to's with a password that is not right: deferred with our 535, delivered once it is

Exit status 77: Postfix cannot be had here. The environment says which binary: POSTERN.
"""
import os
import smtplib
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import certs  # noqa: E402
import postfix  # noqa: E402
from clients import SKIPPED  # noqa: E402
from tls_clients import PASSWORD, WRONG, make_user, must, run  # noqa: E402

PRINCIPAL = "smtp-relay/servicename.tld.example.edu"
CONFIG = """\
hostname = "localhost"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
log = { level = "debug" }
tls = { cert = "%(cert)s" }
users = { file = "%(users)s" }
local campus = { use "relay_networks" { networks = "127.0.0.0/8" } }
listener "login" { bind = "127.0.0.1:0", reverse_dns = false, tls = "required", auth = { "users" }, auth_required = true,
  auth_failures = { delay = "0s", per_address = 0, per_user = 0 }, policies = campus }
listener "campus" { bind = "127.0.0.1:0", reverse_dns = false, tls = { mode = "optional", max = "1.2" }, policies = campus }
listener "required" { bind = "127.0.0.1:0", reverse_dns = false, tls = "required", policies = campus }
route "*" { via = "[127.0.0.1]:%(sink)d" }
"""


class World:
    def __init__(self, bed):
        self.bed = bed
        os.chmod(bed.dir, 0o755)
        self.ca = certs.Ca(bed.dir, "ca")
        self.stranger = certs.Ca(bed.dir, "stranger")
        cert = certs.Cert(bed.dir, "relay-cert", ["localhost", "127.0.0.1"], self.ca)
        make_user(bed.path("users"), PRINCIPAL)
        self.sink = bed.sink()
        self.relay = bed.relay(CONFIG % {"cert": cert.path, "users": bed.path("users"), "sink": self.sink.port})
        self.postfix = None
        self.count = 0

    def password_map(self, nexthop, password):
        """The plain file that the sources show, and postmap's."""
        path = self.bed.path("smtp_sasl_password")
        with open(path, "w", encoding="ascii") as f:
            f.write("%s %s:%s\n" % (nexthop, PRINCIPAL, password))
        status, said = run("postmap", "hash:" + path)
        must(status == 0, "postmap:", said)
        return "hash:" + path

    def start(self, listener, brackets=True, **settings):
        host = "[localhost]" if brackets else "localhost"
        nexthop = "%s:%d" % (host, self.relay.port(listener))
        if "smtp_sasl_password_maps" in settings:
            settings["smtp_sasl_password_maps"] = self.password_map(nexthop, settings["smtp_sasl_password_maps"])
        if self.postfix:
            self.postfix.stop()
        self.postfix = self.bed.keep(postfix.Postfix(self.bed.path("postfix"), relayhost=nexthop, smtp_sasl_path="smtp",
                                                     smtp_tls_loglevel="1", **settings).start())

    def send(self, subject):
        with smtplib.SMTP("127.0.0.1", self.postfix.port, "device.example.edu", 60) as client:
            client.sendmail("a@example.edu", ["b@example.org"], "Subject: %s\r\n\r\nhello\r\n" % subject)

    def delivered(self, subject, proto, tls):
        """Once more than before, with this protocol in our Received field and this TLS in our log."""
        self.count += 1
        try:
            got = self.sink.file(self.sink.wait_for(self.count)[self.count - 1]).decode()
        except b.Failure as failure:
            raise b.Failure("%s\n%s\n%s" % (failure, self.postfix.log_text()[-3000:], self.relay.log_text()[-3000:])) from failure
        must("Subject: %s\r\n" % subject in got and " with %s id " % proto in got, "expected", proto, "in\n" + got)
        b.wait_until("message_accepted", lambda: [e for e in self.relay.events(event="message_accepted", proto=proto)
                                                  if e.get("tls") == tls])
        b.wait_until("status=sent", lambda: self.postfix.log_text().count("status=sent (250 2.0.0 Ok: queued as") >= self.count)
        print("  %s: %s, %s" % (subject, proto, tls or "no TLS"), flush=True)


def penn_settings(ca):
    return {"smtp_tls_security_level": "verify", "smtp_tls_CAfile": ca.path, "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_security_options": "", "smtp_sasl_password_maps": PASSWORD}


def test_penn(world):
    # As they write it, without brackets; MX records are not looked for here.
    world.start("login", brackets=False, disable_dns_lookups="yes", **penn_settings(world.ca))
    world.send("penn")
    world.delivered("penn", "ESMTPSA", "TLSv1.3")
    world.relay.wait_for(event="authenticated", user=PRINCIPAL, backend="users")
    must("Verified TLS connection established" in world.postfix.log_text(), world.postfix.log_text()[-2000:])


def test_verify_fails(world):
    world.start("login", **penn_settings(world.stranger))
    world.send("not for a stranger")
    b.wait_until(lambda: "Postfix to defer it:\n" + world.postfix.log_text()[-3000:],
                 lambda: "status=deferred (Server certificate not verified)" in world.postfix.log_text())
    world.relay.wait_for(event="session_finished", commands=3)
    must(not world.relay.events(event="authenticated") and not world.sink.messages(), "it went to who is not verified")
    world.start("login", **penn_settings(world.ca))
    world.postfix.command("flush")
    world.delivered("not for a stranger", "ESMTPSA", "TLSv1.3")


def test_stanford(world):
    world.start("required", smtp_tls_security_level="may")
    world.send("postfix-2.3")
    world.delivered("postfix-2.3", "ESMTPS", "TLSv1.3")
    must("Untrusted TLS connection established" in world.postfix.log_text(), world.postfix.log_text()[-2000:])
    world.start("required", smtp_use_tls="yes", smtp_tls_security_level="")
    world.send("postfix-2.2")
    world.delivered("postfix-2.2", "ESMTPS", "TLSv1.3")


def test_uwmadison(world):
    world.start("campus", smtp_tls_security_level="none")
    world.send("clear")
    world.delivered("clear", "ESMTP", None)
    world.start("campus", smtp_tls_security_level="may")
    world.send("opportunistic")
    world.delivered("opportunistic", "ESMTPS", "TLSv1.2")


def how_to_settings(world, password):
    return {"mynetworks_style": "host", "smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": password,
            "smtp_sasl_security_options": "noanonymous", "smtp_tls_security_level": "may", "smtp_tls_note_starttls_offer": "yes",
            "smtp_tls_CAfile": world.ca.path}


def test_how_to(world):
    world.start("login", **how_to_settings(world, PASSWORD))
    world.send("how-to")
    world.delivered("how-to", "ESMTPSA", "TLSv1.3")
    world.relay.wait_for(event="authenticated", user=PRINCIPAL, backend="users")
    must("Trusted TLS connection established" in world.postfix.log_text(), world.postfix.log_text()[-2000:])


def test_wrong_password(world):
    world.start("login", **how_to_settings(world, WRONG))
    world.send("wrong")
    b.wait_until(lambda: "Postfix to defer it:\n" + world.postfix.log_text()[-3000:],
                 lambda: "status=deferred (SASL authentication failed" in world.postfix.log_text())
    must("535 5.7.8" in world.postfix.log_text(), world.postfix.log_text()[-2000:])
    world.relay.wait_for(event="auth_failed", user=PRINCIPAL, reason="wrong")
    must(not world.sink.messages(), "it was delivered")
    print("  a wrong password: waits with 535", flush=True)
    world.start("login", **how_to_settings(world, PASSWORD))
    world.postfix.command("flush")
    world.delivered("wrong", "ESMTPSA", "TLSv1.3")
    log = world.relay.log_text()
    must(PASSWORD not in log and WRONG not in log, "a password is in the log")


TESTS = {"penn": test_penn, "verify_fails": test_verify_fails, "stanford": test_stanford, "uwmadison": test_uwmadison,
         "how-to": test_how_to, "wrong_password": test_wrong_password}


def main(name):
    if postfix.unavailable():
        print("skipped: " + postfix.unavailable())
        return SKIPPED
    with b.Bed() as bed:
        TESTS[name](World(bed))
        print("%s: good" % name)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (b.Failure, subprocess.SubprocessError) as failure:
        sys.exit("postfix_tls.py: %s" % failure)
