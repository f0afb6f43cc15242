#!/usr/bin/env python3
"""beside_postfix.py - the relay beside Postfix on the same machine in the same run, as ratios.

Both force each message to the disk before its 250, on the same file system; smtp-source and smtp-sink of Postfix's package are the
ends; the relay runs the policies of a campus. A rate is end to end: until the sink has the last message. The runs take turns, so that
whatever else the machine does meets both.

    sessions50   50 sessions that stay, 4 KiB        wanted: at least 8 times Postfix's rate
    per_message  50 sessions, a connection each      6 times
    session1     one session                         3 times
    megabyte     1 MB, 10 sessions                   4 times; smtp-sink alone cannot take that much, so again with postern sink
    memory       of the 50 sessions                  at most a tenth (PSS: a shared page counts once)

Postfix is as it comes but for limits of clients, which are off, and in_flow_delay = 0, which helps it.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time

import measure as m
from measure import b, postfix, say

sys.path.insert(0, os.path.join(m.HERE, "..", "scenario", "lib"))
import dns_server  # noqa: E402

# name: (sessions, octets, keeps its connection, messages for Postfix, messages for the relay, wanted ratio)
KINDS = {
    "sessions50": (50, 4096, True, 2000, 16000, 8.0),
    "per_message": (50, 4096, False, 2000, 10000, 6.0),
    "session1": (1, 4096, True, 600, 2000, 3.0),
    "megabyte": (10, 1000000, True, 100, 400, 4.0),
}
CONFIG = """
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
dns = { servers = "127.0.0.1:%(dns)d" }
""" + m.CAMPUS + """
listener "relay" { bind = "127.0.0.1:0", policies = campus, messages_max = 1000000, clients = { per_client = 1000, total = 2000 } }
route "*" { via = "[127.0.0.1]:%(sink)d"%(options)s }
"""


class Bench:
    def __init__(self, args, sink):
        self.args = args
        self.dir, self.kind = m.on_a_disk(args.dir)
        os.chmod(self.dir, 0o755)
        self.things = []
        self.dns = self.keep(dns_server.DnsServer(m.ZONE).start())
        self.sink = self.keep(sink())
        self.postfix = self.keep(postfix.Postfix(
            os.path.join(self.dir, "postfix"), relayhost="[127.0.0.1]:%d" % self.sink.port, smtpd_client_connection_count_limit="0",
            smtpd_client_connection_rate_limit="0", in_flow_delay="0", default_process_limit="200").start())
        self.relay = self.keep(m.relay_in(os.path.join(self.dir, "relay"), CONFIG % {
            "dns": self.dns.port, "sink": self.sink.port, "options": args.route and ", " + args.route or ""}))
        self.relay.start()

    def keep(self, thing):
        self.things.append(thing)
        return thing

    def close(self):
        for thing in reversed(self.things):
            thing.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def one(self, kind, who):
        sessions, octets, keep, for_postfix, for_relay, _ = KINDS[kind]
        messages = int((for_postfix if who is self.postfix else for_relay) * self.args.scale)
        watch = m.MemoryWatch(who.pids)
        rate = m.end_to_end(self.sink, who.port, max(messages, sessions), sessions, octets, keep)
        return rate, watch.stop()

    def compare(self, kind):
        rates = {"postfix": [], "relay": []}
        memory = {"postfix": [], "relay": []}
        alone = []
        for _ in range(self.args.runs):
            if kind == "megabyte":  # what the two ends can do with nobody between them
                alone.append(m.end_to_end(self.sink, self.sink.port, KINDS[kind][4], *KINDS[kind][:3]))
            for name, who in (("postfix", self.postfix), ("relay", self.relay)):
                rate, watch = self.one(kind, who)
                rates[name].append(rate)
                memory[name].append(watch)
                time.sleep(0.5)  # the disk and the idle connections come to rest
        ratios = [ours / theirs for ours, theirs in zip(rates["relay"], rates["postfix"])]
        wanted = KINDS[kind][5]
        say("%-12s Postfix/s  %s" % (kind, m.spread(rates["postfix"], 0)))
        say("%-12s relay/s    %s" % ("", m.spread(rates["relay"], 0)))
        if alone:
            say("%-12s ends alone %s" % ("", m.spread(alone, 0)))
        say("%-12s ratio      %s   wanted %g: %s" % ("", m.spread(ratios), wanted, "yes" if statistics.median(ratios) >= wanted else "NO"))
        if kind == "sessions50":
            for what in ("pss", "rss"):
                theirs, ours = ([getattr(w, what) for w in memory[n]] for n in ("postfix", "relay"))
                parts = [o / t for o, t in zip(ours, theirs)]
                say("%-12s %s MiB    Postfix %.1f in %d processes, relay %.1f; ratio %s%s" % (
                    "memory", what.upper(), max(theirs) / 1024, max(w.processes for w in memory["postfix"]), max(ours) / 1024,
                    m.spread(parts, 3), "   wanted 0.1: %s" % ("yes" if statistics.median(parts) <= 0.1 else "NO") if what == "pss" else ""))
        return statistics.median(ratios) >= wanted

    def profile(self, kind):
        """Where the relay's time goes in one kind of run."""
        data = os.path.join(self.dir, "perf.data")
        perf = subprocess.Popen(["perf", "record", "-q", "-g", "-F", "499", "-p", str(self.relay.child.pid), "-o", data],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.3)
        rate, _ = self.one(kind, self.relay)
        perf.send_signal(2)
        said = perf.communicate()[1].decode("utf-8", "replace")
        say("profile of %s (%.0f/s)" % (kind, rate))
        for title, options in (("by function", ["--no-children", "-g", "none", "--sort", "symbol"]), ("by library", ["--no-children", "-g", "none", "--sort", "dso"])):
            out = subprocess.run(["perf", "report", "-i", data, "--stdio", "--percent-limit", "0.7", *options], capture_output=True, check=False)
            lines = [line for line in out.stdout.decode("utf-8", "replace").split("\n") if line.strip() and not line.startswith("#")]
            say("  %s:\n%s" % (title, "\n".join("    " + line.strip() for line in lines[:self.args.lines]) or "    perf has no samples: " + said))


