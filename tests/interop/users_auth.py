#!/usr/bin/env python3
"""users_auth.py swaks|gsasl|msmtp|many - programs of others log in by the user file, which `postern user` made.

swaks  PLAIN and LOGIN
gsasl  SCRAM-SHA-256-PLUS bound to TLS 1.3 and to TLS 1.2, and SCRAM-SHA-256 unbound
msmtp  a message behind a login, SCRAM if it has that
many   200 devices log in at once, some with wrong passwords, while other sessions are served

A wrong password is refused each time. No password is in anything that was written. Exit status 77: the program is not there. The
environment says which binary: POSTERN.
"""
import os
import shutil
import smtplib
import ssl
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import certs  # noqa: E402
from clients import SKIPPED  # noqa: E402

USER, PASSWORD, WRONG = "copier7", "xyzzy-correct-horse", "plugh-wrong-battery"
MANY, WRONG_ONES = 200, 20
CONFIG = """\
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = 1
log = { level = "debug" }
tls = { cert = "%s" }
users = { file = "users" }
listener "relay" { bind = "127.0.0.1:0", reverse_dns = false, auth = { "users" }, auth_required = true,
  auth_failures = { delay = "0s", per_address = 0, per_user = 0 }, clients = { per_client = 1000 },
  policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
route "*" { via = "[127.0.0.1]:%d" }
"""


def must(held, *words):
    if not held:
        raise b.Failure(" ".join(str(w) for w in words))


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


class World:
    def __init__(self, bed):
        self.bed = bed
        self.ca = certs.Ca(bed.dir, "ca")
        self.cert = certs.Cert(bed.dir, "relay-cert", ["localhost", "127.0.0.1"], self.ca)
        self.sink = bed.sink()
        self.users = bed.path("relay", "users")
        os.makedirs(bed.path("relay"))
        self.user("add", USER, PASSWORD)
        self.relay = bed.relay((CONFIG % (self.cert.path, self.sink.port)).replace("@DIR@", bed.path("relay")))
        self.port = self.relay.port("relay")

    def user(self, verb, name, password):
        done = subprocess.run([b.POSTERN, "user", verb, name, "--file", self.users], input=password.encode() + b"\n",
                              capture_output=True, timeout=60, check=False)
        must(done.returncode == 0, done.stderr.decode())

    def logged_in(self, mech, count=1):
        b.wait_until(lambda: "%d logins by %s in the log:\n%s" % (count, mech, self.relay.log_text()[-2000:]),
                     lambda: len(self.relay.events(event="authenticated", mech=mech, user=USER, backend="users")) == count)

    def no_secrets(self):
        for directory, _, files in os.walk(self.bed.path("relay")):
            for name in files:
                if name.endswith(".sock"):
                    continue
                with open(os.path.join(directory, name), "rb") as f:
                    text = f.read()
                for secret in (PASSWORD, WRONG):
                    must(secret.encode() not in text, "a password is in", name)
        for secret in (PASSWORD, WRONG):
            must(secret not in self.relay.log_text(), "a password is in the log")


def test_swaks(world):
    def swaks(mech, password):
        return run("swaks", "--server", "127.0.0.1:%d" % world.port, "--tls", "--auth", mech, "--auth-user", USER,
                   "--auth-password", password, "--quit-after", "AUTH")

    for mech in ("PLAIN", "LOGIN"):
        text = swaks(mech, PASSWORD)
        must("235 2.7.0 Authentication successful" in text, text)
        world.logged_in(mech)
        text = swaks(mech, WRONG)
        must("535 5.7.8" in text, text)
    must("requested type not available" in swaks("CRAM-MD5", PASSWORD), "CRAM-MD5 was offered")


