#!/usr/bin/env python3
"""tls_clients.py swaks|msmtp|curl|clear - mail programs of others behind TLS with a login: STARTTLS and TLS from the first octet, users
in Postern's own file and in a sasldb that saslpasswd2 made.

swaks, msmtp, curl   each of their mechanisms that we have delivers a message; those that we do not have find nothing to use; a wrong
                     password is refused with 535; a certificate of a stranger ends the attempt before the password
clear                AUTH before TLS: refused by each kind of listener, wherever the password stands, and never logged

Exit status 77: a program is not there. The environment says which binary: POSTERN.
"""
import base64
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import certs  # noqa: E402
from clients import SKIPPED  # noqa: E402

USER, PASSWORD, WRONG = "supercoolusername", "xyzzy-correct-horse", "plugh-wrong-battery"
MESSAGE = "From: <a@example.edu>\r\nTo: <b@example.org>\r\nSubject: %s\r\nMessage-ID: <%s@example.edu>\r\n\r\nhello\r\n"
# Waits and bans are what other tests are about.
CONFIG = """\
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
log = { level = "debug" }
tls = { cert = "%(cert)s" }
users = { file = "%(users)s" }
sasldb = { path = "%(sasldb)s", realm = "relay.example.edu" }
local function open(name, mode, backend)
  listener(name) { bind = "127.0.0.1:0", reverse_dns = false, tls = mode, auth = { backend }, auth_required = true,
    auth_failures = { delay = "0s", per_address = 0, per_user = 0 },
    policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
end
for _, backend in ipairs { "users", "sasldb" } do
  open("starttls_" .. backend, "required", backend)
  open("optional_" .. backend, "optional", backend)
  open("implicit_" .. backend, "implicit", backend)
end
listener "off" { bind = "127.0.0.1:0", reverse_dns = false, tls = "off",
  policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
route "*" { via = "[127.0.0.1]:%(sink)d" }
"""


def must(held, *words):
    if not held:
        raise b.Failure(" ".join(str(w) for w in words))


def run(*argv, stdin=b""):
    """(exit status, all that it said)"""
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def make_user(path, user=USER, password=PASSWORD):
    status, said = run(b.POSTERN, "user", "add", user, "--file", path, stdin=password.encode() + b"\n")
    must(status == 0, "postern user add:", said)


def make_sasldb(path, realm, user=USER, password=PASSWORD):
    status, said = run("saslpasswd2", "-p", "-c", "-f", path, "-u", realm, user, stdin=password.encode())
    must(status == 0, "saslpasswd2:", said)


class World:
    """A relay with a listener of each kind, and a sink behind it."""

    def __init__(self, bed):
        self.bed = bed
        self.ca = certs.Ca(bed.dir, "ca")
        self.stranger = certs.Ca(bed.dir, "stranger")
        cert = certs.Cert(bed.dir, "relay-cert", ["localhost", "127.0.0.1"], self.ca)
        paths = {"cert": cert.path, "users": bed.path("users"), "sasldb": bed.path("sasldb2")}
        make_user(paths["users"])
        make_sasldb(paths["sasldb"], "relay.example.edu")
        self.sink = bed.sink()
        self.relay = bed.relay(CONFIG % dict(paths, sink=self.sink.port))
        self.count = 0

    def port(self, listener):
        return self.relay.port(listener)

    def delivered(self, subject, mech, backend):
        """That one message more is at the sink, by whom and how it came."""
        self.count += 1
        got = self.sink.file(self.sink.wait_for(self.count)[self.count - 1]).decode()
        must("Subject: %s\r\n" % subject in got and "with ESMTPSA id" in got and "(using TLSv1.3" in got, subject, "is:\n" + got)
        found = self.relay.wait_for(event="authenticated", mech=mech, backend=backend)
        must(len(found) >= 1 and all(e["user"].startswith(USER) for e in found), found)

    def nothing_more(self):
        must(len(self.sink.messages()) == self.count, "there are", len(self.sink.messages()), "messages, not", self.count)

    def no_secrets(self):
        log = self.relay.log_text()
        for password in (PASSWORD, WRONG):
            for text in [password] + [base64.b64encode((before + password).encode()).decode().rstrip("=")
                                      for before in ("", "\0%s\0" % USER)]:
                must(text not in log, "a password is in the log:", [line for line in log.split("\n") if text in line][:2])


