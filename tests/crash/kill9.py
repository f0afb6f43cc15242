#!/usr/bin/env python3
"""kill9.py [--times N] [--seed S] - kill -9 of the relay at random moments under load: nothing acknowledged is lost.

    1. clients send messages with numbers of their own, over kept connections and over new ones, small and large, some with several
       recipients; what got 250 is written down
    2. after a random time the relay is killed, and started again on the same spool and the same port
    3. after N kills the load ends, and everything must have arrived: each message that got 250 at each of its recipients, whole
    4. a repeat is counted; it may only be of a message that was in flight at a kill: between its arrival at the sink and the
       commit of that outcome, which is lazy on purpose (spool.lazy_commit)

A client whose connection broke before the reply does not know: such a message may or may not arrive. One next hop is up all the time,
one is down now and then, so that deferred mail crosses crashes, too.
"""
import argparse
import hashlib
import os
import random
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario", "lib"))

import bed as b  # noqa: E402

CONFIG = """
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = %(workers)d
spool = { segment_size = "1MiB", small_max = "16KiB", lazy_commit = "%(lazy)dms" }
listener "relay" { bind = "127.0.0.1:%(port)d", reverse_dns = false, policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
route "shaky.example" { via = "[127.0.0.1]:%(shaky)d", retry = "1s", jitter = 0, connect_timeout = "1s" }
route "*" { via = "[127.0.0.1]:%(steady)d", retry = "1s", jitter = 0 }
"""
SENDERS = 8
LAZY_MS = 50
# Between what the sink has and what the disk has: the reply's way, a turn of the loop, the lazy commit, a slow disk.
FLIGHT_S = 1.0