def test_gsasl(world):
    def gsasl(mech, password, *more):
        return run("gsasl", "--smtp", "--connect", "localhost:%d" % world.port, "--starttls", "--x509-ca-file", world.ca.path,
                   "-m", mech, "-a", USER, "-p", password, "--verbose", *more)

    tls_1_2 = ("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2")
    for count, (mech, more) in enumerate((("SCRAM-SHA-256-PLUS", ()), ("SCRAM-SHA-256-PLUS", tls_1_2), ("SCRAM-SHA-256", ("--no-cb",)))):
        text = gsasl(mech, PASSWORD, *more)
        must("235 2.7.0" in text and "server trusted" in text, mech, more, text)
        world.logged_in(mech, 2 if count == 1 else 1)
        text = gsasl(mech, WRONG, *more)
        must("535 5.7.8" in text, mech, more, text)


def test_msmtp(world):
    for count, password in enumerate((PASSWORD, WRONG)):
        path = world.bed.path("msmtprc%d" % count)
        with open(path, "w", encoding="utf-8") as f:
            os.chmod(path, 0o600)
            f.write("defaults\naccount default\nhost localhost\nport %d\ntls on\ntls_trust_file %s\nauth on\nuser %s\npassword %s\n"
                    "from a@example.edu\n" % (world.port, world.ca.path, USER, password))
        done = subprocess.run(["msmtp", "-C", path, "b@example.org"], input=b"Subject: x\n\nhello\n", capture_output=True, timeout=60,
                              check=False)
        must((done.returncode == 0) == (count == 0), "msmtp: exit", done.returncode, done.stderr.decode())
    world.sink.wait_for(1)
    world.relay.wait_for(event="authenticated", user=USER, backend="users")


def test_many(world):
    context = ssl.create_default_context(cafile=world.ca.path)
    outcomes, lock, gate = [], threading.Lock(), threading.Barrier(MANY + 1)

    def device(number):
        with smtplib.SMTP("127.0.0.1", world.port, "device%d.example.edu" % number, 60) as client:
            client.starttls(context=context)
            client.ehlo()
            gate.wait(60)
            try:
                client.user, client.password = USER, PASSWORD if number >= WRONG_ONES else "%s-%d" % (WRONG, number)
                client.auth("PLAIN", client.auth_plain)
                outcome = "in"
            except smtplib.SMTPAuthenticationError as refused:
                outcome = refused.smtp_code
        with lock:
            outcomes.append(outcome)

    threads = [threading.Thread(target=device, args=(number,), daemon=True) for number in range(MANY)]
    for thread in threads:
        thread.start()
    gate.wait(120)
    slowest, asked, started = 0, 0, time.monotonic()
    while any(thread.is_alive() for thread in threads):
        before = time.monotonic()
        with smtplib.SMTP("127.0.0.1", world.port, "other.example.edu", 60) as other:
            must(other.ehlo()[0] == 250, "EHLO was refused")
        slowest, asked = max(slowest, time.monotonic() - before), asked + 1
        time.sleep(0.05)
        must(time.monotonic() - started < 120, "the logins take for ever")
    took = time.monotonic() - started
    must(outcomes.count("in") == MANY - WRONG_ONES and all(o in ("in", 535) for o in outcomes),
         "who got in:", sorted(set((o, outcomes.count(o)) for o in outcomes), key=str))
    # Each of the wrong ones costs a scrypt; a loop that did them itself would be silent for the time of all of them.
    must(slowest < max(1, took / 4), "a session took %.2f s of %.2f s" % (slowest, took))
    print("  %d logins in %.1f s, each of %d sessions beside them took %.3f s at most" % (MANY, took, asked, slowest))


TESTS = {"swaks": test_swaks, "gsasl": test_gsasl, "msmtp": test_msmtp, "many": test_many}


def main(name):
    if name != "many" and not shutil.which(name):
        print("skipped: %s is not installed" % name)
        return SKIPPED
    with b.Bed() as bed:
        world = World(bed)
        TESTS[name](world)
        world.no_secrets()
        print("%s: good" % name)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (b.Failure, subprocess.SubprocessError) as failure:
        sys.exit("users_auth.py: %s" % failure)
