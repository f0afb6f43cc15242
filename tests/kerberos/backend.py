#!/usr/bin/env python3
"""backend.py [CASE ...] - the Kerberos password backend against a KDC of ours, a false one, silent and dead ones.

Exit status 77: no KDC is installed. The environment says where the program is: KERBEROS_PROGRAMS.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import kdc as k  # noqa: E402

SKIPPED = 77
PROGRAM = os.path.join(os.environ.get("KERBEROS_PROGRAMS", "."), "kerberos_ask")
DEVICE, PASSWORD = "smtp-relay/scan.example.edu", "correct horse"
SERVICE = "smtp/relay.example.edu"
TEXT_FIELDS = ("answer", "status", "ms", "identity", "why")
STATS = ("logins", "remembered", "asked", "late", "busy", "queued", "cached", "kdc_down")


def expect(what, wanted, got):
    if wanted != got:
        raise b.Failure("%s: expected %r, got %r" % (what, wanted, got))


class Asker:
    """The program; answers are dictionaries by the number of their question."""

    def __init__(self, **config):
        self.process = subprocess.Popen([PROGRAM] + ["%s=%s" % item for item in config.items()], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.answers, self.said = {}, []
        self.asked = 0
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.first = self._next()

    def _read(self):
        for line in self.process.stdout:
            words = line.rstrip("\n").split("\t")
            with self.changed:
                if words[0] == "done":
                    answer = dict(zip(TEXT_FIELDS, words[2:]))
                    answer["ms"] = int(answer["ms"])
                    self.answers[int(words[1])] = answer
                else:
                    self.said.append(words)
                self.changed.notify_all()
        with self.changed:
            self.said.append(["over"])
            self.changed.notify_all()

    def _next(self):
        with self.changed:
            if not self.changed.wait_for(lambda: self.said, 60):
                raise b.Failure("kerberos_ask says nothing")
            return self.said.pop(0)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def start(self, user, password):
        self.asked += 1
        self.tell("ask %d %s %s" % (self.asked, user.encode().hex() or "-", password.encode().hex() or "-"))
        return self.asked

    def answer(self, number, seconds=40):
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.answers, seconds):
                raise b.Failure("no answer to question %d in %d s" % (number, seconds))
            return self.answers.pop(number)

    def ask(self, user, password):
        return self.answer(self.start(user, password))

    def check(self, user, password, wanted):
        got = self.ask(user, password)
        expect("answer to %r (%s)" % (user, got["why"]), wanted, got["answer"])
        return got

    def say(self, line):
        self.tell(line)
        return self._next()[1:]

    def stats(self):
        return dict(zip(STATS, map(int, self.say("stats"))))

    def ticks(self):
        return [int(n) for n in self.say("ticks")]

    def end(self):
        """Frees the backend while calls may be stuck, then lets them end. How long freeing took, in milliseconds."""
        took = int(self.say("end")[0])
        if self.process.wait(60) != 0:
            raise b.Failure("kerberos_ask: exit status %d" % self.process.returncode)
        self.close()
        return took

    def close(self):
        """For a test that went wrong: no ceremony."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdin.close()
        self.process.stdout.close()


class Bed:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="kerberos-")
        self.kdc = k.Kdc(os.path.join(self.dir, "kdc")).start()
        self.kdc.add(DEVICE, PASSWORD)
        self.keytab = self.kdc.keytab(SERVICE)
        self.open = []

    def keep(self, thing):
        self.open.append(thing)
        return thing

    def conf(self, *ports):
        return self.kdc.conf("krb5-%s.conf" % "-".join(map(str, ports)), ports)

    def asker(self, ports=None, **config):
        settings = {"realm": k.REALM, "service": SERVICE, "keytab": self.keytab, "krb5_conf": self.conf(*(ports or [self.kdc.port]))}
        settings.update(config)
        asker = self.keep(Asker(**settings))
        expect("the backend's start (%s)" % " ".join(asker.first), "ready", asker.first[0])
        return asker

    def release(self):
        for thing in reversed(self.open):
            thing.close()
        self.open = []

    def close(self):
        self.release()
        self.kdc.stop()
        shutil.rmtree(self.dir)


