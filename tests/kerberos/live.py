#!/usr/bin/env python3
"""live.py [CASE ...] - the real relay and a KDC of ours: devices log in with passwords, people with tickets, and KDCs die.

Exit status 77: no KDC is installed. The environment says which binary: POSTERN.
"""
import base64
import os
import shutil
import smtplib
import ssl
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import certs  # noqa: E402
import kdc as k  # noqa: E402

SKIPPED = 77
DEVICE, PASSWORD = "smtp-relay/scan.example.edu", "Correct-Horse-8731"
HOST = "localhost"  # what curl and msmtp can resolve, and so have a ticket for
CONFIG = """
hostname = "localhost"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
tls = { cert = "%(cert)s" }
kerberos = { keytab = "%(keytab)s", realm = "EXAMPLE.EDU", service = "smtp/localhost", krb5_conf = "%(conf)s",
  replay_cache = "none:", timeout = "5s", threads = 4 }
local mine = { use "relay_networks" { networks = "127.0.0.0/8" } }
local failures = { per_address = 0, per_user = 0, per_connection = 100, delay = "0s" }
listener "auth" { bind = "127.0.0.1:0", auth = { "kerberos", "gssapi" }, auth_required = true, auth_failures = failures,
  reverse_dns = false, policies = mine }
listener "plain" { bind = "127.0.0.1:0", tls = "off", reverse_dns = false, policies = mine }
route "*" { via = "[127.0.0.1]:%(sink)d", tls = "off" }
"""
MESSAGE = "From: <scan@example.edu>\r\nTo: <a@example.org>\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\n\r\nbody\r\n"


def expect(what, wanted, got):
    if wanted != got:
        raise b.Failure("%s: expected %r, got %r" % (what, wanted, got))


def b64(text):
    return base64.b64encode(text.encode()).decode()


class World:
    """A KDC, a sink, and relays in front of it."""

    def __init__(self, bed):
        self.bed = bed
        self.kdc = bed.keep(k.Kdc(bed.path("kdc")))
        self.kdc.start()
        self.kdc.add(DEVICE, PASSWORD)
        self.kdc.add("alice", "secret-of-alice")
        self.keytab = self.kdc.keytab("smtp/" + HOST)
        self.ca = certs.Ca(bed.dir, "ca")
        self.cert = certs.Cert(bed.dir, "relay", ["localhost", "127.0.0.1"], self.ca)
        self.sink = bed.sink()
        self.relays = 0

    def relay(self, ports=None, keytab=None):
        self.relays += 1
        name = "relay%d" % self.relays
        conf = self.kdc.conf(name + ".conf", ports or [self.kdc.port])
        return self.bed.relay(CONFIG % {"cert": self.cert.path, "keytab": keytab or self.keytab, "conf": conf, "sink": self.sink.port}, name,
                              env={"KRB5_CONFIG": conf})


def connect(relay, tls=True, source="127.0.0.1"):
    client = smtplib.SMTP("127.0.0.1", relay.port("auth"), "scan.example.edu", 60, (source, 0))
    client.ehlo()
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client.starttls(context=context)
        client.ehlo()
    return client


def plain(relay, user, password, client=None):
    """What a PLAIN login is answered, and how long that took."""
    own = client or connect(relay)
    began = time.monotonic()
    code, text = own.docmd("AUTH", "PLAIN " + b64("\0%s\0%s" % (user, password)))
    took = time.monotonic() - began
    if not client:
        own.close()
    return "%d %s" % (code, text.decode().partition("; case ")[0]), took


def run(argv, env=None, stdin=None):
    return subprocess.run(argv, input=stdin, env=env, capture_output=True, timeout=120, check=False)


def must(argv, env=None, stdin=None):
    done = run(argv, env, stdin)
    if done.returncode != 0:
        raise b.Failure("%s: exit %d\n%s%s" % (" ".join(argv), done.returncode, done.stdout.decode(errors="replace")[-3000:],
                                              done.stderr.decode(errors="replace")[-3000:]))
    return done


# ---- cases ------------------------------------------------------------------------------------------------


