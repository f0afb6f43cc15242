#!/usr/bin/env python3
"""dkim_relay.py [DIRECTORY] - signed mail through the relay: the sender's signatures survive it, the relay's own pass, what was found is
told in Authentication-Results and to policies, and the ARC chain of two relays holds. Others judge: dkimpy signs and verifies.

Messages are the odd bodies of bodies.py, and a third of those in DIRECTORY ($POSTERN_CORPUS, else shared/data/corpus beside the
checkout) if there is one. Wants Debian's python3-dkim; exit status 77 without it.
"""
import base64
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import bodies  # noqa: E402
from dns_server import DnsServer  # noqa: E402

SKIPPED = 77
SYSTEM_PYTHON = "/usr/bin/python3"

try:
    import dkim
except ImportError:
    # The module of the distribution belongs to its own interpreter.
    if os.path.exists(SYSTEM_PYTHON) and not os.environ.get("POSTERN_DKIM_RETRY"):
        os.environ["POSTERN_DKIM_RETRY"] = "1"
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON] + sys.argv)
    print("skipped: dkimpy is missing (Debian: python3-dkim)")
    sys.exit(SKIPPED)

LAB = "lab.example.org"
FORMS = [(b"simple", b"simple"), (b"relaxed", b"relaxed")]
HEAD = (b"From: Copier <scans@lab.example.org>\r\nTo: office@example.org,\r\n\tsecond@example.org\r\n"
        b"Subject: =?utf-8?q?x?=\r\n  folded\r\n"
        b"Date: Thu, 21 Nov 2024 07:15:00 -0600\r\nMessage-ID: <1@lab.example.org>\r\nX-Odd:  two  spaces \r\n\r\n")
POLICY = """
local relay = require "relay"

return relay.policy {
  name = "signed_only", api = 1, options = {},
  setup = function()
    local on = {}
    function on.message(_, msg)
      for _, s in ipairs(msg.dkim) do
        if s.result == "pass" and s.domain == "lab.example.org" then return nil end
        if s.result == "temperror" then
          return relay.defer { code = 451, enhanced = "4.7.5", rule = "signed-only", text = s.reason }
        end
      end
      return relay.reject { code = 550, enhanced = "5.7.20", rule = "signed-only",
        text = (msg.dkim[1] and msg.dkim[1].reason or "not signed") .. "; arc " .. msg.arc }
    end
    return on
  end,
}
"""
CONFIG = """
hostname = "%s"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = 1
dns = { servers = "127.0.0.1:%d" }
dkim = {
  { domain = "%s", selector = "r1", key = "@DIR@/rsa.pem" },
  { domain = "%s", selector = "e1", key = "@DIR@/ed25519.pem" },
}
profile "devices" { newlines = "normalise", nul = true }
local from_here = use "relay_networks" { networks = "127.0.0.0/8" }
listener "relay" { bind = "127.0.0.1:0", reverse_dns = false, profile = "devices", line_max = 1000000, head_size = "4MiB",
  messages_max = 100000, own_hops_max = 50, dkim_verify = true, arc_seal = true, dkim_timeout = "2s", policies = { from_here } }
listener "strict" { bind = "127.0.0.1:0", reverse_dns = false, dkim_verify = true, dkim_sign = false, dkim_timeout = "500ms",
  policies = { from_here, use "signed_only" {} } }
route "*" { via = "[127.0.0.1]:%d" }
"""

failures = []


def expect(what, wanted, got):
    if wanted != got:
        failures.append("%s: expected %r, got %r" % (what, wanted, got))


class Zone:
    """Keys by name: for dkimpy, and as a script for the name server."""

    def __init__(self):
        self.keys = {}

    def publish(self, private, selector, domain, kind):
        der = subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-outform", "DER"], stdout=subprocess.PIPE,
                             check=True).stdout
        octets = der[-32:] if kind == "ed25519" else der
        self.keys["%s._domainkey.%s" % (selector, domain)] = "v=DKIM1; k=%s; p=%s" % (kind, base64.b64encode(octets).decode())

    def text(self):
        return "".join('%s TXT "%s"\n' % item for item in self.keys.items())

    def answer(self, name, timeout=5):
        key = self.keys.get(name.decode().rstrip("."))
        return key and key.encode()


def make_key(path, *options):
    subprocess.run(["openssl", "genpkey", "-out", path, *options], check=True, stderr=subprocess.DEVNULL)
    return path