# ---- cases ------------------------------------------------------------------------------------------------


def answers(bed):
    """Right, wrong, unknown, expired, password expired, locked; and the shapes of a name."""
    bed.kdc.add("expired", "secret", "-expire", "2001-01-01")
    bed.kdc.add("stale", "secret", "-pwexpire", "2001-01-01")
    bed.kdc.add("locked", "secret", "-allow_tix")
    bed.kdc.add("copier7", "s\u00e4cret with spaces")
    a = bed.asker()
    full = "%s@%s" % (DEVICE, k.REALM)
    expect("the identity", full, a.check(DEVICE, PASSWORD, "right")["identity"])
    expect("the identity", full, a.check(full, PASSWORD, "right")["identity"])
    expect("the identity", full, a.check(DEVICE + "@example.edu", PASSWORD, "right")["identity"])
    a.check("copier7", "s\u00e4cret with spaces", "right")
    a.check(DEVICE, "not it", "wrong")
    a.check(DEVICE, "", "wrong")
    a.check(DEVICE, PASSWORD + "\0", "wrong")
    a.check(DEVICE, "x" * 1025, "wrong")
    a.check("nobody/here", "secret", "unknown")
    a.check("expired", "secret", "expired")
    a.check("stale", "secret", "expired")
    a.check("locked", "secret", "locked")
    a.check("locked", "not it", "locked")
    for name in ("", "@", "a@b@c", "a\\@EVIL.EXAMPLE", "a\nb", "a//b", "@" + k.REALM, "a@"):
        a.check(name, PASSWORD, "unknown")
    a.end()


def allowed(bed):
    """A pattern says which principals may log in; the whole name is compared."""
    bed.kdc.add("alice", "secret")
    a = bed.asker(allow="smtp-relay/.*|fax[0-9]+")
    a.check(DEVICE, PASSWORD, "right")
    before = a.stats()["asked"]
    a.check("alice", "secret", "unknown")
    a.check("x-smtp-relay/a", "secret", "unknown")
    expect("questions to the KDC", before, a.stats()["asked"])
    a.end()
    bad = Asker(realm=k.REALM, service=SERVICE, keytab=bed.keytab, krb5_conf=bed.conf(bed.kdc.port), allow="(")
    expect("a pattern that is none", "failed", bad.first[0])
    bad.close()


def configuration(bed):
    """What cannot work is said at the start, in words."""
    good = {"realm": k.REALM, "service": SERVICE, "keytab": bed.keytab, "krb5_conf": bed.conf(bed.kdc.port)}
    for change, words in (({"keytab": bed.dir + "/nothing"}, bed.dir + "/nothing"), ({"service": "smtp/other"}, "smtp/other"),
                          ({"krb5_conf": bed.dir + "/nowhere"}, bed.dir + "/nowhere")):
        asker = Asker(**dict(good, **change))
        expect("a start with %r" % change, "failed", asker.first[0])
        if words not in asker.first[1]:
            raise b.Failure("%r is not in %r" % (words, asker.first[1]))
        asker.close()
    del good["realm"]
    a = bed.keep(Asker(**good))
    a.check(DEVICE, PASSWORD, "right")
    a.end()


def foreign_realm(bed):
    """No packet is sent for a realm that is not ours, also where krb5.conf knows its KDC."""
    with k.SilentKdc() as foreign:
        conf = bed.kdc.conf("krb5-foreign.conf", [foreign.port], "[domain_realm]\n")
        with open(conf, "a", encoding="utf-8") as f:
            f.write("[realms]\n EVIL.EXAMPLE = {\n  kdc = 127.0.0.1:%d\n }\n" % foreign.port)
        a = bed.asker(krb5_conf=conf, timeout_us=500000)
        for name in (DEVICE + "@EVIL.EXAMPLE", "a@EVIL.EXAMPLE", "a\\@EVIL.EXAMPLE", "a@%s@EVIL.EXAMPLE" % k.REALM, "a@b"):
            got = a.check(name, PASSWORD, "unknown")
            if got["ms"] > 400:
                raise b.Failure("%s took %d ms" % (name, got["ms"]))
        time.sleep(0.3)
        expect("packets", 0, foreign.packets)
        # The counter does count: a name of our own realm goes there.
        a.check(DEVICE, PASSWORD, "tempfail")
        if foreign.packets == 0:
            raise b.Failure("the counting KDC has seen nothing of a login of our realm either")
    a.end()


