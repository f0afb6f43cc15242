#!/usr/bin/env python3
"""A DNS server for scenarios: UDP and TCP on one ephemeral loopback port, with a script for a zone.

    with DnsServer("example.org MX 10 mx1.example.org\\n"
                   "mx1.example.org 60 A 127.0.0.1\\n") as dns:
        ... dns.port ... dns.queries ... dns.set("* SERVFAIL")

or, as a program, `dns_server.py [--port N] [ZONE_FILE]`: prints "port N", then one line per question, until
its standard input is closed.

A line is `name [ttl] type value`; "#" begins a comment. Types: A, AAAA, MX (`10 host`; `0 .` is the null MX),
TXT (words or "quoted strings"), PTR (the name may be an address), CNAME (followed within the script), NS, TLSA
(`3 1 1 hex`). A word in place of the type is for all questions about the name, in place of a value for that
type:

    SERVFAIL REFUSED NXDOMAIN NODATA   that result
    DROP                               silence
    GARBAGE                            octets that end in the middle of a record
    DELAY ms                           (beside records or a result) the answer comes later
    CUT                                (beside records) cut off over UDP, whole over TCP
    AD                                 (beside records) the authenticated-data bit
    NOSOA                              (beside NODATA, NXDOMAIN) no SOA that gives the answer a lifetime

The name "*" stands for all that are not in the script, "*.example.org" for those below example.org. A name
without lines does not exist. Records live 300 s unless a ttl is given, negative answers 30 s.
"""

import argparse
import collections
import ipaddress
import shlex
import socket
import struct
import sys
import threading
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "OPT": 41,
         "TLSA": 52, "ANY": 255}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
WORDS = {"SERVFAIL", "REFUSED", "NXDOMAIN", "NODATA", "DROP", "GARBAGE", "DELAY", "CUT", "AD", "NOSOA"}
RCODES = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}
TTL, NEGATIVE_TTL = 300, 30
CNAMES_MAX = 16
UDP_MAX = 512

Line = collections.namedtuple("Line", "name ttl type value")
Query = collections.namedtuple("Query", "time name type tcp")


class ZoneError(ValueError):
    """What is wrong with a zone, with its line number."""


def canonical(name):
    name = name.rstrip(".").lower()
    return name or "."


def reverse_name(text):
    """The name under in-addr.arpa or ip6.arpa of an address; any other text as it is."""
    try:
        return ipaddress.ip_address(text).reverse_pointer
    except ValueError:
        return text


def encode_name(name):
    out = b""
    for label in canonical(name).split("."):
        if label:
            octets = label.encode("ascii")
            if len(octets) > 63:
                raise ValueError("label too long: " + label)
            out += bytes([len(octets)]) + octets
    return out + b"\0"


def encode_value(type_name, value):
    words = shlex.split(value)
    if type_name == "A":
        return ipaddress.IPv4Address(value).packed
    if type_name == "AAAA":
        return ipaddress.IPv6Address(value).packed
    if type_name == "MX":
        preference, host = words
        return struct.pack(">H", int(preference)) + encode_name(host)
    if type_name == "TXT":
        strings = [w.encode("utf-8") for w in words] if '"' in value else [value.encode("utf-8")]
        pieces = [s[i:i + 255] for s in strings for i in range(0, max(len(s), 1), 255)]
        return b"".join(bytes([len(p)]) + p for p in pieces)
    if type_name == "TLSA":
        usage, selector, matching, data = words
        return bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(data)
    (name,) = words  # CNAME, NS, PTR
    return encode_name(name)


def parse_zone(text):
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.split("#", 1)[0].split(None, 1)
        if not words:
            continue
        try:
            name, rest = words
            ttl = TTL
            first = rest.split(None, 1)
            if first[0].isdigit():
                ttl, rest = int(first[0]), first[1]
            type_name, _, value = rest.strip().partition(" ")
            value = value.strip()
            type_name = type_name.upper()
            if type_name in WORDS:
                if type_name == "DELAY":
                    int(value)
            elif type_name not in TYPES:
                raise ValueError("no such type: " + type_name)
            elif value.split(None, 1)[0] not in WORDS:
                encode_value(type_name, value)
            if type_name == "PTR":
                name = reverse_name(name)
            lines.append(Line(canonical(name), ttl, type_name, value))
        except (ValueError, IndexError) as error:
            raise ZoneError("zone line %d: %s: %s" % (number, raw.strip(), error)) from None
    return lines