def make_keys(directory, zone, host):
    for kind, selector, options in (("rsa", "r1", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
                                    ("ed25519", "e1", ["-algorithm", "ED25519"])):
        os.makedirs(directory, exist_ok=True)
        zone.publish(make_key(os.path.join(directory, kind + ".pem"), *options), selector, host, kind)


class Lab:
    """Signs as a sender of the world does."""

    def __init__(self, directory, zone):
        path = make_key(os.path.join(directory, "lab.pem"), "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
        zone.publish(path, "k1", LAB, "rsa")
        self.private = subprocess.run(["openssl", "rsa", "-in", path, "-traditional"], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, check=True).stdout

    def sign(self, message, form):
        made = dkim.sign(message, b"k1", LAB.encode(), self.private, canonicalize=form)
        return bodies.normalised(made) + message


def signatures(message, zone):
    """{domain/selector: truth} of all signatures, by dkimpy."""
    checker, results = dkim.DKIM(message), {}
    values = [value for name, value in checker.headers if name.lower() == b"dkim-signature"]
    for i, value in enumerate(values):
        tags = dict(re.findall(rb"(?:^|;)\s*([ds])=\s*([^;\s]+)", value))
        if b"d" not in tags or b"s" not in tags:
            continue
        name = (tags[b"d"] + b"/" + tags[b"s"]).decode()
        try:
            results[name] = dkim.DKIM(message).verify(idx=i, dnsfunc=zone.answer)
        except dkim.DKIMException as e:
            results[name] = str(e)
    return results


def field(message, name):
    """The values of all fields of this name, unfolded."""
    head = message.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    values = re.findall(rb"(?im)^" + name + rb":((?:[^\n]*\n)(?:[ \t][^\n]*\n)*)", head)
    return [re.sub(rb"\s+", b" ", v).strip().decode("utf-8", "replace") for v in values]


def send(client, message, number=0, chunked=False):
    client.send(b"MAIL FROM:<n%d@lab.example.org> BODY=8BITMIME\r\nRCPT TO:<b@example.org>\r\n" % number)
    client.reply(), client.reply()
    if chunked:
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
    else:
        client.send(b"DATA\r\n")
        client.reply()
        wire = message if message.endswith(b"\r\n") else message + b"\r\n"
        client.send(re.sub(rb"(\A|\n)\.", rb"\1..", wire) + b".\r\n")
    return client.reply()[0]


def open_client(relay, listener):
    client = b.Client(relay.port(listener))
    client.reply()
    client.command("EHLO client.example.edu")
    return client


def corpus(directory):
    names = sorted(os.listdir(directory))[::3] if os.path.isdir(directory) else []
    for name in names:
        if name == "manifest.jsonl":
            continue
        with open(os.path.join(directory, name), "rb") as f:
            message = bodies.normalised(f.read())
        # dkimpy reads no more than well-formed header sections with an author; Return-Path and an mbox line do not survive a relay.
        if re.match(rb"(?:[!-9;-~]+:[^\n]*\n(?:[ \t]+[^\s][^\n]*\n)*)+\r\n", message) and re.search(rb"(?im)^from:", message) \
                and b"return-path" not in message.lower() and b"\0" not in message:
            yield name, message


def survive(relays, sink, lab, zone, directory):
    """All that a signature can be over, through both relays."""
    cases, sent, sealed = {}, 0, set()
    client = open_client(relays[0], "relay")
    subjects = [(name, HEAD + body.replace(b"\n", b"\r\n")) for name, body in bodies.CASES.items()]
    for name, message in subjects + list(corpus(directory)):
        for form in FORMS:
            try:
                signed = lab.sign(message, form)
            except (dkim.DKIMException, UnicodeError, ValueError):
                continue
            for chunked in (False, True) if name in bodies.CASES else (False,):
                reply = send(client, signed, sent, chunked)
                what = "%s, %s%s" % (name, form[0].decode(), ", BDAT" if chunked else "")
                if not reply.startswith("250"):
                    failures.append("%s: %s" % (what, reply))
                    continue
                cases[sent] = what
                if re.search(rb"(?im)^arc-", message):
                    sealed.add(sent)
                sent += 1
    client.close()
    for m in sink.wait_for(len(cases), 120):
        number = int(m["from"][1:].split("@")[0])
        check_arrived(cases[number], sink.file(m), zone, number in sealed)
    return sent


def check_arrived(what, message, zone, was_sealed):
    wanted = {"%s/k1" % LAB: True}
    for host in ("one.example.edu", "two.example.edu"):
        wanted.update({host + "/r1": True, host + "/e1": True})
    found = signatures(message, zone)  # a message of the corpus may have others already
    expect(what + ": signatures", wanted, {name: found.get(name) for name in wanted})
    results = field(message, b"Authentication-Results")
    ours = [r for r in results if r.startswith("one.example.edu;")]
    expect(what + ": results of the first relay", (1, True), (len(ours), bool(ours) and "dkim=pass header.d=" + LAB in ours[0]))
    ours = [r for r in results if r.startswith("two.example.edu;")]
    expect(what + ": results of the second", True, bool(ours) and ours[0].count("dkim=pass") == 3)
    if was_sealed:  # by somebody whose keys are not here
        return
    expect(what + ": the chain by the second", True, "arc=pass" in ours[0])
    status, chain, reason = dkim.ARC(message).verify(dnsfunc=zone.answer)
    expect(what + ": the chain", (b"pass", 2), (status, len(chain)))


def forged(relay, sink, lab):
    """Results in our name are not believed, those of others stay, and a broken signature is told."""
    client = open_client(relay, "relay")
    signed = lab.sign(HEAD + b"x\r\n", FORMS[1])
    lies = (b"Authentication-Results: one.example.edu; dkim=pass header.d=bank.example\r\n"
            b"authentication-results : ONE.example.edu (x) 1; dkim=pass header.d=bank.example\r\n"
            b"Authentication-Results: other.example; dkim=pass header.d=bank.example\r\n")
    reply = send(client, lies + signed.replace(b"\r\n\r\nx", b"\r\n\r\ny"), 900001)
    expect("a forged result", True, reply.startswith("250"))
    client.close()
    message = b.wait_until("the forged message",
                           lambda: [m for m in sink.messages() if m["from"].startswith("n900001")])[0]
    results = [r for r in field(sink.file(message), b"Authentication-Results") if not r.startswith("two.")]
    expect("results on arrival", 2, len(results))
    expect("our own word", True, 'dkim=fail reason="the body is not what was signed" header.d=lab.example.org' in results[0])
    expect("that of others", "other.example; dkim=pass header.d=bank.example", results[1])


def policies(relay, dns, lab):
    """msg.dkim decides; a name server that is silent costs its time-out and nothing else."""
    client = open_client(relay, "strict")
    signed = lab.sign(HEAD + b"x\r\n", FORMS[0])
    expect("a good signature", "250", send(client, signed)[:3])
    expect("none", True, "not signed; arc none" in send(client, HEAD + b"x\r\n"))
    expect("a broken one", True, "550 5.7.20 the body is not what was signed" in send(client, signed + b"more\r\n"))
    expect("no such key", True, "there is no key of that name" in send(client, signed.replace(b"s=k1", b"s=k2")))
    dns.set("k3._domainkey.%s DROP" % LAB)
    began = time.monotonic()
    other = open_client(relay, "strict")
    client.send(b"MAIL FROM:<n@lab.example.org>\r\nRCPT TO:<b@example.org>\r\n")
    client.reply(), client.reply()
    client.send(b"DATA\r\n")
    client.reply()
    client.send(signed.replace(b"s=k1", b"s=k3") + b".\r\n")
    expect("another session meanwhile", True, other.command("NOOP")[0].startswith("250") and time.monotonic() - began < 0.4)
    expect("silence", True, client.reply()[0].startswith("451 4.7.5 the key could not be learned"))
    expect("its time", True, 0.4 < time.monotonic() - began < 3)
    # The client goes while its keys are asked for.
    for step in (signed.replace(b"s=k1", b"s=k3"), signed.replace(b"s=k1", b"s=k3") + b".\r\n"):
        other.send(b"MAIL FROM:<n@lab.example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
        other.reply(), other.reply(), other.reply()
        other.send(step)
        other.close()
        other = open_client(relay, "strict")
    other.command("QUIT")
    client.close()


def main(directory):
    zone = Zone()
    with b.Bed() as bed:
        sink = bed.sink()
        lab = Lab(bed.path(), zone)
        relays, next_port = [], sink.port
        for name in ("two", "one"):
            make_keys(bed.path(name), zone, name + ".example.edu")
        with DnsServer(zone.text()) as dns:
            for name in ("two", "one"):
                host = name + ".example.edu"
                os.makedirs(bed.path(name, "policies"), exist_ok=True)
                with open(bed.path(name, "policies", "signed_only.lua"), "w") as f:
                    f.write(POLICY)
                relays.insert(0, bed.relay(CONFIG % (host, dns.port, host, host, next_port), name))
                next_port = relays[0].port("relay")
            sent = survive(relays, sink, lab, zone, directory)
            forged(relays[0], sink, lab)
            policies(relays[0], dns, lab)
    for text in failures[:30]:
        print(text)
    print("%d signed messages through two relays, %d failures" % (sent, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    beside = os.path.join(HERE, "..", "..", "..", "shared", "data", "corpus")
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("POSTERN_CORPUS") or beside))
    except b.Failure as failure:
        for text in failures[:10]:
            print(text)
        sys.exit("dkim_relay.py: %s" % failure)