def false_kdc(bed):
    """Who answers in the KDC's place, with a password that he knows, is not believed; nor is the true one with a key we have not."""
    evil = bed.keep(k.Kdc(os.path.join(bed.dir, "evil-%d" % time.monotonic_ns())))
    evil.start()
    evil.add(DEVICE, "the attacker's")
    evil.keytab(SERVICE, "evil.keytab")
    a = bed.asker([evil.port])
    got = a.check(DEVICE, "the attacker's", "tempfail")
    if "false" not in got["why"]:
        raise b.Failure("the log would not say what happened: %r" % got["why"])
    if "AS_REQ" not in evil.log():
        raise b.Failure("the false KDC was not asked")
    a.check(DEVICE, "the attacker's", "tempfail")
    a.end()
    mine = bed.asker([evil.port], keytab=evil.path("evil.keytab"))
    mine.check(DEVICE, "the attacker's", "right")  # it was the key that told them apart
    mine.end()


def silent(bed, udp, tcp):
    """Answered within five seconds; then at once, while it is silent; right again soon after it speaks. The loop goes on all the while."""
    with k.SilentKdc(udp=udp, tcp=tcp) as dead:
        a = bed.asker([dead.port], threads=4, breaker_retry_us=1000000)
        a.ticks()
        numbers = [a.start("%s%d" % (DEVICE, i), PASSWORD) for i in range(20)]
        for number in numbers:
            got = a.answer(number)
            expect("an answer (%s)" % got["why"], "tempfail", got["answer"])
            if got["ms"] >= 5000:
                raise b.Failure("an answer took %d ms" % got["ms"])
        # The breaker is open: these do not wait, and take no threads.
        for i in range(50):
            got = a.check("late%d" % i, PASSWORD, "tempfail")
            if i > 1 and got["ms"] > 200:
                raise b.Failure("login %d waited for %d ms with the KDC known to be silent" % (i, got["ms"]))
        stats = a.stats()
        if not stats["kdc_down"] or stats["busy"] > 4 or stats["queued"]:
            raise b.Failure("the breaker: %r" % stats)
        ticks, gap = a.ticks()
        if gap > 500 or ticks < 400:
            raise b.Failure("the loop ticked %d times and stood still for %d ms" % (ticks, gap))
    a.end()
    return "%d questions, %d logins" % (stats["asked"], stats["logins"])


def silent_udp(bed):
    return silent(bed, True, False)


def silent_tcp(bed):
    return silent(bed, False, True)


def comes_back(bed):
    """A KDC that was down is believed again as soon as a probe finds it; freeing the backend does not wait for what is stuck."""
    with k.SilentKdc(tcp=False) as dead:
        conf = bed.conf(dead.port)
        a = bed.asker(krb5_conf=conf, timeout_us=1000000, breaker_retry_us=500000, threads=2, breaker_bad_max=1)
        a.check(DEVICE, PASSWORD, "tempfail")
        expect("kdc_down", 1, a.stats()["kdc_down"])
        # Its address is ours from now on: the file is read anew.
        with open(conf, encoding="utf-8") as f:
            text = f.read()
        k.write(conf, text.replace(str(dead.port), str(bed.kdc.port)))
        expect("refresh", "1", a.say("refresh")[0])
        b.wait_until("a login after the KDC is back", lambda: a.ask(DEVICE, PASSWORD)["answer"] == "right", 10)
        expect("kdc_down", 0, a.stats()["kdc_down"])
        expect("busy (the first call is stuck yet)", 1, a.stats()["busy"])
        began = time.monotonic()
        a.tell("end")
        took = int(a._next()[1])
        if took > 200 or time.monotonic() - began > 1:
            raise b.Failure("freeing waited %d ms" % took)
    expect("exit status", 0, a.process.wait(60))