def body_of(name, octets):
    line = hashlib.sha256(name.encode()).hexdigest().encode()
    return (line + b"\r\n") * max(octets // 66, 1)


class Sender(threading.Thread):
    """Sends without a pause; `acknowledged` is what got 250: name -> (recipients, octets)."""

    def __init__(self, number, port, rng, stopping, kills):
        super().__init__(daemon=True)
        self.number, self.port, self.rng, self.stopping, self.kills = number, port, rng, stopping, kills
        self.acknowledged, self.unknown, self.sent = {}, set(), 0
        self.doing = ""
        self.problem = None

    def message(self):
        self.sent += 1
        name = "m%d-%d" % (self.number, self.sent)
        octets = self.rng.choice([100, 1000, 4000, 4000, 4000, 20000, 200000])
        recipients = ["%s@steady.example" % name]
        if self.rng.random() < 0.3:
            recipients.append("%s@shaky.example" % name)
        if self.rng.random() < 0.1:
            recipients.append("%s.second@steady.example" % name)
        return name, recipients, octets

    def transaction(self, client):
        name, recipients, octets = self.message()
        commands = ["MAIL FROM:<%s@example.edu>" % name] + ["RCPT TO:<%s>" % r for r in recipients] + ["DATA"]
        client.send("".join(c + "\r\n" for c in commands).encode())
        for command in commands:
            self.doing = "%s of %s" % (command, client.name)
            reply = client.reply()
            if reply is None:
                return False
            if reply[-1][0] not in "23":
                raise b.Failure("%s was answered %r" % (command, reply))
        self.doing = "the end of %s of %s" % (name, client.name)
        self.unknown.add(name)
        client.send(b"Subject: %s\r\nX-Octets: %d\r\n\r\n" % (name.encode(), octets) + body_of(name, octets) + b".\r\n")
        reply = client.reply()
        if reply is None:
            return False
        self.unknown.discard(name)
        if not reply[-1].startswith("250"):
            raise b.Failure("the message %s was answered %r" % (name, reply))
        self.acknowledged[name] = (recipients, octets)
        return True

    def run(self):
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                self.doing = "connecting"
                client = b.Client(self.port, timeout=30)
                client.name = client.socket.getsockname()[1]
                if client.name == self.port:  # nobody listens, and the system met its own call
                    client.close()
                    continue
                self.doing = "the greeting of %s" % client.name
                if client.reply() and client.command("EHLO sender%d.example.edu" % self.number):
                    for _ in range(self.rng.choice([1, 3, 50])):
                        if self.stopping.is_set() or not self.transaction(client):
                            break
                client.close()
            except b.Failure as failure:
                # The system may forget a connection that is being made while its listener is killed, and tell nobody.
                if self.doing.startswith("the greeting") and any(kill >= began for kill in self.kills):
                    continue
                self.problem = "%s: %s" % (self.doing, failure)
                return
            except OSError:
                time.sleep(0.02)  # the relay is down


class Arrivals:
    """What came to the sinks: per recipient the times of arrival."""

    def __init__(self, sinks):
        self.sinks = sinks

    def count(self):
        at = {}
        for sink in self.sinks:
            for message in sink.messages():
                for recipient in message["to"]:
                    at.setdefault(recipient, []).append((message["at"], sink, message))
        return at


def stamp(lines):
    """Gives each message event of a sink's output the time at which it came."""
    inner = lines.events

    class Stamped(list):
        def append(self, event):
            event["at"] = time.monotonic()
            list.append(self, event)

    lines.events = Stamped(inner)
    for event in inner:
        event.setdefault("at", time.monotonic())


def start_sink(sink):
    sink.start()
    stamp(sink.process.out)


def check_whole(sink, message):
    text = sink.file(message)
    head, _, body = text.partition(b"\r\n\r\n")
    name = re.search(rb"(?m)^Subject: (\S+)\r?$", head).group(1).decode()
    octets = int(re.search(rb"(?m)^X-Octets: (\d+)\r?$", head).group(1))
    if body != body_of(name, octets):
        raise b.Failure("%s is not whole: %d octets of %d" % (name, len(body), len(body_of(name, octets))))
    if message["from"] != name + "@example.edu":
        raise b.Failure("%s has the envelope of %s" % (name, message["from"]))


def crashes(args, bed, rng):
    shaky, steady = bed.sink("shaky"), bed.sink("steady")
    for sink in (shaky, steady):
        stamp(sink.process.out)
    values = {"workers": 2, "lazy": LAZY_MS, "port": 0, "shaky": shaky.port, "steady": steady.port}
    relay = bed.relay(CONFIG % values)
    values["port"] = relay.port("relay")
    relay.write((CONFIG % values).replace("@DIR@", relay.dir))  # from now on the same port
    stopping = threading.Event()
    kills, torn, recovered, started = [], 0, 0, []
    senders = [Sender(n, values["port"], random.Random(rng.random()), stopping, kills) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    for number in range(args.times):
        time.sleep(rng.choice([0.05, 0.2, 0.4, 0.8]) * (0.5 + rng.random()))
        if any(sender.problem for sender in senders):
            break
        if number % 4 == 1:
            shaky.stop()
        elif number % 4 == 3 and not shaky.process:
            start_sink(shaky)
        kills.append(time.monotonic())
        relay.crash()
        relay.start()
        found = relay.events(event="queue_recovered")
        recovered += sum(e["count"] for e in found)
        torn += sum(e["torn_bytes"] > 0 for e in found)
        started.append(time.monotonic() - kills[-1])
        bad = relay.events(event="bug") + relay.events(event="spool_corrupt")
        if bad:
            raise b.Failure("after kill %d: %r" % (number + 1, bad))
    stopping.set()
    for sender in senders:
        sender.join(60)
    if not shaky.process:
        start_sink(shaky)
    problems = [sender.problem for sender in senders if sender.problem]
    if problems:
        asked = "".join("%s:\n%s" % (what, relay.cli(what, check=False).stdout.decode()) for what in ("status", "sessions", "destinations"))
        raise b.Failure("\n".join(problems) + "\n" + asked + relay.log_text()[-3000:])
    return (shaky, steady), relay, senders, kills, {"recovered": recovered, "torn": torn, "start": sorted(started)[len(started) // 2]}


def judge(sinks, relay, senders, kills):
    """(acknowledged, recipients, repeats); Failure for what is lost, or came twice without a kill that explains it."""
    wanted = {}
    for sender in senders:
        for recipients, _ in sender.acknowledged.values():
            wanted.update(dict.fromkeys(recipients))
    arrivals = Arrivals(sinks)

    def missing():
        there = arrivals.count()
        return [r for r in wanted if r not in there]

    try:
        b.wait_until("all to arrive", lambda: not missing(), 120)
    except b.Failure:
        lost = missing()
        listing = relay.cli("queue", "ls", check=False).stdout.decode()
        raise b.Failure("%d recipients of acknowledged messages are missing: %s\nin the queue:\n%s\n%s" %
                        (len(lost), lost[:10], listing[:3000], relay.log_text()[-3000:])) from None
    b.wait_until(lambda: "the queue to be empty\n" + relay.cli("queue", "ls").stdout.decode(),
                 lambda: b'"messages":[]' in relay.cli("queue", "ls", "--json").stdout, 60)
    repeats, unexplained = 0, []
    for recipient, came in arrivals.count().items():
        for at, sink, message in came:
            check_whole(sink, message)
        for at, _, message in sorted(came, key=lambda c: c[0])[:-1]:
            repeats += 1
            if not any(at - 0.05 <= kill <= at + FLIGHT_S for kill in kills):
                unexplained.append("%s came %.3f s before the next kill" %
                                   (recipient, min((k - at for k in kills if k > at), default=-1)))
    if unexplained:
        raise b.Failure("%d repeats of what was not in flight: %s" % (len(unexplained), "; ".join(unexplained[:5])))
    return sum(len(s.acknowledged) for s in senders), len(wanted), repeats


def main():
    parser = argparse.ArgumentParser(description="kill -9 under load; nothing acknowledged is lost")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    print("seed %d" % seed, flush=True)
    with b.Bed() as bed:
        began = time.monotonic()
        sinks, relay, senders, kills, found = crashes(args, bed, random.Random(seed))
        acknowledged, recipients, repeats = judge(sinks, relay, senders, kills)
        print("%d kills in %.0f s; %d messages got 250, all %d recipients have them; %d repeats, each in flight at a kill; "
              "%d messages were recovered, %d logs had a torn end; median time from kill to service %.2f s" %
              (len(kills), time.monotonic() - began, acknowledged, recipients, repeats, found["recovered"], found["torn"],
               found["start"]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except b.Failure as problem:
        sys.exit("kill9.py: %s" % problem)
