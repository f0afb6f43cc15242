#!/usr/bin/env python3
"""The scenarios' DNS server, asked by hand. Run it: python3 tests/scenario/lib/test_dns_server.py"""

import os
import socket
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dns_server import TYPES, DnsServer, ZoneError, encode_name  # noqa: E402


def query(name, type_name, edns=0):
    message = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 1 if edns else 0) + encode_name(name)
    message += struct.pack(">HH", TYPES[type_name], 1)
    return message + (b"\0" + struct.pack(">HHIH", TYPES["OPT"], edns, 0, 0) if edns else b"")


def ask_udp(port, name, type_name, edns=0, timeout=2.0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.sendto(query(name, type_name, edns), ("127.0.0.1", port))
        return s.recv(65535)


def ask_tcp(port, name, type_name):
    with socket.create_connection(("127.0.0.1", port), 2) as s:
        message = query(name, type_name)
        s.sendall(struct.pack(">H", len(message)) + message)
        file = s.makefile("rb")
        return file.read(struct.unpack(">H", file.read(2))[0])


def header(message):
    ident, flags, _, answers, authority, _ = struct.unpack(">HHHHHH", message[:12])
    assert ident == 7 and flags & 0x8000
    return flags & 15, answers, authority, flags


class Test(unittest.TestCase):
    def serve(self, zone):
        server = DnsServer(zone).start()
        self.addCleanup(server.stop)
        return server

    def test_records(self):
        dns = self.serve("example.org MX 10 mx1.example.org\nexample.org MX 20 mx2.example.org\n"
                         "mx1.example.org 60 A 127.0.0.1  # a comment\n192.0.2.1 PTR mx1.example.org\n"
                         'example.org TXT "v=spf1 " "-all"\nwww.example.org CNAME mx1.example.org\n'
                         "_25._tcp.mx1.example.org TLSA 3 1 1 abcd\n*.wild.example A 192.0.2.9\n")
        self.assertEqual(header(ask_udp(dns.port, "Example.ORG", "MX"))[:2], (0, 2))
        answer = ask_udp(dns.port, "mx1.example.org", "A")
        self.assertTrue(answer.endswith(struct.pack(">IH", 60, 4) + bytes([127, 0, 0, 1])))
        self.assertEqual(header(ask_udp(dns.port, "1.2.0.192.in-addr.arpa", "PTR"))[:2], (0, 1))
        self.assertTrue(ask_udp(dns.port, "example.org", "TXT").endswith(b"\x07v=spf1 \x04-all"))
        self.assertEqual(header(ask_udp(dns.port, "www.example.org", "A"))[:2], (0, 2))
        self.assertTrue(ask_udp(dns.port, "_25._tcp.mx1.example.org", "TLSA").endswith(b"\3\1\1\xab\xcd"))
        self.assertEqual(header(ask_udp(dns.port, "a.b.wild.example", "A"))[:2], (0, 1))
        self.assertEqual(dns.count("example.org"), 2)
        self.assertEqual(dns.count("192.0.2.1", "PTR"), 1)
        self.assertEqual(dns.queries[0][1:], ("example.org", "MX", False))

    def test_results(self):
        dns = self.serve("a SERVFAIL\nb REFUSED\nc NXDOMAIN\nd NODATA\ne A 192.0.2.1\ne MX SERVFAIL\nf DROP\n"
                         "g NXDOMAIN\ng NOSOA\nh A 192.0.2.1\nh AD\n")
        expected = {"a": (2, 0, 0), "b": (5, 0, 0), "c": (3, 0, 1), "d": (0, 0, 1), "e": (0, 1, 0),
                    "g": (3, 0, 0), "unknown": (3, 0, 1)}
        for name, result in expected.items():
            self.assertEqual(header(ask_udp(dns.port, name, "A"))[:3], result, name)
        self.assertEqual(header(ask_udp(dns.port, "e", "MX"))[:3], (2, 0, 0))
        self.assertEqual(header(ask_udp(dns.port, "e", "TXT"))[:3], (0, 0, 1))
        self.assertTrue(header(ask_udp(dns.port, "h", "A"))[3] & 0x20)
        with self.assertRaises(socket.timeout):
            ask_udp(dns.port, "f", "A", timeout=0.1)

    def test_delay_and_cut(self):
        dns = self.serve("slow A 192.0.2.1\nslow DELAY 120\ncut A 192.0.2.1\ncut CUT\n"
                         + "".join("big TXT %s\n" % ("x" * 200) for _ in range(5)))
        for ask in (ask_udp, ask_tcp):
            began = time.monotonic()
            self.assertEqual(header(ask(dns.port, "slow", "A"))[1], 1)
            self.assertGreater(time.monotonic() - began, 0.1)
        for name in ("cut", "big"):
            type_name = "A" if name == "cut" else "TXT"
            self.assertTrue(header(ask_udp(dns.port, name, type_name))[3] & 0x200)
            self.assertFalse(header(ask_tcp(dns.port, name, type_name))[3] & 0x200)
        self.assertEqual(header(ask_udp(dns.port, "big", "TXT", edns=4096))[1], 5)
        self.assertEqual(dns.count("cut"), 2)

    def test_changes(self):
        dns = self.serve("a A 192.0.2.1\n")
        dns.add("b A 192.0.2.2\n192.0.2.2 PTR b\n")
        self.assertEqual(header(ask_udp(dns.port, "a", "A"))[1], 1)
        self.assertEqual(header(ask_udp(dns.port, "b", "A"))[1], 1)
        dns.remove("192.0.2.2")
        self.assertEqual(header(ask_udp(dns.port, "2.2.0.192.in-addr.arpa", "PTR"))[0], 3)
        dns.set("* SERVFAIL")
        self.assertEqual(header(ask_udp(dns.port, "a", "A"))[0], 2)
        self.assertTrue(dns.wait("a", n=2, timeout=1))
        self.assertFalse(dns.wait("never", timeout=0.05))

    def test_stop_and_start_again(self):
        dns = self.serve("a A 192.0.2.1\n")
        port = dns.port
        dns.stop()
        with self.assertRaises(OSError):
            ask_tcp(port, "a", "A")
        dns.start()
        self.assertEqual(dns.port, port)
        self.assertEqual(header(ask_tcp(port, "a", "A"))[1], 1)

    def test_junk_is_survived(self):
        dns = self.serve("a A 192.0.2.1\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for junk in (b"", b"x", b"\0" * 12, b"\0" * 11 + b"\xc0", query("a", "A")[:20]):
                s.sendto(junk, ("127.0.0.1", dns.port))
        self.assertEqual(header(ask_udp(dns.port, "a", "A"))[1], 1)

    def test_wrong_zones_are_named(self):
        for zone, word in (("a", "line 1"), ("a A 1.2.3", "1.2.3"), ("\n\na BAD x", "line 3"),
                           ("a MX mx", "a MX mx"), ("a DELAY x", "DELAY"), ("a A", "line 1")):
            with self.assertRaises(ZoneError) as caught:
                DnsServer(zone)
            self.assertIn(word, str(caught.exception))

    def test_program(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dns_server.py")
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, path], stdin=pipe, stdout=pipe, text=True) as p:
            port = int(p.stdout.readline().split()[1])
            self.assertEqual(header(ask_udp(port, "a.example", "MX"))[0], 3)
            self.assertEqual(p.stdout.readline(), "query a.example MX udp\n")
            p.stdin.close()
            self.assertEqual(p.wait(5), 0)


if __name__ == "__main__":
    unittest.main()
