#!/usr/bin/env python3
"""gssapi.py [CASE ...] - both sides of the SASL mechanism GSSAPI against a KDC of ours.

Exit status 77: no KDC is installed. The environment says where the program is: KERBEROS_PROGRAMS.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import kdc as k  # noqa: E402

SKIPPED = 77
PROGRAM = os.path.join(os.environ.get("KERBEROS_PROGRAMS", "."), "kerberos_gss")
HOST = "relay.example.edu"
SERVICE = "smtp/" + HOST
FIELDS = ("result", "answer", "identity", "bound", "steps", "why")


class Bed:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="gssapi-")
        self.kdc = k.Kdc(os.path.join(self.dir, "kdc")).start()
        self.kdc.add("alice", "secret")
        self.kdc.add("smtp-relay/fax.example.edu", "secret")
        self.keytab = self.kdc.keytab(SERVICE)
        self.ccache = self.kdc.ticket("alice", "secret", os.path.join(self.dir, "alice.cc"))

    def talk(self, conf=None, **settings):
        """One exchange, or several; what came of each."""
        chosen = {"keytab": self.keytab, "host": HOST}
        if not {"ccache", "client_keytab", "client"} & set(settings):
            chosen["ccache"] = self.ccache
        chosen.update(settings)
        env = dict(self.kdc.env(), KRB5CCNAME=self.ccache, KRB5RCACHEDIR=self.dir)
        if conf:
            env["KRB5_CONFIG"] = conf
        done = subprocess.run([PROGRAM] + ["%s=%s" % item for item in chosen.items()], env=env, capture_output=True, text=True, timeout=120,
                              check=False)
        if done.returncode not in (0, 1):
            raise b.Failure("kerberos_gss: exit status %d\n%s%s" % (done.returncode, done.stdout, done.stderr))
        return [dict(zip(FIELDS, line.split("\t"))) for line in done.stdout.splitlines()]

    def check(self, wanted, **settings):
        got = self.talk(**settings)
        if len(got) != 1 or got[0]["result"] != wanted:
            raise b.Failure("%r: expected %s, got %r" % (settings, wanted, got))
        return got[0]

    def close(self):
        self.kdc.stop()
        shutil.rmtree(self.dir)


def expect(what, wanted, got):
    if wanted != got:
        raise b.Failure("%s: expected %r, got %r" % (what, wanted, got))


# ---- cases ------------------------------------------------------------------------------------------------


def ticket(bed):
    """A client with a ticket is who its ticket says; it may say so, and nothing else."""
    got = bed.check("done")
    expect("the identity", "alice@" + k.REALM, got["identity"])
    expect("steps", "3", got["steps"])
    bed.check("done", authzid="alice")
    bed.check("done", authzid="alice@" + k.REALM)
    got = bed.check("refused", authzid="bob")
    expect("the answer", "wrong", got["answer"])
    bed.check("refused", authzid="alice@OTHER.EXAMPLE")
    bed.check("done", principal=SERVICE + "@" + k.REALM)
    both = bed.kdc.keytab("smtp/vip.example.edu", "both.keytab")
    bed.kdc.keytab("smtp/node1.example.edu", "both.keytab")
    bed.check("done", keytab=both, host="vip.example.edu")
    bed.check("done", keytab=both, host="node1.example.edu", principal="smtp/node1.example.edu@" + k.REALM)
    bed.check("refused", keytab=both, host="vip.example.edu", principal="smtp/node1.example.edu@" + k.REALM)
    bed.check("done", client_realm=k.REALM)
    bed.check("done", host="RELAY.example.edu")


def keytab_client(bed):
    """A client with a keytab gets its ticket by itself, keeps it in memory only, and is told apart from others."""
    user = bed.kdc.user_keytab("smtp-relay/fax.example.edu", "fax.keytab")
    got = bed.check("done", client_keytab=user)
    expect("the identity", "smtp-relay/fax.example.edu@" + k.REALM, got["identity"])
    before = bed.kdc.requests()
    expect("twenty in one process", ["done"] * 20,
           [g["result"] for g in bed.talk(client_keytab=user, client_principal="smtp-relay/fax.example.edu", parallel=20)])
    if bed.kdc.requests() - before > 2:
        raise b.Failure("the KDC was asked for a ticket %d times for twenty exchanges" % (bed.kdc.requests() - before))
    bed.check("client failed", client_keytab=user, client_principal="alice")
    got = bed.check("client failed", client_keytab=bed.dir + "/none")
    if "none" not in got["identity"]:
        raise b.Failure("the file is not named: %r" % got)


def client_failures(bed):
    """What the client's side says when it has no ticket, the KDC is away, or the server has no such name."""
    got = bed.check("client failed", ccache=bed.dir + "/nothing.cc")
    if "nothing.cc" not in got["identity"]:
        raise b.Failure("the file is not named: %r" % got)
    got = bed.check("client failed", host="other.example.edu")
    expect("no such service", "DENIED", got["answer"])
    got = bed.check("client failed", host="a/b")
    expect("no name of a host", "INVAL", got["answer"])
    user = bed.kdc.user_keytab("smtp-relay/fax.example.edu", "away.keytab")
    got = bed.check("client failed", client_keytab=user, conf=bed.kdc.conf("away.conf", [k.free_port()]))
    expect("no KDC", "UNREACH", got["answer"])


