#!/usr/bin/env python3
"""dkim_signatures.py - signatures of `postern dkim sign` are verified by dkimpy and by OpenDKIM, those of dkimpy by
`postern dkim verify` (OpenDKIM's tool signs with rsa-sha1, which nobody accepts any more); `postern dkim keygen` and `check` against
a name server of ours.

Wants Debian's python3-dkim; opendkim-testmsg if it is there. Exit status 77 without the former.
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

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

POSTERN = os.environ["POSTERN"]
OPENDKIM = shutil.which("opendkim-testmsg") or shutil.which("/usr/sbin/opendkim-testmsg")
INSIDE = "--inside"
DOMAIN = "relay.example.edu"
HEAD = (b"From: Copier <scans@bio.example.edu>\r\nTo: office@example.org,\r\n\tsecond@example.org\r\n"
        b"Subject: =?utf-8?q?x?=\r\n  folded\r\n"
        b"Date: Thu, 21 Nov 2024 07:15:00 -0600\r\nMessage-ID: <1@bio.example.edu>\r\nMIME-Version: 1.0\r\n"
        b"X-Odd:  two  spaces \r\n\r\n")
CONFIG = """
hostname = "%s"
data_dir = "%s"
dns = { servers = "127.0.0.1:%d" }
listener "relay" { bind = "127.0.0.1:0", policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
dkim = {
  { domain = "%s", selector = "r1", key = "%s" },
  { domain = "%s", selector = "e1", key = "%s" },
}
"""

failures = []


def expect(what, wanted, got):
    if wanted != got:
        failures.append("%s: expected %r, got %r" % (what, wanted, got))


def postern(*words, **options):
    return subprocess.run([POSTERN, "dkim", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def messages():
    for name, body in bodies.CASES.items():
        # Files of Unix have bare LFs; on the wire they are CRLF, and a last line without one stays so (BDAT).
        yield name, HEAD + body.replace(b"\n", b"\r\n")


def verified_by_dkimpy(message, zone):
    """One truth value for each signature of the message."""
    checker = dkim.DKIM(message)
    count = sum(name.lower() == b"dkim-signature" for name, _ in checker.headers)
    answer = lambda name, timeout=5: zone.get(name.decode().rstrip("."))  # noqa: E731
    results = []
    for i in range(count):
        try:
            results.append(dkim.DKIM(message).verify(idx=i, dnsfunc=answer))
        except dkim.DKIMException as e:
            results.append(str(e))
    return results


def results_of(message, port):
    out = postern("verify", "--json", "--server", "127.0.0.1:%d" % port, input=message)
    if not out.stdout:
        return ["no output: %r" % out.stderr]
    return ["%s%s" % (s["result"], s["reason"] and " " + s["reason"]) for s in json.loads(out.stdout)["signatures"]]


def make_keys(directory, zone):
    for selector, kind in (("r1", "rsa"), ("e1", "ed25519")):
        out = postern("keygen", "--domain", DOMAIN, "--selector", selector, "--type", kind, "--out", directory, "--json")
        made = json.loads(out.stdout)
        zone[made["name"]] = made["record"].encode()
        expect("the mode of %s" % made["file"], 0o600, os.stat(made["file"]).st_mode & 0o777)
        yield made["file"]


def check_keys(config, files, dns):
    """What `postern dkim check` says while the records are there, missing, exchanged, and while nobody answers."""
    def said(*words):
        out = postern("check", *words)
        return out.returncode, out.stdout.decode()

    status, text = said("--config", config)
    expect("check of good keys", (0, 2), (status, text.count("It is the public half of the private key.")))
    dns.set("r1._domainkey.%s NXDOMAIN" % DOMAIN)
    status, text = said(DOMAIN, "r1", "--key", files[0], "--server", "127.0.0.1:%d" % dns.port)
    expect("check without a record", (1, True, True), (status, "There is no TXT record" in text, "It should be:" in text))
    dns.set("e1._domainkey.%s SERVFAIL" % DOMAIN)
    status, text = said(DOMAIN, "e1", "--server", "127.0.0.1:%d" % dns.port)
    expect("check without an answer", (1, True), (status, "The DNS did not answer" in text))


def ours_by_others(config, zone):
    for name, message in messages():
        out = postern("sign", "--config", config, input=message)
        expect("%s: what is under the signatures" % name, True, out.stdout.endswith(message))
        expect("%s: ours by dkimpy" % name, [True, True], verified_by_dkimpy(out.stdout, zone))
        changed = out.stdout.replace(b"Subject: ", b"Subject: Re: ", 1)
        expect("%s: changed" % name, [False, False], verified_by_dkimpy(changed, zone))


def others_by_ours(files, port):
    with open(files[0], "rb") as f:
        rsa = f.read()
    # dkimpy wants the bare seed of an Ed25519 key: it is the end of the file's only structure.
    seed = subprocess.run(["openssl", "pkey", "-in", files[1], "-outform", "DER"], stdout=subprocess.PIPE, check=True).stdout[-32:]
    for name, message in messages():
        for head in (b"simple", b"relaxed"):
            for body in (b"simple", b"relaxed"):
                made = dkim.sign(message, b"r1", DOMAIN.encode(), rsa, canonicalize=(head, body),
                                 length=name == "plain")
                what = "%s: dkimpy's %s/%s by ours" % (name, head.decode(), body.decode())
                expect(what, ["pass"], results_of(made + message, port))
    message = next(messages())[1]
    made = dkim.sign(message, b"e1", DOMAIN.encode(), base64.b64encode(seed), canonicalize=(b"relaxed", b"relaxed"),
                     signature_algorithm=b"ed25519-sha256")
    expect("dkimpy's Ed25519 by ours", ["pass"], results_of(made + message, port))
    expect("the same, changed", ["fail the body is not what was signed"], results_of(made + message + b"more\r\n", port))


def ours_by_opendkim(config, zone, directory):
    """opendkim-testmsg asks the name server of /etc/resolv.conf: so it runs in namespaces where that is ours."""
    if not OPENDKIM or subprocess.run(["unshare", "-n", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
        print("without OpenDKIM: opendkim-testmsg is missing, or namespaces are not allowed")
        return
    cases = {}
    for name, message in messages():
        # What it reads from its standard input are lines that end with LF.
        if not message.endswith(b"\r\n"):
            continue
        signed = postern("sign", "--config", config, input=message).stdout.replace(b"\r\n", b"\n")
        for what, text in ((name, signed), (name + ", changed", signed.replace(b"Subject: ", b"Subject: Re: ", 1))):
            cases[what] = os.path.join(directory, "%d.eml" % len(cases))
            with open(cases[what], "wb") as f:
                f.write(text)
    out = subprocess.run(["unshare", "-n", "-m", sys.executable, os.path.abspath(__file__), INSIDE, directory],
                         input=json.dumps([zone_text(zone), cases]).encode(), stdout=subprocess.PIPE)
    if out.returncode:
        failures.append("OpenDKIM could not be run in its namespaces")
        return
    for what, status in json.loads(out.stdout).items():
        expect("%s: ours by OpenDKIM" % what, not what.endswith("changed"), status == 0)


def inside(directory):
    """The part of ours_by_opendkim() in the namespaces."""
    zone, cases = json.load(sys.stdin)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    resolv = os.path.join(directory, "resolv.conf")
    with open(resolv, "w") as f:
        f.write("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", resolv, "/etc/resolv.conf"], check=True)
    results = {}
    with DnsServer(zone, port=53):
        for what, path in cases.items():
            with open(path, "rb") as f:
                results[what] = subprocess.run([OPENDKIM], stdin=f, stderr=subprocess.DEVNULL).returncode
    print(json.dumps(results))
    return 0


def zone_text(zone):
    return "".join('%s TXT "%s"\n' % (name, record.decode()) for name, record in zone.items())


def main():
    zone = {}
    with tempfile.TemporaryDirectory(prefix="postern-dkim-") as directory:
        files = list(make_keys(directory, zone))
        with DnsServer(zone_text(zone)) as dns:
            config = os.path.join(directory, "postern.lua")
            with open(config, "w") as f:
                f.write(CONFIG % (DOMAIN, directory, dns.port, DOMAIN, files[0], DOMAIN, files[1]))
            ours_by_others(config, zone)
            others_by_ours(files, dns.port)
            ours_by_opendkim(config, zone, directory)
            check_keys(config, files, dns)
    for text in failures[:30]:
        print(text)
    print("%d bodies signed and verified both ways, %d failures" % (len(bodies.CASES), len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(inside(sys.argv[2]) if sys.argv[1:2] == [INSIDE] else main())