class Question:
    """The first question of a message; ValueError when it has none."""

    def __init__(self, message):
        if len(message) < 12:
            raise ValueError("short message")
        self.id, self.flags, questions = struct.unpack(">HHH", message[:6])
        additional = struct.unpack(">H", message[10:12])[0]
        if self.flags & 0x8000 or questions != 1:
            raise ValueError("not a query")
        at, labels = 12, []
        while message[at]:
            n = message[at]
            if n > 63:
                raise ValueError("compressed question")
            labels.append(message[at + 1:at + 1 + n].decode("latin-1"))
            at += n + 1
        number, _ = struct.unpack(">HH", message[at + 1:at + 5])
        self.name = canonical(".".join(labels))
        self.type = TYPE_NAMES.get(number, "TYPE%d" % number)
        self.octets = message[12:at + 5]
        self.udp_max = UDP_MAX
        # OPT: root, type, class = the size that the client takes
        if additional and len(message) >= at + 10 and message[at + 5:at + 8] == b"\0\0\x29":
            self.udp_max = max(UDP_MAX, struct.unpack(">H", message[at + 8:at + 10])[0])


class Zone:
    def __init__(self, text):
        self.lines = parse_zone(text)

    def lines_of(self, name):
        """Of the name itself, or of the nearest wildcard."""
        tail = name
        found = [l for l in self.lines if l.name == name]
        while not found and "." in tail:
            tail = tail.split(".", 1)[1]
            found = [l for l in self.lines if l.name == "*." + tail]
        return found or [l for l in self.lines if l.name == "*"]

    def says(self, name, type_name, word):
        """The rest of the line that says so, or None."""
        for line in self.lines_of(name):
            if line.type == word:
                return line.value
            first, _, rest = line.value.partition(" ")
            if line.type == type_name and first == word:
                return rest
        return None

    def records(self, name, type_name):
        """(owner, line) of each, behind CNAMEs."""
        found, owner = [], name
        for _ in range(CNAMES_MAX):
            lines = [l for l in self.lines_of(owner)
                     if l.type in TYPES and l.value.split(None, 1)[0] not in WORDS]
            mine = [(owner, l) for l in lines if l.type == type_name or type_name == "ANY"]
            if mine:
                return found + mine
            aliases = [l for l in lines if l.type == "CNAME"]
            if not aliases:
                return found
            found.append((owner, aliases[0]))
            owner = canonical(aliases[0].value)
        return found

    def answer(self, q, tcp):
        """The message, or None for silence."""

        def says(word):
            return self.says(q.name, q.type, word) is not None

        if says("DROP"):
            return None
        flags = 0x8080 | (q.flags & 0x0110)  # response, recursion available; RD and CD as asked
        if says("AD"):
            flags |= 0x0020
        if says("GARBAGE"):
            return struct.pack(">HHHHHH", q.id, flags, 1, 2, 0, 0) + q.octets + b"\xc0\x0c\0\1\0"
        rcode = next((code for word, code in RCODES.items() if says(word)), 0)
        if not rcode and not self.lines_of(q.name):
            rcode = RCODES["NXDOMAIN"]
        answers, authority = [], []
        if not rcode and not says("NODATA"):
            for owner, line in self.records(q.name, q.type):
                data = encode_value(line.type, line.value)
                head = struct.pack(">HHIH", TYPES[line.type], 1, line.ttl, len(data))
                answers.append(encode_name(owner) + head + data)
        if not answers and rcode in (0, RCODES["NXDOMAIN"]) and not says("NOSOA"):
            data = b"\0\0" + struct.pack(">IIIII", 1, 1, 1, 1, NEGATIVE_TTL)
            head = struct.pack(">HHIH", TYPES["SOA"], 1, NEGATIVE_TTL, len(data))
            authority.append(b"\0" + head + data)
        body = q.octets + b"".join(answers) + b"".join(authority)
        if not tcp and (says("CUT") or 12 + len(body) > q.udp_max):
            return struct.pack(">HHHHHH", q.id, flags | 0x0200, 1, 0, 0, 0) + q.octets
        return struct.pack(">HHHHHH", q.id, flags | rcode, 1, len(answers), len(authority), 0) + body