class Swaks:
    mechanisms = ("PLAIN", "LOGIN")
    others = ("CRAM-MD5", "DIGEST-MD5", "CRAM-SHA1", "NTLM")

    def send(self, world, listener, mech, password, subject, ca):
        message = world.bed.path("message")
        with open(message, "w", encoding="ascii", newline="") as f:
            f.write((MESSAGE % (subject, subject)).replace("\r\n", "\n"))
        return run("swaks", "--server", "127.0.0.1", "--port", str(world.port(listener)), "--helo", "client.example.edu", "--from",
                   "a@example.edu", "--to", "b@example.org", "--tls-on-connect" if listener.startswith("implicit") else "--tls",
                   "--tls-verify", "--tls-ca-path", ca.path, "--auth", mech, "--auth-user", USER, "--auth-password", password,
                   "--data", "@" + message)

    def refused(self, status, said):
        return status == 28 and "<~* 535" in said

    def unable(self, status, said):
        return status in (10, 28) and "535" not in said  # 10: it has the mechanism with more Perl modules than are here


class Msmtp:
    mechanisms = ("PLAIN", "LOGIN", "SCRAM-SHA-256")
    others = ("CRAM-MD5", "SCRAM-SHA-1", "DIGEST-MD5", "NTLM", "XOAUTH2", "OAUTHBEARER")

    def send(self, world, listener, mech, password, subject, ca):
        return run("msmtp", "--file=/dev/null", "--host=localhost", "--port=%d" % world.port(listener), "--domain=client.example.edu",
                   "--auth=" + mech.lower(), "--user=" + USER, "--passwordeval=echo " + password, "--tls=on", "--tls-trust-file=" + ca.path,
                   "--tls-starttls=" + ("off" if listener.startswith("implicit") else "on"), "--from=a@example.edu", "--",
                   "b@example.org", stdin=(MESSAGE % (subject, subject)).replace("\r\n", "\n").encode())

    def refused(self, status, said):
        return status == 77 and "535" in said

    def unable(self, status, said):
        return status != 0 and "535" not in said


