#!/usr/bin/env python3
"""idle.py [--connections 8000] [--tls] - what idle clients cost: KiB of each, and what they take from one that is busy.

Wanted: at most 10 KiB of resident memory each, 40 with TLS, and the rate of one active session within 10 % of that of an empty server.
Idle clients have said EHLO and wait; half of them have sent a message before, for that is what leaves memory behind.
"""
import argparse
import os
import shutil
import socket
import ssl
import statistics
import sys
import time

import measure as m
from measure import b, say

sys.path.insert(0, os.path.join(m.HERE, "..", "scenario", "lib"))
import dns_server  # noqa: E402
import pki  # noqa: E402

CONFIG = """
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
dns = { servers = "127.0.0.1:%(dns)d" }
%(tls)s
""" + m.CAMPUS + """
listener "relay" { bind = "127.0.0.1:0", policies = campus, messages_max = 1000000, clients = { per_client = 100000, total = 100000 },
  timeouts = { command = "1h" } }
route "*" { via = "[127.0.0.1]:%(sink)d" }
"""
MESSAGE = (b"MAIL FROM:<scan@example.edu>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\n")


def read_until(s, ending):
    got = b""
    while not got.endswith(b"\r\n") or not got.split(b"\r\n")[-2].startswith(ending):
        piece = s.recv(4096)
        if not piece:
            raise b.Failure("an idle client was closed after %r" % got)
        got += piece


def address(i):
    """A few source addresses: one has no more than 28,000 ports, and those of the last run are still being forgotten."""
    return "127.0.%d.%d" % (i // 2000, 1 + os.getpid() % 250)


def zone(count):
    """Their confirmed names."""
    lines = ""
    for i in range(0, count, 2000):
        one = address(i)
        lines += "%s PTR client%d.example.edu\nclient%d.example.edu A %s\n" % (one, i, i, one)
    return lines


def secured(clients):
    """The same clients under TLS, behind another EHLO."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for s in clients:
        s.sendall(b"STARTTLS\r\n")
    for s in clients:
        read_until(s, b"220 ")
    clients = [context.wrap_socket(s, server_hostname="relay.example.edu") for s in clients]
    for s in clients:
        s.sendall(b"EHLO client.example.edu\r\n")
    for s in clients:
        read_until(s, b"250 ")
    return clients


def connect(port, count, tls, batch=200):
    """Idle clients; every second one has sent a message."""
    clients = []
    while len(clients) < count:
        new = []
        for _ in range(min(batch, count - len(clients))):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address(len(clients)), 0))
            s.settimeout(60)
            s.connect(("127.0.0.1", port))
            new.append(s)
        for s in new:
            read_until(s, b"220 ")
            s.sendall(b"EHLO client.example.edu\r\n")
        for s in new:
            read_until(s, b"250 ")
        if tls:
            new = secured(new)
        for s in new[::2]:
            s.sendall(MESSAGE)
        for s in new[::2]:
            read_until(s, b"354 ")
            s.sendall(b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 300 + b".\r\n")
        for s in new[::2]:
            read_until(s, b"250 ")
        clients += new
    return clients


def rss(relay):
    return m.memory_of(relay.pids(), "Rss")


def main():
    parser = argparse.ArgumentParser(description="What idle clients cost.")
    parser.add_argument("--connections", type=int, default=8000)
    parser.add_argument("--messages", type=int, default=3000, help="of the active session, in each run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", help="a directory on a disk")
    parser.add_argument("--tls", action="store_true", help="the idle clients have said STARTTLS")
    args = parser.parse_args()
    wanted = 40 if args.tls else 10
    m.more_descriptors(args.connections + 200)
    directory, kind = m.on_a_disk(args.dir)
    dns, sink = dns_server.DnsServer(m.ZONE + zone(args.connections)).start(), m.CountingSink()
    certs = pki.Pki(os.path.join(directory, "tls"))
    certs.cert("relay", "DNS:relay.example.edu")
    tls = 'tls = { cert = "%s", key = "%s" }' % (certs.path("relay.pem"), certs.path("relay.key")) if args.tls else ""
    relay = m.relay_in(directory, CONFIG % {"dns": dns.port, "sink": sink.port, "tls": tls})
    try:
        say(m.machine(kind))
        relay.start()
        m.end_to_end(sink, relay.port, 20, 1, 4096, True)  # what is made at the first message is there, and nothing that could be used again
        rates, each = {"empty": [], "full": []}, []
        for _ in range(args.runs):
            before = rss(relay)
            clients = connect(relay.port, args.connections, args.tls)
            time.sleep(1)
            each.append((rss(relay) - before) / args.connections)
            rates["full"].append(m.end_to_end(sink, relay.port, args.messages, 1, 4096, True))
            for s in clients:
                s.close()
            time.sleep(1)
            rates["empty"].append(m.end_to_end(sink, relay.port, args.messages, 1, 4096, True))
        # What the first run allocated is used again by the others: the first says what they cost.
        ratio = [full / empty for full, empty in zip(rates["full"], rates["empty"])]
        say("%d idle clients: %.1f KiB each in the first run   wanted %d: %s   (later runs %s)" %
            (args.connections, each[0], wanted, "yes" if each[0] <= wanted else "NO", ", ".join("%.1f" % e for e in each[1:])))
        say("one active session: empty/s %s" % m.spread(rates["empty"], 0))
        say("                    full/s  %s" % m.spread(rates["full"], 0))
        say("                    ratio   %s   wanted 0.9: %s" % (m.spread(ratio, 2), "yes" if statistics.median(ratio) >= 0.9 else "NO"))
        return 0 if each[0] <= wanted and statistics.median(ratio) >= 0.9 else 1
    finally:
        relay.stop()
        sink.stop()
        dns.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except b.Failure as failure:
        sys.exit("idle.py: %s" % failure)