class DnsServer:
    """Threads: all methods may be called from any. `queries` only grows; read it at any time."""

    def __init__(self, zone_text="", host="127.0.0.1", port=0, on_query=None):
        self.zone = Zone(zone_text)
        self.queries = []
        self.host, self.port = host, port
        self._on_query = on_query
        self._arrived = threading.Condition()
        self._stopping = threading.Event()
        self._threads, self._timers = [], set()
        self._udp = self._tcp = None

    def start(self):
        # The port that UDP got may be taken for TCP: then another one.
        for attempt in range(50):
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                self._udp.bind((self.host, self.port))
                self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._tcp.bind(self._udp.getsockname())
                break
            except OSError:
                self._udp.close()
                self._tcp.close()
                if self.port or attempt == 49:
                    raise
        self.port = self._udp.getsockname()[1]
        self._tcp.listen(16)
        for run in (self._serve_udp, self._serve_tcp):
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def stop(self):
        """Closes the port: from now on it refuses. The same object can be started again, on the same port."""
        if self._udp is None:
            return
        self._stopping.set()
        for timer in list(self._timers):
            timer.cancel()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", (self.host, self.port))
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            pass
        for thread in self._threads:
            thread.join(5)
        self._udp.close()
        self._tcp.close()
        self._udp = self._tcp = None
        self._threads = []
        self._stopping.clear()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def set(self, zone_text):
        """Another zone, from the next question on."""
        self.zone = Zone(zone_text)

    def add(self, zone_text):
        """More lines."""
        zone = Zone(zone_text)
        zone.lines = self.zone.lines + zone.lines
        self.zone = zone

    def remove(self, name):
        """All lines about a name, or an address."""
        zone = Zone("")
        gone = (canonical(name), canonical(reverse_name(name)))
        zone.lines = [l for l in self.zone.lines if l.name not in gone]
        self.zone = zone

    def count(self, name=None, type_name=None):
        name = canonical(reverse_name(name)) if name else None
        return sum((name is None or q.name == name) and (type_name is None or q.type == type_name)
                   for q in list(self.queries))

    def wait(self, name=None, type_name=None, n=1, timeout=10):
        """Until it was asked n times; False after the timeout."""
        with self._arrived:
            return self._arrived.wait_for(lambda: self.count(name, type_name) >= n, timeout)

    def _answer(self, message, tcp):
        """(octets or None, delay in seconds)"""
        try:
            question = Question(message)
        except (ValueError, IndexError, struct.error):
            return None, 0
        zone = self.zone
        query = Query(time.time(), question.name, question.type, tcp)
        with self._arrived:
            self.queries.append(query)
            self._arrived.notify_all()
        if self._on_query:
            self._on_query(query)
        delay = zone.says(question.name, question.type, "DELAY")
        return zone.answer(question, tcp), int(delay) / 1000 if delay else 0

    def _send_later(self, octets, peer, delay):
        def fire():
            self._timers.discard(timer)
            if not self._stopping.is_set():
                self._udp.sendto(octets, peer)

        timer = threading.Timer(delay, fire)
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def _serve_udp(self):
        while True:
            message, peer = self._udp.recvfrom(65535)
            if self._stopping.is_set():
                return
            octets, delay = self._answer(message, False)
            if octets is None:
                continue
            if delay:
                self._send_later(octets, peer, delay)
            else:
                self._udp.sendto(octets, peer)

    def _serve_tcp(self):
        while True:
            connection, _ = self._tcp.accept()
            if self._stopping.is_set():
                connection.close()
                return
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        def read(n):
            octets = b""
            while len(octets) < n:
                more = connection.recv(n - len(octets))
                if not more:
                    raise EOFError
                octets += more
            return octets

        with connection:
            connection.settimeout(30)
            try:
                while not self._stopping.is_set():
                    octets, delay = self._answer(read(struct.unpack(">H", read(2))[0]), True)
                    if self._stopping.wait(delay):
                        return
                    if octets is not None:
                        connection.sendall(struct.pack(">H", len(octets)) + octets)
            except (OSError, EOFError):
                pass


def main():
    parser = argparse.ArgumentParser(description="A scripted DNS server on 127.0.0.1.")
    parser.add_argument("zone", nargs="?", help="file with the zone; without it everything is NXDOMAIN")
    parser.add_argument("--port", type=int, default=0, help="default: one that is free")
    args = parser.parse_args()
    text = ""
    if args.zone:
        with open(args.zone, encoding="utf-8") as file:
            text = file.read()

    def show(query):
        print("query", query.name, query.type, "tcp" if query.tcp else "udp", flush=True)

    try:
        with DnsServer(text, port=args.port, on_query=show) as server:
            print("port", server.port, flush=True)
            sys.stdin.read()
    except ZoneError as error:
        sys.exit("dns_server.py: %s" % error)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