class Curl:
    mechanisms = ("PLAIN", "LOGIN")
    others = ("CRAM-MD5", "DIGEST-MD5", "NTLM", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-256")

    def send(self, world, listener, mech, password, subject, ca):
        message = world.bed.path("message")
        with open(message, "w", encoding="ascii", newline="") as f:
            f.write(MESSAGE % (subject, subject))
        url = "%s://127.0.0.1:%d/client.example.edu" % ("smtps" if listener.startswith("implicit") else "smtp", world.port(listener))
        return run("curl", "--silent", "--show-error", "--verbose", "--ssl-reqd", "--cacert", ca.path, "--user", USER + ":" + password,
                   "--login-options", "AUTH=" + mech, "--mail-from", "a@example.edu", "--mail-rcpt", "b@example.org", "--upload-file",
                   message, url)

    def refused(self, status, said):
        return status == 67 and "< 535" in said

    def unable(self, status, said):
        return status != 0 and "535" not in said


def test_program(world, program):
    for backend in ("users", "sasldb"):
        for mode in ("starttls", "implicit"):
            listener = mode + "_" + backend
            mechanisms = [m for m in program.mechanisms if backend == "users" or not m.startswith("SCRAM")]
            for mech in mechanisms:
                subject = "%s-%s" % (listener, mech)
                status, said = program.send(world, listener, mech, PASSWORD, subject, world.ca)
                must(status == 0, subject, "exit", status, said[-3000:], world.relay.log_text()[-3000:])
                world.delivered(subject, mech, backend)
            status, said = program.send(world, listener, program.mechanisms[0], WRONG, "wrong", world.ca)
            must(program.refused(status, said), listener, "a wrong password: exit", status, said[-3000:])
            world.relay.wait_for(event="auth_failed", backend=backend, reason="wrong")
            print("  %s: %s; a wrong password: 535" % (listener, " ".join(mechanisms)), flush=True)
    for mech in program.others:
        status, said = program.send(world, "starttls_users", mech, PASSWORD, mech, world.ca)
        must(program.unable(status, said), mech, "is not offered: exit", status, said[-3000:])
    print("  not offered and not used: %s" % " ".join(program.others), flush=True)
    for mode in ("starttls", "implicit"):
        status, said = program.send(world, mode + "_users", program.mechanisms[0], PASSWORD, "stranger", world.stranger)
        must(status != 0, mode, "a certificate by somebody else:", said[-3000:])
    # One more that is good: the log is complete up to that.
    program.send(world, "starttls_users", "PLAIN", PASSWORD, "last", world.ca)
    world.delivered("last", "PLAIN", "users")
    b.wait_until("the last login in the log", lambda: len(world.relay.events(event="authenticated")) >= world.count)
    must(len(world.relay.events(event="authenticated")) == world.count, "somebody logged in:", world.relay.events(event="authenticated"))
    world.nothing_more()
    print("  a certificate by somebody else: no login")


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_clear(world, _):
    for listener, code in (("starttls_users", "530 5.7.0 Must issue a STARTTLS command first"), ("optional_users", "538 5.7.11 "),
                           ("optional_sasldb", "538 5.7.11 "), ("off", "5")):
        for words in ("PLAIN " + b64("\0%s\0%s" % (USER, PASSWORD)), "LOGIN " + b64(PASSWORD), "PLAIN", "LOGIN",
                      "SCRAM-SHA-256 " + b64("n,,n=%s,r=%s" % (USER, PASSWORD)), "PLAIN " + PASSWORD):
            client = b.Client(world.port(listener))
            client.reply()
            must(not [line for line in client.command("EHLO client.example.edu") if "AUTH" in line], listener, "offers AUTH in clear")
            reply = client.command("AUTH " + words)
            must(reply and reply[0].startswith(code), listener, "AUTH", words.split()[0], "in clear: expected", code, "got", reply)
            must(PASSWORD not in str(reply) and b64(PASSWORD) not in str(reply), "the reply repeats it", reply)
            if len(words.split()) == 1:
                # Who does not listen goes on: the next lines are its name and password.
                for line in (b64(USER), b64(PASSWORD), PASSWORD):
                    answer = client.command(line)
                    must(answer and answer[0].startswith("5") and PASSWORD not in str(answer) and b64(PASSWORD) not in str(answer),
                         listener, "the reply to", line, "is", answer)
            client.close()
        print("  %s: AUTH in clear is refused" % listener, flush=True)
    must(not world.relay.events(event="authenticated"), "somebody logged in")
    world.nothing_more()


TESTS = {"swaks": Swaks, "msmtp": Msmtp, "curl": Curl, "clear": None}


def main(name):
    for program in ["saslpasswd2"] + ([name] if TESTS[name] else []):
        if not shutil.which(program):
            print("skipped: %s is not installed" % program)
            return SKIPPED
    with b.Bed() as bed:
        world = World(bed)
        if TESTS[name]:
            test_program(world, TESTS[name]())
        else:
            test_clear(world, None)
        world.no_secrets()
        print("%s: %d messages delivered, no password in the log" % (name, world.count))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (b.Failure, subprocess.SubprocessError) as failure:
        sys.exit("tls_clients.py: %s" % failure)