def passwords(w):
    """Right, and all ways of being wrong: the client hears one text, the log says which."""
    kdc = w.kdc
    kdc.add("expired", "secret-of-x", "-expire", "2001-01-01")
    kdc.add("stale", "secret-of-x", "-pwexpire", "2001-01-01")
    kdc.add("locked", "secret-of-x", "-allow_tix")
    relay = w.relay()
    client = connect(relay, tls=False)
    if client.has_extn("auth"):
        raise b.Failure("AUTH is offered before TLS")
    code = client.docmd("AUTH", "PLAIN " + b64("\0%s\0%s" % (DEVICE, PASSWORD)))[0]
    if code not in (530, 538):
        raise b.Failure("AUTH before TLS is answered %d" % code)
    client.close()
    expect("right", "235 2.7.0 Authentication successful", plain(relay, DEVICE, PASSWORD)[0])
    expect("right, in full", "235 2.7.0 Authentication successful", plain(relay, DEVICE + "@EXAMPLE.EDU", PASSWORD)[0])
    refused = plain(relay, DEVICE, "Not-The-Password-1")[0]
    expect("a refusal", "535 5.7.8 ", refused[:10])
    for user, password in (("nobody", "x"), ("expired", "secret-of-x"), ("stale", "secret-of-x"), ("locked", "secret-of-x"),
                           (DEVICE + "@EVIL.EXAMPLE", PASSWORD), ("a\\@b", "x"), (DEVICE, "")):
        expect("the answer to " + user, refused, plain(relay, user, password)[0])
    for words in ("expired", "locked"):
        relay.wait_for(event="auth_failed", reason=words)
    log = relay.log_text()
    for secret in (PASSWORD, "Not-The-Password-1", "secret-of-x", b64("\0%s\0%s" % (DEVICE, PASSWORD))):
        if secret in log:
            raise b.Failure("%r is in the log" % secret)


def login(w):
    """LOGIN as devices speak it, by a client of ours."""
    relay = w.relay()
    for shape in ("asked for both", "user with the command"):
        client = connect(relay)
        if shape == "asked for both":
            code, text = client.docmd("AUTH", "LOGIN")
            expect("the question for the user", (334, "VXNlcm5hbWU6"), (code, text.decode()))
            code, text = client.docmd(b64(DEVICE))
        else:
            code, text = client.docmd("AUTH", "LOGIN " + b64(DEVICE))
        expect("the question for the password", (334, "UGFzc3dvcmQ6"), (code, text.decode()))
        expect("the end", 235, client.docmd(b64(PASSWORD))[0])
        expect("MAIL", 250, client.docmd("MAIL FROM:<scan@example.edu>")[0])
        client.close()


def swaks(w):
    """swaks over STARTTLS with PLAIN and LOGIN; the mail arrives and says in its trace who brought it."""
    if not shutil.which("swaks"):
        return "left out: swaks is not installed"
    relay = w.relay()
    for mech in ("PLAIN", "LOGIN"):
        before = len(w.sink.messages())
        base = ["swaks", "--server", "127.0.0.1", "--port", str(relay.port("auth")), "--tls", "--auth", mech, "--auth-user", DEVICE,
                "--from", "scan@example.edu", "--to", "a@example.org", "--hide-all"]
        must(base + ["--auth-password", PASSWORD])
        message = w.sink.wait_for(before + 1)[before]
        if b"with ESMTPSA" not in w.sink.file(message):
            raise b.Failure("no ESMTPSA in %r" % w.sink.file(message)[:600])
        if run(base + ["--auth-password", "wrong"]).returncode != 28:
            raise b.Failure("swaks %s with a wrong password was not told so" % mech)
    return None


