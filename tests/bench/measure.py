"""measure.py - what the measurements share: ends from Postfix's package, memory of processes, ratios, an honest note about the machine."""
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario", "lib"))

import bed as b  # noqa: E402
import postfix  # noqa: E402

# What a campus has, on the loopback: names, limits, domains, rewriting, mending.
CAMPUS = """
local campus = {
  use "helo_characters" { forbidden = "&" },
  use "internal_domains" { domains = { "example.edu", ".campus.example.edu" }, from = "127.0.0.0/8" },
  use "reverse_dns" {},
  use "rate_limits" { per_device = "100000000/hour,burst=100000000" },
  use "relay_networks" { networks = "127.0.0.0/8" },
  use "rewrite_sender" { domains = ".srv.example.edu", template = "devices+{local}-{domain}@example.edu" },
  use "missing_headers" {},
}
"""
ZONE = "127.0.0.1 PTR client.example.edu\nclient.example.edu A 127.0.0.1\n"


def say(text):
    print(text, flush=True)


def on_a_disk(directory):
    """A new directory to measure in; fsync on a tmpfs measures nothing."""
    made = tempfile.mkdtemp(prefix="postern-bench-", dir=directory)
    kind = subprocess.run(["stat", "-f", "-c", "%T", made], capture_output=True, check=True).stdout.decode().strip()
    if kind in ("tmpfs", "ramfs"):
        os.rmdir(made)
        sys.exit("%s is a %s: name a directory on a disk with --dir" % (directory or tempfile.gettempdir(), kind))
    return made, kind


def machine(kind):
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    return "%d cores, %s; file system %s; load %.2f before" % (os.cpu_count(), model.group(1) if model else "?", kind, os.getloadavg()[0])


def more_descriptors(wanted):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            sys.exit("%d descriptors are needed, %d may be had" % (wanted, hard))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class CountingSink:
    """smtp-sink -c: throws mail away and says how much it had."""

    def __init__(self):
        self.port = postfix.free_port()
        as_root = ["-u", "root"] if os.geteuid() == 0 else []
        self.child = subprocess.Popen(["smtp-sink", *as_root, "-c", "127.0.0.1:%d" % self.port, "1000"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.count, self.last = 0, 0.0
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        rest = b""
        while True:
            piece = os.read(self.child.stdout.fileno(), 65536)
            if not piece:
                return
            lines = (rest + piece).split(b"\r")
            rest = lines.pop()
            found = re.search(rb"mesg=(\d+)", lines[-1]) if lines else None
            if found and int(found.group(1)) != self.count:
                self.count, self.last = int(found.group(1)), time.monotonic()

    def wait(self, count, seconds=600):
        """The time at which the message of that number came."""
        until = time.monotonic() + seconds
        while self.count < count:
            if time.monotonic() > until:
                raise b.Failure("%d of %d messages came within %d s" % (self.count, count, seconds))
            time.sleep(0.001)
        return self.last

    def stop(self):
        self.child.terminate()
        self.child.wait()


class OwnSink:
    """postern sink: takes more octets a second than smtp-sink does, which matters when messages are large."""

    def __init__(self):
        self.port = postfix.free_port()
        self.child = subprocess.Popen([b.POSTERN, "sink", "--listen", "127.0.0.1:%d" % self.port], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.count, self.last = 0, 0.0
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            piece = os.read(self.child.stdout.fileno(), 65536)
            if not piece:
                return
            came = piece.count(b'"event":"message"')
            if came:
                self.count, self.last = self.count + came, time.monotonic()

    wait = CountingSink.wait
    stop = CountingSink.stop


def source(port, messages, sessions, octets, keep, extra=()):
    """Starts smtp-source."""
    return subprocess.Popen(["smtp-source", "-s", str(sessions), "-m", str(messages), "-l", str(octets), *(["-d"] if keep else []),
                             "-f", "scan@example.edu", "-t", "jane@example.org", "-M", "client.example.edu", *extra, "127.0.0.1:%d" % port],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(child):
    said = child.communicate()[1]
    if child.returncode != 0:
        raise b.Failure("smtp-source: %s" % said.decode("utf-8", "replace"))


def end_to_end(sink, port, messages, sessions, octets, keep):
    """Messages per second from the first connection until the sink has the last one."""
    before = sink.count
    began = time.monotonic()
    child = source(port, messages, sessions, octets, keep)
    arrived = sink.wait(before + messages)
    finish(child)
    return messages / (arrived - began)


def accepting(port, messages, sessions, octets, keep, extra=()):
    """Messages per second until the client has its last 250."""
    began = time.monotonic()
    finish(source(port, messages, sessions, octets, keep, extra))
    return messages / (time.monotonic() - began)


def memory_of(pids, what="Pss"):
    """KiB of all of them: Pss counts a shared page once, Rss in each."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
                total += int(re.search(r"(?m)^%s:\s+(\d+) kB" % what, f.read()).group(1))
        except (OSError, AttributeError):
            pass
    return total


class MemoryWatch:
    """The most that a set of processes had, looked at ten times a second."""

    def __init__(self, pids):
        self.pids, self.pss, self.rss, self.processes = pids, 0, 0, 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.stopping.wait(0.1):
            pids = self.pids()
            self.pss = max(self.pss, memory_of(pids, "Pss"))
            self.rss = max(self.rss, memory_of(pids, "Rss"))
            self.processes = max(self.processes, len(pids))

    def stop(self):
        self.stopping.set()
        self.thread.join()
        return self


def spread(values, digits=1):
    return "min %.*f  median %.*f  max %.*f" % (digits, min(values), digits, statistics.median(values), digits, max(values))


def relay_in(directory, config):
    """A relay whose log goes to a file, as a service's does: reading it in Python would be what is measured."""
    return FileRelay(directory, config.replace("@DIR@", directory))


class FileRelay:
    def __init__(self, directory, config):
        os.makedirs(directory, exist_ok=True)
        self.dir, self.file, self.log = directory, os.path.join(directory, "postern.lua"), os.path.join(directory, "log")
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(config)
        self.child, self.port = None, 0

    def _started(self):
        if self.child.poll() is not None:
            with open(self.log, encoding="utf-8") as f:
                raise b.Failure("the relay did not start:\n" + f.read())
        with open(self.log, "rb") as f:
            text = f.read()
        if b'"server_started"' not in text:
            return False
        self.port = int(re.search(rb'"listener_opened".*?"addr":"[^"]*:(\d+)"', text).group(1))
        return True

    def start(self, seconds=120):
        """Seconds until it served."""
        with open(self.log, "wb") as log:
            began = time.monotonic()
            self.child = subprocess.Popen([b.POSTERN, "serve", "--config", self.file], stdin=subprocess.DEVNULL, stderr=log)
        b.wait_until("the relay to start", self._started, seconds)
        return time.monotonic() - began

    def pids(self):
        return [self.child.pid]

    def stop(self):
        if not self.child:
            return
        died = self.child.poll()
        if died is None:
            self.child.terminate()
            died = self.child.wait(120)
        self.child = None
        if died != 0:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise b.Failure("the relay ended with %s\n%s" % (died, f.read()[-4000:]))