def who_may(bed):
    """The pattern and the realms say who is let in; a ticket of another service of the same keytab does not."""
    bed.check("done", allow="alice|bob")
    bed.check("refused", allow="smtp-relay/.*")
    bed.check("refused", realm="OTHER.EXAMPLE")
    bed.check("done", realm="OTHER.EXAMPLE", realms="THIRD.EXAMPLE," + k.REALM)
    bed.check("refused", realm="OTHER.EXAMPLE", realms=k.REALM, authzid="alice")  # the bare name is one of our own realm
    bed.check("refused", realm=k.REALM.lower())
    got = bed.check("refused", service="imap")
    if "service" not in got["why"]:
        raise b.Failure("why: %r" % got)


def misbehaving(bed):
    """Clients that do one thing differently."""
    bed.check("done", client="as-is")  # without mutual authentication: one step less
    bed.check("done", client="late")   # nothing with AUTH
    for kind, wanted in (("layer", "refused"), ("size", "refused"), ("short", "malformed"), ("unwrapped", "refused"), ("data", "malformed"),
                         ("garbage", "malformed")):
        got = bed.check(wanted, client=kind)
        if got["identity"]:
            raise b.Failure("%s: it has an identity: %r" % (kind, got))


def bindings(bed):
    """A client that uses channel bindings must be on this channel; one that does not is let in, too."""
    expect("bound, without", "0", bed.check("done", tls=1)["bound"])
    expect("bound, with", "1", bed.check("done", tls=1, client="bound")["bound"])
    got = bed.check("refused", tls=1, client="bound-elsewhere")
    if "binding" not in got["why"]:
        raise b.Failure("why: %r" % got)


def replay(bed):
    """The same first token a second time."""
    got = bed.talk(client="replay")
    expect("results", ["done", "refused"], sorted(g["result"] for g in got))
    bed.check("temporary", replay_cache="file2:%s/no/such/directory/rcache" % bed.dir)
    bed.check("done", replay_cache="none:")


def our_keys(bed):
    """No keytab, or none with a key: it is said at the start. A key that is rotated, or gone: temporary, never refused."""
    for settings in ({"keytab": bed.dir + "/none"}, {"principal": "smtp/other@" + k.REALM}, {"allow": "("}):
        got = bed.talk(**settings)
        expect("a start with %r" % settings, "failed", got[0]["result"])
    kdc = bed.kdc
    old = kdc.keytab("smtp/rotated.example.edu", "rotated.keytab")
    shutil.copy(old, old + ".old")
    ccache = kdc.ticket("alice", "secret", os.path.join(bed.dir, "rotated.cc"))
    bed.check("done", keytab=old, host="rotated.example.edu", ccache=ccache)
    kdc.keytab("smtp/rotated.example.edu", "rotated.keytab")
    bed.check("done", keytab=old, host="rotated.example.edu", ccache=ccache)  # a ticket of before
    fresh = kdc.ticket("alice", "secret", os.path.join(bed.dir, "fresh.cc"))
    got = bed.check("temporary", keytab=old + ".old", host="rotated.example.edu", ccache=fresh)
    bed.check("done", keytab=old, host="rotated.example.edu", ccache=fresh)
    bed.check("temporary", keytab=old, ccache=fresh)  # for a name of ours that this keytab has not
    return got["why"]


def many(bed):
    """Two hundred at a time."""
    began = time.monotonic()
    got = bed.talk(parallel=200)
    expect("results", ["done"] * 200, [g["result"] for g in got])
    return "200 in %.2f s" % (time.monotonic() - began)


CASES = [ticket, keytab_client, client_failures, who_may, misbehaving, bindings, replay, our_keys, many]


def main(names):
    reason = k.unavailable()
    if reason:
        print("skipped: " + reason)
        return SKIPPED
    bed = Bed()
    failed = 0
    try:
        for case in CASES:
            if names and case.__name__ not in names:
                continue
            began = time.monotonic()
            try:
                note = case(bed)
                print("ok %s (%.1f s)%s" % (case.__name__, time.monotonic() - began, ": " + note if note else ""), flush=True)
            except b.Failure as e:
                failed += 1
                print("not ok %s: %s" % (case.__name__, e), flush=True)
    finally:
        bed.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