def dead_first(bed):
    """The first KDC of two is silent: every login is answered in time, and after the first ones the living one is asked first."""
    with k.SilentKdc(tcp=False) as dead:
        a = bed.asker([dead.port, bed.kdc.port], cache_right_us=-1)
        first = a.check(DEVICE, PASSWORD, "right")
        if first["ms"] >= 5000:
            raise b.Failure("the first login took %d ms" % first["ms"])
        after = [a.check(DEVICE, PASSWORD, "right")["ms"] for _ in range(4)]
        if max(after) > 800:
            raise b.Failure("later logins took %r ms" % after)
        a.end()
    return "%d ms, then %r" % (first["ms"], after)


def refused(bed):
    """Nobody listens: TEMPFAIL, at once."""
    a = bed.asker([k.free_port()])
    got = a.check(DEVICE, PASSWORD, "tempfail")
    if got["ms"] > 2000:
        raise b.Failure("it took %d ms" % got["ms"])
    a.end()


def clock(bed):
    """A KDC whose clock is an hour off is trouble of the machines, never of the device."""
    faketime = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not faketime:
        return "left out: libfaketime is not installed"
    other = bed.keep(k.Kdc(os.path.join(bed.dir, "clock")))
    other.start()
    other.add(DEVICE, PASSWORD)
    other.keytab(SERVICE)
    other.stop()
    other.serve(LD_PRELOAD=faketime[0], FAKETIME="+1h")
    a = bed.asker([other.port], keytab=other.path("service.keytab"))
    a.check(DEVICE, PASSWORD, "right")  # libkrb5 goes by the KDC's clock
    a.end()
    strict = bed.kdc.conf("krb5-clock.conf", [other.port], "[libdefaults]\n kdc_timesync = 0\n")
    a = bed.asker(krb5_conf=strict, keytab=other.path("service.keytab"))
    why = a.check(DEVICE, PASSWORD, "tempfail")["why"]
    a.end()
    return why


def keytab_rotated(bed):
    """The service gets a new key: in the KDC first, then in the file. No restart, and no wrong answers in between."""
    kdc = bed.kdc
    keytab = kdc.keytab("smtp/rotated.example.edu", "rotated.keytab")
    a = bed.asker(service="smtp/rotated.example.edu", keytab=keytab, cache_right_us=60000000)
    a.check(DEVICE, PASSWORD, "right")
    shutil.copy(keytab, keytab + ".old")
    kdc.keytab("smtp/rotated.example.edu", "rotated.keytab.new")  # the KDC has it, the file has not
    a.check(DEVICE, PASSWORD, "right")  # remembered
    expect("remembered", 1, a.stats()["remembered"])
    expect("refresh", "0", a.say("refresh")[0])
    a.say("forget %s@%s" % (DEVICE, k.REALM))
    a.check(DEVICE, PASSWORD, "tempfail")
    os.rename(keytab + ".new", keytab)
    expect("refresh", "1", a.say("refresh")[0])
    a.check(DEVICE, PASSWORD, "right")
    os.unlink(keytab)
    answer = a.say("refresh")
    if int(answer[0]) >= 0 or keytab not in answer[1]:
        raise b.Failure("a keytab that has gone: %r" % answer)
    a.check(DEVICE, PASSWORD, "tempfail")
    shutil.copy(keytab + ".old", keytab)
    a.say("refresh")
    a.check(DEVICE, PASSWORD, "tempfail")
    a.end()


