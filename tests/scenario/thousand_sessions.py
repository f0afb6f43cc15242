#!/usr/bin/env python3
"""thousand_sessions.py - a certificate is replaced under 1,000 open sessions: none is dropped, and a new one has the new certificate
within a second or two (in the environment: POSTERN=path)."""
import os
import resource
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from bed import Bed, Client, Failure, wait_until  # pylint: disable=wrong-import-position
from pki import Pki  # pylint: disable=wrong-import-position

SESSIONS = 1000
CONFIG = """hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = 1
tls = { cert = "relay.pem", key = "relay.key" }
listener "l" { bind = "127.0.0.1:0", reverse_dns = false, tls = "implicit", clients = { per_client = 100000, total = 100000 },
  timeouts = { command = "10m" } }
"""


def serial(client):
    return client.tls()["serial"]


def open_session(relay, pki):
    c = Client(relay.port("l"), timeout=60)
    c.starttls(ca=pki.path("ca.pem"))
    c.reply()
    return c


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < SESSIONS + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, SESSIONS + 1000), hard))
    with Bed() as bed:
        pki = Pki(bed.path("relay"))
        pki.ca("ca")
        pki.cert("relay", "DNS:relay.example.edu", by="ca")
        relay = bed.relay(CONFIG)
        clients = [open_session(relay, pki) for _ in range(SESSIONS)]
        old = serial(clients[0])
        pki.cert("relay", "DNS:relay.example.edu", by="ca")
        new = "%X" % int(pki.serial("relay"), 16)
        began = time.monotonic()
        wait_until("the new certificate", lambda: serial(open_session(relay, pki)) == new, 20)
        took = time.monotonic() - began
        relay.wait_for(event="tls_reloaded", listener="l")
        for c in clients:
            c.send(b"NOOP\r\n")
        dropped = sum(1 for c in clients if c.reply() != ["250 2.0.0 Ok"])
        print("%d sessions, %d dropped; the new certificate after %.2f s; %s -> %s" % (len(clients), dropped, took, old, new))
        if dropped or serial(clients[-1]) != old:
            raise Failure("%d sessions were dropped" % dropped)
        if took > 3:  # half a second is what it looks for; the machine may be busy
            raise Failure("the new certificate took %.1f s" % took)
        for c in clients:
            c.close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(failure)
        sys.exit(1)