def main():
    parser = argparse.ArgumentParser(description="The relay beside Postfix, as ratios.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of messages")
    parser.add_argument("--only", action="append", choices=sorted(KINDS), help="one kind of run; may be repeated")
    parser.add_argument("--dir", help="where to measure: a directory on a disk; default: $TMPDIR or /tmp")
    parser.add_argument("--route", default="", help="options of the relay's route, as in its configuration")
    parser.add_argument("--perf", action="store_true", help="a profile of the relay in each kind of run as well")
    parser.add_argument("--lines", type=int, default=25, help="of a profile")
    args = parser.parse_args()
    if postfix.unavailable() or not shutil.which("smtp-source"):
        sys.exit("beside_postfix.py: " + (postfix.unavailable() or "smtp-source is not there"))
    kinds = args.only or list(KINDS)
    met = []
    for sink, kinds in ((m.CountingSink, kinds), (m.OwnSink, [k for k in kinds if k == "megabyte"])):
        if kinds:
            met += measure(args, sink, kinds)
    return 0 if all(met) else 1


def measure(args, sink, kinds):
    bench = None
    try:
        bench = Bench(args, sink)
        say("%s; %s; sink: %s" % (m.machine(bench.kind), bench.postfix.command("-h", "mail_version", program="postconf").stdout.decode().strip(),
                                  sink.__doc__.split(":")[0]))
        met = [bench.compare(kind) for kind in kinds]
        for kind in kinds if args.perf else ():
            bench.profile(kind)
        return met
    finally:
        if bench:
            bench.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except b.Failure as failure:
        sys.exit("beside_postfix.py: %s" % failure)