def remembered(bed):
    """Right answers and refusals are asked for once, for a while; other passwords are asked for by themselves."""
    a = bed.asker(cache_right_us=1500000, cache_refused_us=700000)

    def asked():
        return a.stats()["asked"]

    for _ in range(5):
        a.check(DEVICE, PASSWORD, "right")
        a.check(DEVICE, "stale", "wrong")
        a.check("nobody", "any", "unknown")
    expect("questions", 3, asked())
    a.check(DEVICE, "another", "wrong")
    expect("questions", 4, asked())
    time.sleep(0.8)
    a.check(DEVICE, "stale", "wrong")
    a.check(DEVICE, PASSWORD, "right")
    expect("questions", 5, asked())
    time.sleep(1)
    a.check(DEVICE, PASSWORD, "right")
    expect("questions", 6, asked())
    a.say("forget %s@%s" % (DEVICE, k.REALM))
    a.check(DEVICE, PASSWORD, "right")
    expect("questions", 7, asked())
    a.end()


def many(bed):
    """Two hundred at once: different devices, some with wrong passwords; and many at once of one device are one question."""
    kdc = bed.kdc
    names = ["many%d" % i for i in range(40)]
    lines = "".join("addprinc -pw secret-%s +requires_preauth %s\n" % (name, name) for name in names)
    subprocess.run([k.program("kadmin.local")], env=kdc.env(), input=lines, text=True, capture_output=True, check=True, timeout=120)
    a = bed.asker(timeout_us=20000000)  # a sanitizer's build on a busy machine is no measure of speed
    a.ticks()
    began = time.monotonic()
    numbers = []
    for i in range(200):
        name = names[i % len(names)]
        wanted = "right" if i % 5 else "wrong"
        numbers.append((a.start(name, ("secret-" if i % 5 else "no-%d-" % i) + name), wanted))
    for number, wanted in numbers:
        got = a.answer(number)
        expect("an answer of many (%s)" % got["why"], wanted, got["answer"])
    took = time.monotonic() - began
    gap = a.ticks()[1]
    if gap > 500:
        raise b.Failure("the loop stood still for %d ms" % gap)
    before = a.stats()["asked"]
    numbers = [a.start(DEVICE, PASSWORD) for _ in range(50)]
    for number in numbers:
        expect("an answer of one device", "right", a.answer(number)["answer"])
    expect("questions for fifty logins of one device", before + 1, a.stats()["asked"])
    a.end()
    return "200 in %.2f s" % took


def gives_up(bed):
    """A client that goes away while the KDC is asked: his check ends at once, and those of others do not."""
    with k.SilentKdc(tcp=False) as dead:
        a = bed.asker([dead.port], timeout_us=2000000)
        one, two = a.start(DEVICE, PASSWORD), a.start(DEVICE, PASSWORD)
        a.tell("cancel %d" % one)
        got = a.answer(one)
        expect("the status of one that was cancelled", "CANCELED", got["status"])
        if got["ms"] > 500:
            raise b.Failure("it took %d ms" % got["ms"])
        got = a.answer(two)
        expect("the status of the other", "TIMEOUT", got["status"])
        if got["ms"] < 1500:
            raise b.Failure("the other ended after %d ms" % got["ms"])
    a.end()


def full(bed):
    """A queue that is full says so; nothing grows."""
    with k.SilentKdc(tcp=False) as dead:
        a = bed.asker([dead.port], timeout_us=1500000, threads=2, queue_max=5, breaker_bad_max=1000)
        numbers = [a.start("dev%d" % i, PASSWORD) for i in range(50)]
        quick = 0
        for number in numbers:
            got = a.answer(number)
            expect("an answer", "tempfail", got["answer"])
            quick += "too many" in got["why"]
        if not 43 <= quick <= 45:
            raise b.Failure("%d of 50 were turned away by a queue of 5 with 2 threads" % quick)
    a.end()


CASES = [answers, allowed, configuration, foreign_realm, false_kdc, silent_udp, silent_tcp, comes_back, dead_first, refused, clock,
         keytab_rotated, remembered, many, gives_up, full]


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
            bed.release()
    finally:
        bed.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
