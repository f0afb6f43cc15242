#!/usr/bin/env python3
"""forced_tls_capture.py - what goes over the wire to next hops for which TLS is forced, as tcpdump sees it.

One has no TLS, one hangs up at STARTTLS, one has a certificate for another name. Nothing of envelope or body may be in the capture,
then or when they have mended it and what was held is delivered. Exit status 77: no tcpdump, or it may not listen. The environment
says which binary: POSTERN.
"""
import os
import shutil
import smtplib
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import certs  # noqa: E402
from clients import SKIPPED  # noqa: E402
from scripted import ScriptedServer  # noqa: E402

PLANTED = [b"planted-sender", b"planted-rcpt", b"planted-subject", b"planted-body", b"MAIL FROM", b"RCPT TO"]

CONFIG = """\
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = 1
listener "relay" { bind = "127.0.0.1:0", reverse_dns = false, policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
"""

GREETING = ["S: 220 mx", "C: EHLO *", "S: 250-mx", "S: 250 STARTTLS", "C: STARTTLS"]
FAILING = {
    "none": ["S: 220 mx", "C: EHLO *", "S: 250-mx", "S: 250 PIPELINING", "C: QUIT"],
    "drops": GREETING + ["close"],
    "wrong": GREETING + ["S: 220 go", "tls WRONG fails"],
}
MENDED = GREETING + ["S: 220 go", "tls GOOD", "C: EHLO *", "S: 250 mx", "C: MAIL FROM:<planted-sender@example.edu>", "S: 250 ok",
                     "C: RCPT TO:<planted-rcpt@*", "S: 250 ok", "C: DATA", "S: 354 go", "D:", "S: 250 ok"]


class Capture:
    def __init__(self, path, ports):
        self.path = path
        self.filter = " or ".join("tcp port %d" % port for port in ports)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "--immediate-mode", "-s", "0", "-w", self.path, "-Z", "root", self.filter],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while True:
            line = self.process.stderr.readline()
            if b"listening on" in line:
                return True
            if not line:
                return False

    def stop(self):
        if self.process.poll() is None:
            time.sleep(0.5)
            self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()

    def octets(self):
        with open(self.path, "rb") as f:
            return f.read()


def main():
    if not shutil.which("tcpdump"):
        print("skipped: tcpdump is not installed")
        return SKIPPED
    with b.Bed() as bed:
        ca = certs.Ca(bed.dir, "ca")
        files = {"GOOD": certs.Cert(bed.dir, "good", ["mx.partner.example"], ca).path,
                 "WRONG": certs.Cert(bed.dir, "wrong", ["elsewhere.example"], ca).path}

        def dialogue(lines):
            return [(i, " ".join(files.get(word, word) for word in line.split(" "))) for i, line in enumerate(lines)]

        servers = {name: bed.keep(ScriptedServer("forced_tls_capture.py").start()) for name in FAILING}
        capture = Capture(bed.path("lo.pcap"), [server.port for server in servers.values()])
        if not capture.start():
            print("skipped: tcpdump may not listen")
            return SKIPPED
        bed.keep(capture)
        config = CONFIG
        for name, server in servers.items():
            server.add(dialogue(FAILING[name]))
            config += ('route "%s.example" { via = "[127.0.0.1]:%d", retry = "1h", tls = { level = "verify", ca = "%s", names = "mx.partner.example" } }\n'
                       % (name, server.port, ca.path))
        relay = bed.relay(config)
        with smtplib.SMTP("127.0.0.1", relay.port("relay"), "client.example.edu", 30) as client:
            client.sendmail("planted-sender@example.edu", ["planted-rcpt@%s.example" % name for name in servers],
                            b"Subject: planted-subject\r\n\r\nplanted-body\r\n")
        relay.wait_for(event="attempt_finished", status="deferred", reason="tls_required", to="planted-rcpt@none.example")
        for name, server in servers.items():
            relay.wait_for(event="attempt_finished", status="deferred", reason="tls_required", to="planted-rcpt@%s.example" % name)
            server.wait_done()
            server.add(dialogue(MENDED))
            relay.cli("queue", "retry", "--domain", name + ".example", "--reason", "mended")
            relay.wait_for(event="attempt_finished", status="sent", to="planted-rcpt@%s.example" % name, tls_level="verify")

        def complete():
            seen = capture.octets()
            return seen.count(b"EHLO relay.example.edu") >= 2 * len(servers) and seen.count(b"STARTTLS") >= len(servers)

        b.wait_until("the capture to hold the dialogues", complete, 15)
        capture.stop()
        wire = capture.octets()
        for word in PLANTED:
            if word in wire:
                raise b.Failure("%r went over the wire in the clear" % word)
    print("ok: %d octets captured, nothing of the mail in them" % len(wire))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except b.Failure as failure:
        print("not ok\n%s" % failure)
        sys.exit(1)
