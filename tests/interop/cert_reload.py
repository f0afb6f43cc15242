#!/usr/bin/env python3
"""cert_reload.py - certificate and key are replaced under 1,000 open TLS sessions: none is dropped, all of them still take commands,
some of them mail, and who connects gets the new certificate within a second. Before that a key that does not fit is put there, which
changes nothing.

Where the limit of open files forbids so many sessions, there are fewer, and it says so. The environment says which binary: POSTERN.
"""
import os
import resource
import ssl
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import pki  # noqa: E402

SESSIONS, SENDERS, WITHIN_S = 1000, 50, 1.0
CONFIG = """\
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = 2
tls = { cert = "%(dir)s/relay.pem", key = "%(dir)s/relay.key" }
local function open(name, mode)
  listener(name) { bind = "127.0.0.1:0", reverse_dns = false, tls = mode, clients = { per_client = 5000, total = 5000 },
    policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
end
open("starttls", "required")
open("implicit", "implicit")
route "*" { via = "[127.0.0.1]:%(sink)d" }
"""


def must(held, *words):
    if not held:
        raise b.Failure(" ".join(str(w) for w in words))


def sessions_that_fit():
    """Files of this process and of the relay, which inherits the limit: one for each session, and some for all else."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SESSIONS + 500
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < wanted:
        print("  only %d files may be open" % limit)
    return min(SESSIONS, limit - 500 if limit > 600 else limit // 2)


def connect(relay, listener, ca):
    """A session that has said EHLO under TLS, and the certificate it was shown."""
    client = b.Client(relay.port(listener), timeout=30)
    if listener == "starttls":
        client.reply()
        client.command("EHLO client.example.edu")
        must(client.command("STARTTLS") == ["220 2.0.0 Ready to start TLS"], "STARTTLS was refused")
    client.starttls(ca=ca)
    if listener == "implicit":
        client.reply()
    reply = client.command("EHLO client.example.edu")
    must(reply and reply[-1].startswith("250 "), "EHLO:", reply)
    return client, client.socket.getpeercert(True)


def certificate(certs):
    with open(certs.path("relay.pem"), encoding="ascii") as f:
        return ssl.PEM_cert_to_DER_cert(f.read())


def command(client, text, code):
    reply = client.command(text)
    must(reply and reply[-1].startswith(code), text, "in an old session:", reply)


def old_sessions_work(sessions, count):
    for client in sessions:
        command(client, "NOOP", "250")
    for client in sessions[:count]:
        command(client, "MAIL FROM:<a@example.edu>", "250")
        command(client, "RCPT TO:<b@example.org>", "250")
        command(client, "DATA", "354")
        command(client, "Subject: old session\r\n\r\nhello\r\n.", "250")


def main():
    count = sessions_that_fit()
    with b.Bed() as bed:
        certs = pki.Pki(bed.path("certs"))
        certs.ca("ca")
        certs.cert("relay", alt="DNS:relay.example.edu", by="ca")
        first, ca = certificate(certs), certs.path("ca.pem")
        sink = bed.sink()
        relay = bed.relay(CONFIG % {"dir": certs.dir, "sink": sink.port})
        sessions = []
        for i in range(count):
            client, shown = connect(relay, "implicit" if i % 2 else "starttls", ca)
            must(shown == first, "a certificate from nowhere")
            sessions.append(client)
        print("  %d sessions are open" % count, flush=True)

        # A pair that does not fit: who connects gets what there was.
        certs.key("other")
        with open(certs.path("relay.key"), "rb") as f:
            key = f.read()
        os.replace(certs.path("other.key"), certs.path("relay.key"))
        relay.wait_for(event="tls_reload_failed")
        for listener in ("starttls", "implicit"):
            must(connect(relay, listener, ca)[1] == first, "a key that does not fit was taken")
        with open(certs.path("relay.key"), "wb") as f:
            f.write(key)
        print("  a key that does not fit: refused, the old certificate goes on", flush=True)

        certs.cert("relay", alt="DNS:relay.example.edu", by="ca")
        replaced, second = time.monotonic(), certificate(certs)
        must(first != second, "the certificates are the same")
        seen = {}
        while len(seen) < 2 and time.monotonic() < replaced + 15:
            for listener in {"starttls", "implicit"} - set(seen):
                began = time.monotonic()
                client, shown = connect(relay, listener, ca)
                client.close()
                must(shown in (first, second), "a certificate from nowhere")
                if shown == second:
                    seen[listener] = began - replaced
        must(len(seen) == 2, "the new certificate did not come:", relay.log_text()[-3000:])
        # Each worker has it: as many connections as it takes to meet both.
        for _ in range(20):
            client, shown = connect(relay, "starttls", ca)
            client.close()
            must(shown == second or time.monotonic() < replaced + WITHIN_S, "a worker still has the old certificate")
        late = {name: after for name, after in seen.items() if after > WITHIN_S}
        must(not late, "the new certificate came after seconds:", late)
        print("  the new certificate: after %s" % ", ".join("%.2f s (%s)" % (s, n) for n, s in sorted(seen.items())), flush=True)

        old_sessions_work(sessions, SENDERS)
        sink.wait_for(SENDERS)
        must(all(c.socket.getpeercert(True) == first for c in sessions[:5]), "an old session changed its certificate")
        for client in sessions:
            command(client, "QUIT", "221")
        print("  all %d old sessions took commands, %d of them mail, and ended with QUIT" % (count, SENDERS))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (b.Failure, ssl.SSLError) as failure:
        sys.exit("cert_reload.py: %s" % failure)