def tickets(w):
    """curl and msmtp with a ticket, and without one."""
    relay = w.relay()
    ccache = w.kdc.ticket("alice", "secret-of-alice", w.bed.path("alice.cc"))
    env = dict(w.kdc.env(), KRB5CCNAME="FILE:" + ccache)
    none = dict(env, KRB5CCNAME="FILE:" + w.bed.path("none.cc"))
    port = relay.port("auth")
    file = w.bed.path("mail")
    with open(file, "w", encoding="utf-8", newline="") as f:
        f.write(MESSAGE % "by a ticket")
    programs = {
        "curl": ["curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", w.ca.path, "--user", ":", "--login-options", "AUTH=GSSAPI",
                 "--mail-from", "alice@example.edu", "--mail-rcpt", "a@example.org", "--upload-file", file,
                 "smtp://%s:%d/client.example.edu" % (HOST, port)],
        "msmtp": ["msmtp", "--file=/dev/null", "--host=" + HOST, "--port=%d" % port, "--tls=on", "--tls-starttls=on",
                  "--tls-trust-file=" + w.ca.path, "--auth=gssapi", "--user=alice", "--from=alice@example.edu", "--", "a@example.org"],
    }
    done = []
    for name, argv in programs.items():
        if not shutil.which(name):
            continue
        before = len(w.sink.messages())
        stdin = (MESSAGE % "by a ticket").encode() if name == "msmtp" else None
        must(argv, env, stdin)
        message = w.sink.wait_for(before + 1)[before]
        if b"with ESMTPSA" not in w.sink.file(message):
            raise b.Failure("%s: no ESMTPSA in %r" % (name, w.sink.file(message)[:600]))
        if run(argv, none, stdin).returncode == 0:
            raise b.Failure("%s got in without a ticket" % name)
        done.append(name)
    return ", ".join(done)


def many(w):
    """Two hundred logins at once."""
    relay = w.relay()
    answers, lock, go = [], threading.Lock(), threading.Event()

    def one(i):
        client = connect(relay, source="127.0.1.%d" % (i % 100 + 1))  # so many connections from one address are not taken
        with lock:
            ready.append(i)
        go.wait(120)
        answer = plain(relay, DEVICE, PASSWORD if i % 4 else "Wrong-%d" % i, client)
        client.close()
        with lock:
            answers.append((answer[0][:3], i % 4 != 0))

    ready = []
    threads = [threading.Thread(target=one, args=(i,)) for i in range(200)]
    for thread in threads:
        thread.start()
    b.wait_until("200 clients that are connected", lambda: len(ready) == 200, 120)
    began = time.monotonic()
    go.set()
    for thread in threads:
        thread.join()
    wrong = [a for a in answers if a[0] != ("235" if a[1] else "535")]
    if len(answers) != 200 or wrong:
        raise b.Failure("%d answers, of which not as they should be: %r" % (len(answers), wrong[:5]))
    return "%.2f s" % (time.monotonic() - began)


