#!/usr/bin/env python3
"""deferred.py [--messages 1000000] - what a long queue costs: start-up, memory of each message, and what it takes from new mail.

Wanted with 1,000,000 deferred messages: start-up under 15 s, and the rates of accepting and of delivering new mail within 10 % of
those of an empty queue. The mail comes by SMTP for a next hop that refuses connections. A second relay, whose queue is empty,
takes turns with the first.
"""
import argparse
import os
import shutil
import statistics
import sys
import time

import measure as m
from measure import b, postfix, say

sys.path.insert(0, os.path.join(m.HERE, "..", "scenario", "lib"))
import dns_server  # noqa: E402

CONFIG = """
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
dns = { servers = "127.0.0.1:%(dns)d" }
queue = { retry = { "1h" }, lifetime = "5d" }
""" + m.CAMPUS + """
listener "relay" { bind = "127.0.0.1:0", policies = campus, messages_max = 1000000, clients = { per_client = 1000, total = 2000 } }
route "dead.example" { via = "[127.0.0.1]:%(dead)d" }
route "*" { via = "[127.0.0.1]:%(sink)d" }
"""


def rate(sink, relay, args):
    """New mail: accepted a second, and delivered a second."""
    before, began = sink.count, time.monotonic()
    child = m.source(relay.port, args.new, args.sessions, 4096, True)
    m.finish(child)
    accepted = time.monotonic()
    arrived = sink.wait(before + args.new)
    return args.new / (accepted - began), args.new / (arrived - began)


def fill(relay, args):
    began = time.monotonic()
    m.finish(m.source(relay.port, args.messages, 50, 1024, True, ("-t", "jane@dead.example")))
    say("%d messages were accepted in %.0f s" % (args.messages, time.monotonic() - began))


def compare(name, full, empty):
    ratio = [f / e for f, e in zip(full, empty)]
    say("%-10s empty/s  %s" % (name, m.spread(empty, 0)))
    say("%-10s full/s   %s" % ("", m.spread(full, 0)))
    say("%-10s ratio    %s   wanted 0.9: %s" % ("", m.spread(ratio, 2), "yes" if statistics.median(ratio) >= 0.9 else "NO"))
    return statistics.median(ratio) >= 0.9


def main():
    parser = argparse.ArgumentParser(description="What a long queue costs.")
    parser.add_argument("--messages", type=int, default=1000000, help="deferred ones")
    parser.add_argument("--new", type=int, default=20000, help="new messages in each run")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", help="a directory on a disk")
    args = parser.parse_args()
    directory, kind = m.on_a_disk(args.dir)
    dns, sink = dns_server.DnsServer(m.ZONE).start(), m.CountingSink()
    words = {"dns": dns.port, "sink": sink.port, "dead": postfix.free_port()}
    full, empty = (m.relay_in(os.path.join(directory, name), CONFIG % words) for name in ("full", "empty"))
    try:
        say(m.machine(kind))
        full.start()
        empty.start()
        for relay in (full, empty):
            rate(sink, relay, args)  # what is made at the first messages is there
        before = m.memory_of(full.pids(), "Rss")
        fill(full, args)
        time.sleep(3)
        say("%.0f octets of resident memory each" % ((m.memory_of(full.pids(), "Rss") - before) * 1024 / args.messages))
        full.stop()
        started = full.start(600)
        say("start-up with them: %.2f s   wanted 15: %s" % (started, "yes" if started < 15 else "NO"))
        say("%.0f octets of resident memory each after it" % (m.memory_of(full.pids(), "Rss") * 1024 / args.messages))
        rates = {"full": [], "empty": []}
        for _ in range(args.runs):
            for name, relay in (("empty", empty), ("full", full)):
                rates[name].append(rate(sink, relay, args))
                time.sleep(1)
        good = [compare(name, [r[i] for r in rates["full"]], [r[i] for r in rates["empty"]])
                for i, name in enumerate(("accepted", "delivered"))]
        return 0 if all(good) and started < 15 else 1
    finally:
        full.stop()
        empty.stop()
        sink.stop()
        dns.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except b.Failure as failure:
        sys.exit("deferred.py: %s" % failure)
