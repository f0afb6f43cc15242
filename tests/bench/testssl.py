#!/usr/bin/env python3
"""testssl.py [kind ...] - testssl.sh at each kind of listener: no protocol and no cipher that the settings forbid, TLS 1.0 and 1.1 on
the legacy listener only. Not a part of ctest, for it takes minutes:

    POSTERN=build/postern tests/bench/testssl.py                # all kinds
    POSTERN=build/postern tests/bench/testssl.py default legacy

Of testssl.sh it runs the parts that list protocols, classes of ciphers and the ciphers of each protocol (--protocols, --standard,
--cipher-per-proto). Not with --fast: then it asks for ciphers by the openssl command alone, and where that cannot ask for TLS 1.0
none would be found. What each listener may take is what the openssl command lists for its cipher string and security
level. Ends with 1 and a line for each departure; 77: no testssl.sh.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario", "lib"))

import bed as b  # noqa: E402
import pki  # noqa: E402

OLD = "ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA:AES256-SHA:AES128-SHA"
OURS = "HIGH:!aNULL:!eNULL:!PSK:!SRP:!kDHE:!CAMELLIA:!ARIA:!aDSS:!AESCCM:!AESCCM8:!3DES:!RC4:!MD5:!SEED:!IDEA"
MODERN, ALL = {"TLS1_2", "TLS1_3"}, ["SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3"]
# name: (options of tls, STARTTLS, the protocols it is to offer, cipher string and level that bound those before TLS 1.3)
KINDS = {
    "default": ('mode = "optional"', True, MODERN, None),
    "implicit": ('mode = "implicit"', False, MODERN, None),
    "sniffed": ('mode = "optional", sniff = "serve"', False, MODERN, None),
    "strict": ('mode = "required", min = "1.3"', True, {"TLS1_3"}, None),
    "legacy": ('mode = "optional", min = "1.0", security_level = 0, ciphers = "%s"' % OLD, True, {"TLS1", "TLS1_1"} | MODERN,
               OLD + ":@SECLEVEL=0"),
}
CONFIG = """\
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
tls = { certs = { { cert = "%(dir)s/ec.pem", key = "%(dir)s/ec.key" }, { cert = "%(dir)s/rsa.pem", key = "%(dir)s/rsa.key" } } }
local function open(name, options)
  listener(name) { bind = "127.0.0.1:0", reverse_dns = false, tls = options, clients = { per_client = 5000, total = 5000 },
    policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
end
"""
# Classes that testssl.sh looks for, none of which any listener here may have.
NEVER = ("cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW", "cipherlist_3DES_IDEA")


def permitted(ciphers):
    """{protocol: names}: what openssl takes with that string."""
    out = {}
    for protocol in ("tls1", "tls1_1", "tls1_2", "tls1_3"):
        run = subprocess.run(["openssl", "ciphers", "-s", "-" + protocol, ciphers], capture_output=True, timeout=20, check=False)
        out[protocol] = set(run.stdout.decode().strip().split(":")) if run.returncode == 0 else set()
    return out


def ask(bed, name, port, starttls):
    """The findings of testssl.sh by their ids."""
    file = bed.path(name + ".json")
    argv = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none",
            "--connect-timeout", "20", "--openssl-timeout", "20", "--protocols", "--standard", "--cipher-per-proto", "--jsonfile", file]
    run = subprocess.run(argv + (["--starttls", "smtp"] if starttls else []) + ["127.0.0.1:%d" % port], stdin=subprocess.DEVNULL,
                         capture_output=True, timeout=1200, check=False)
    try:
        with open(file, encoding="utf-8") as f:
            return {finding["id"]: finding["finding"] for finding in json.load(f)}
    except (OSError, ValueError):
        raise b.Failure("%s: testssl.sh left no findings, status %d:\n%s" % (
            name, run.returncode, (run.stdout + run.stderr).decode()[-3000:])) from None


def departures(findings, protocols, ciphers):
    """(what is wrong, names of ciphers that were offered)"""
    out, offered = [], {}
    for protocol in ALL:
        said = findings.get(protocol, "nothing")
        if said.startswith("offered") != (protocol in protocols) or not said.startswith(("offered", "not offered")):
            out.append("%s: %s" % (protocol, said))
    for name in NEVER:
        if findings.get(name, "nothing") != "not offered":
            out.append("%s: %s" % (name, findings.get(name, "nothing")))
    bounds = permitted(ciphers)
    for name, said in findings.items():
        if name.startswith("cipher-tls"):
            protocol = name[len("cipher-"):].rpartition("_x")[0]
            # "TLS 1.2  xc030  ECDHE-RSA-AES256-GCM-SHA384  ECDH 253 ..."
            cipher = re.search(r"\bx[0-9a-f]+\s+(\S+)", said).group(1)
            offered.setdefault(protocol, []).append(cipher)
            if cipher not in bounds.get(protocol, ()):
                out.append("%s: %s is not permitted" % (protocol, cipher))
    for protocol in protocols:
        if not offered.get(protocol.lower()):
            out.append("%s: no cipher was found" % protocol)
    return out, offered


def main(names):
    if not shutil.which("testssl"):
        print("skipped: testssl.sh is not installed")
        return 77
    wrong = 0
    with b.Bed() as bed:
        made = pki.Pki(bed.dir)
        made.ca("ca")
        for kind in ("ec", "rsa"):
            made.cert(kind, alt="DNS:relay.example.edu", by="ca", kind=kind)
        config = CONFIG % {"dir": bed.dir}
        config += "".join('open("%s", { %s })\n' % (name, KINDS[name][0]) for name in names)
        relay = bed.relay(config)
        for name in names:
            _, starttls, protocols, ciphers = KINDS[name]
            began = time.monotonic()
            findings = ask(bed, name, relay.port(name), starttls)
            problems, offered = departures(findings, protocols, ciphers or OURS)
            print("%s (%.0f s): %s" % (name, time.monotonic() - began, "good" if not problems else ""), flush=True)
            for protocol, found in sorted(offered.items()):
                print("  %-7s %s" % (protocol, " ".join(found)))
            for problem in problems:
                print("  WRONG: " + problem)
            wrong += len(problems)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:] or list(KINDS)))
    except b.Failure as failure:
        sys.exit("testssl.py: %s" % failure)