def deliver(relay, seconds):
    """How many sessions with a message each, by four clients, are served within the time."""
    counts = [0] * 4
    until = time.monotonic() + seconds

    def one(i):
        while time.monotonic() < until:
            with smtplib.SMTP("127.0.0.1", relay.port("plain"), "client.example.edu", 60) as client:
                client.sendmail("a@example.edu", ["b@example.org"], MESSAGE % "rate")
            counts[i] += 1

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(counts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


class Knocking:
    """Devices that log in all the while; what they are answered and how long it took."""

    def __init__(self, relay, devices):
        self.relay, self.answers, self.ended = relay, [], False
        self.threads = [threading.Thread(target=self._knock, args=(i,)) for i in range(devices)]
        for thread in self.threads:
            thread.start()

    def _knock(self, i):
        n = 0
        while not self.ended:
            n += 1
            self.answers.append(plain(self.relay, "dev%d-%d" % (i, n), PASSWORD))
            time.sleep(0.5)

    def end(self):
        self.ended = True
        for thread in self.threads:
            thread.join()
        return self.answers


def beside_logins(relay, seconds):
    """Messages served while twelve devices log in; and what these were answered."""
    knocking = Knocking(relay, 12)
    time.sleep(0.3)
    count = deliver(relay, seconds)
    return count, knocking.end()


def silent(w, udp, tcp):
    """454 within five seconds while other sessions go on at their rate: counted in turns, beside logins that a KDC answers and beside
    those that it does not."""
    with k.SilentKdc(udp=udp, tcp=tcp) as dead:
        well, ill = w.relay(), w.relay([dead.port])
        for relay in (well, ill):
            deliver(relay, 0.5)
        answered = hanging = 0
        answers = []
        for _ in range(3):
            answered += beside_logins(well, 2)[0]
            count, more = beside_logins(ill, 2)
            hanging += count
            answers += more
        for text, took in answers:
            expect("the answer of a login", "454 4.7.0 Temporary authentication failure", text.partition(";")[0])
            if took >= 5:
                raise b.Failure("a login was answered after %.2f s" % took)
        if hanging < answered * 0.7:  # it is the same, but for what else runs on this machine
            raise b.Failure("%d messages beside logins that are answered, %d beside logins that hang" % (answered, hanging))
        quick = sum(1 for _, took in answers if took < 0.5)
    return "%d messages beside logins that are answered, %d beside %d that are not, %d of which heard so at once" % (
        answered, hanging, len(answers), quick)


def silent_udp(w):
    return silent(w, True, False)


def silent_tcp(w):
    return silent(w, False, True)


def dead_first(w):
    """With the first KDC dead, devices get in."""
    with k.SilentKdc(tcp=False) as dead:
        relay = w.relay([dead.port, w.kdc.port])
        took = []
        for i in range(5):
            w.kdc.add("first%d" % i, PASSWORD)
            text, seconds = plain(relay, "first%d" % i, PASSWORD)
            expect("a login", "235", text[:3])
            took.append(seconds)
        if max(took) >= 5 or max(took[1:]) > 2:
            raise b.Failure("it took %r s" % took)
    return " ".join("%.2f" % t for t in took)


def keytab_rotated(w):
    """The service's key is changed in the KDC, then in the file: no restart; 454 in between, never 535."""
    keytab = w.bed.path("rotated.keytab")
    shutil.copy(w.keytab, keytab)
    os.chmod(keytab, 0o600)
    relay = w.relay(keytab=keytab)
    w.kdc.add("rotated1", PASSWORD)
    w.kdc.add("rotated2", PASSWORD)
    expect("before", "235", plain(relay, "rotated1", PASSWORD)[0][:3])
    new = w.kdc.keytab("smtp/" + HOST)  # both keys are in this file now
    expect("one who was in a moment ago", "235", plain(relay, "rotated1", PASSWORD)[0][:3])
    expect("one who was not", "454", plain(relay, "rotated2", PASSWORD)[0][:3])
    shutil.copy(new, keytab + ".new")
    os.chmod(keytab + ".new", 0o600)
    os.rename(keytab + ".new", keytab)
    expect("one who was not, with the new key", "235", plain(relay, "rotated2", PASSWORD)[0][:3])


def false_kdc(w):
    """A KDC of an attacker, with a password that he chose."""
    evil = w.bed.keep(k.Kdc(w.bed.path("evil")))
    evil.start()
    evil.add(DEVICE, "The-Attackers-1")
    evil.keytab("smtp/" + HOST)
    relay = w.relay([evil.port])
    expect("the attacker's login", "454", plain(relay, DEVICE, "The-Attackers-1")[0][:3])
    if "AS_REQ" not in evil.log():
        raise b.Failure("the false KDC was not asked")


def stops(w):
    """The relay ends in time while a login is stuck, and reloads."""
    with k.SilentKdc(tcp=False) as dead:
        relay = w.relay([dead.port])
        threads = [threading.Thread(target=plain, args=(relay, "dev%d" % i, PASSWORD)) for i in range(3)]
        for thread in threads:
            thread.start()
        b.wait_until("a login that is stuck", lambda: dead.packets > 0)
        if not relay.reload():
            raise b.Failure("it does not reload")
        for thread in threads:
            thread.join()
        began = time.monotonic()
        relay.stop()
        relay.process = None
        if time.monotonic() - began > 5:
            raise b.Failure("it took %.1f s to stop" % (time.monotonic() - began))


CASES = [passwords, login, swaks, tickets, many, silent_udp, silent_tcp, dead_first, keytab_rotated, false_kdc, stops]


def main(names):
    reason = k.unavailable()
    if reason:
        print("skipped: " + reason)
        return SKIPPED
    failed = 0
    with b.Bed() as bed:
        world = World(bed)
        for case in CASES:
            if names and case.__name__ not in names:
                continue
            began = time.monotonic()
            try:
                note = case(world)
                print("ok %s (%.1f s)%s" % (case.__name__, time.monotonic() - began, ": " + note if note else ""), flush=True)
            except b.Failure as e:
                failed += 1
                print("not ok %s: %s" % (case.__name__, e), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
