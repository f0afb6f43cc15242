#!/usr/bin/env python3
"""run.py SCENARIO.vts ... - plays scenarios against the real binary (in the environment: POSTERN=path).

A scenario is a text that reads like what happens. A statement begins in the first column, what belongs to it is indented; "#"
begins a comment line.

  the neighbours
    dns d1                        a DNS server; its zone follows (lib/dns_server.py)
    dns d1 set                    another zone; follows
    sink s1 [options]             `postern sink`, keeping what it gets
    server u1                     an SMTP server that says what it is told; its dialogue follows, S: is what it says, C: what it
                                  must hear; R: as S: but octets as they are; `tls @k1@` begins TLS, `tls @k1@ fails` must not
                                  succeed. Each further `server u1` is the dialogue of one more connection
    server u1 done                all of its dialogues were held, within seconds
    server u1 clear lacks MAIL a@b.example ...   none of these words came outside of TLS
    ca a1                         a CA; @a1@ is the file of its certificate
    cert k1 mx.example.org,127.0.0.1 [by a1]     a certificate, its chain and key, in the file @k1@; without `by` it signs itself;
                                  @k1.tlsa@ is its TLSA record
    web w1 @k1@                   a web server under TLS
    web w1 serves mta-sts.example.org     its MTA-STS policy for that host; follows
    web w1 asked 1 mta-sts.example.org    so often was it asked for that host, exactly
    stop s1 | start s1            on the same port

  the relay
    file r1 policies/x.lua        a file in the relay's directory; follows
    ca r1 ca                      a certificate authority: ca.pem, ca.key there
    cert r1 relay alt=DNS:relay.example.edu [by=ca] [kind=rsa] [cn=name]
                                  a certificate: relay.pem, relay.key; again: another one in its place
    join r1 both.pem relay.pem relay.key  a file of the content of others
    sasldb r1 sasldb2 user@realm password  an account, by saslpasswd2
    mode r1 both.pem 644          who may read it
    user r1 users add name password  a user of Postern's own file, by `postern user`; also passwd; disable, without password
    nowhere r1 text               neither the log nor anything that was printed has the text, nor its base64
    relay r1                      `postern serve`; its configuration follows. Without a `hostname` in it, one line in front sets
                                  hostname, data_dir, control and one worker
    relay r1 fails ~ text         it must not start, and say why
    config r1                     another configuration file; follows
    reload r1 | stop r1 | crash r1 | start r1
    term r1                       SIGTERM, without waiting for the end; `end r1` waits

  the dialogue
    client c1 r1 relay [from 127.0.0.5] [tls [name=value]]
                                  connects to listener "relay", with TLS from the first octet, or goes on; the dialogue follows
      C: EHLO copier1             is sent with CRLF
      C*: 40 NOOP                 so many times
      R: \\x00raw\\r\\n           octets as they are, escapes as in Python
      R*: 1000 x
      S: 220 *                    the next reply, line for line: * and ? are wildcards, {word} keeps the text to the next space
                                  as @word@, "S: 250..." is a reply of any number of lines
      S: nothing 0.2              nothing comes for so many seconds
      S: closed                   the server ends the connection
      starttls [name=value]       the handshake, after the 220; ca= cert= key= (files of `ca` and `cert`) min= max= ciphers=
      starttls fails              it must not succeed
      tls version=TLSv1.3         what came of it: version cipher serial resumed; wildcards
      auth PLAIN user password    says AUTH, and what the mechanism says after it, up to the reply; also LOGIN, SCRAM-SHA-256
      shutdown                    our half of the connection ends
      wait 0.2                    seconds
    close c1

  what came of it
    sink s1 has 1                         so many messages, within seconds
    sink s1 envelope 1 a@b.example c@d.example,...
    sink s1 body 1 = hello\\r\\n          the body of message 1 is exactly this
    sink s1 text 1 ~ words                somewhere in message 1
    sink s1 header 1 Subject = text       its first header field of that name, unfolded; wildcards; = none: there is none
    sink s1 header 1 Received 2 = text    its second
    log r1 event=refused rule=x text=*y*  such a record comes, within seconds; values may be quoted
    nolog r1 event=worker_stuck           there is none
    logs r1 2 event=x                     exactly so many, within seconds; 2+: at least
    logtext r1 ~ *words*                  a line of the log, for formats other than JSON
    cli r1 queue ls --json ~ text         the command succeeds and prints the text
    cli r1 1 queue ls --json ~ text       it ends with that status
    wait 0.5

In what is indented, and in these lines, @DIR@ is the relay's directory, @r1.dir@ that of another, @r1:listener@ the port of its
listener, @s1@ that of a neighbour. What listens uses port 0:
the system chooses. A failure names the file and the line; then the relay's log follows.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import bed as b  # noqa: E402
import certs  # noqa: E402
import dns_server  # noqa: E402
import pki  # noqa: E402
import sasl  # noqa: E402
import web_server  # noqa: E402
from scripted import ScriptedServer, escape, fields_match, pattern  # noqa: E402


class Scenario:
    def __init__(self, path):
        self.path = path
        self.at = 0
        self.line = ""
        self.bed = b.Bed()
        self.things = {}
        self.kept = {}
        self.relay_of = {}  # of clients
        self.printed = ""  # by command lines

    def fail(self, text):
        raise b.Failure("%s:%d: %s" % (self.path, self.at, text))

    # ---- reading

    def statements(self):
        """(line number, the line, the indented lines under it with their numbers)."""
        with open(self.path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        i = 0
        while i < len(lines):
            line, number = lines[i], i + 1
            i += 1
            if not line.strip() or line.startswith("#"):
                continue
            under = []
            while i < len(lines) and (lines[i].startswith(" ") or not lines[i].strip()):
                under.append((i + 1, lines[i]))
                i += 1
            yield number, line.strip(), self.dedent(under)

    @staticmethod
    def dedent(under):
        texts = [text for _, text in under if text.strip()]
        margin = min((len(t) - len(t.lstrip(" ")) for t in texts), default=0)
        while under and not under[-1][1].strip():
            under.pop()
        return [(number, text[margin:]) for number, text in under]

    def fill(self, text, relay=None):
        for name, thing in self.things.items():
            if hasattr(thing, "port") and not callable(thing.port):
                text = text.replace("@%s@" % name, str(thing.port))
            if isinstance(thing, b.Relay):
                text = text.replace("@%s.dir@" % name, thing.dir)
                text = re.sub("@%s:([^@]+)@" % re.escape(name), lambda m, relay=thing: str(relay.port(m.group(1))), text)
            if isinstance(thing, (certs.Ca, certs.Cert)):
                text = text.replace("@%s@" % name, thing.path)
            if isinstance(thing, certs.Cert):
                text = text.replace("@%s.tlsa@" % name, thing.tlsa)
        for name, value in self.kept.items():
            text = text.replace("@%s@" % name, value)
        return text.replace("@DIR@", self.bed.path(relay)) if relay else text

    def block(self, under, relay=None):
        return self.fill("\n".join(line for _, line in under) + "\n", relay)

    def thing(self, name, kind):
        thing = self.things.get(name)
        if not isinstance(thing, kind):
            self.fail("there is no %s %s" % (kind.__name__.lower(), name))
        return thing

    # ---- neighbours

    def do_dns(self, words, under):
        if words[2:] == ["set"]:
            self.thing(words[1], dns_server.DnsServer).set(self.block(under))
            return
        self.things[words[1]] = self.bed.keep(dns_server.DnsServer(self.block(under)).start())

    def do_server(self, words, under):
        name = words[1]
        if name not in self.things:
            self.things[name] = self.bed.keep(ScriptedServer(self.path).start())
        server = self.thing(name, ScriptedServer)
        if words[2:] == ["done"]:
            server.wait_done()
        elif words[2:4] == ["clear", "lacks"]:
            for word in words[4:]:
                if word.encode() in server.clear:
                    self.fail("%r came outside of TLS: %r" % (word, bytes(server.clear)))
        else:
            server.add([(number, self.fill(text)) for number, text in under])

    def do_web(self, words, under):
        name = words[1]
        if name not in self.things:
            self.things[name] = self.bed.keep(web_server.WebServer(self.fill(words[2])).start())
            return
        server = self.thing(name, web_server.WebServer)
        if words[2] == "serves":
            server.serve(words[3], self.block(under))
        elif server.asked(words[4]) != int(words[3]):
            self.fail("expected %s requests, there were %d" % (words[3], server.asked(words[4])))

    def do_sink(self, words, under):
        name = words[1]
        if name not in self.things:
            self.things[name] = self.bed.sink(name, *words[2:])
            return
        sink, what, number = self.thing(name, b.Sink), words[2], int(words[3])
        if what == "has":
            found = sink.wait_for(number) if number else sink.messages()
            if len(found) != number:
                self.fail("expected %d messages, there are %d" % (number, len(found)))
            return
        message = sink.wait_for(number)[number - 1]
        if what == "envelope":
            got = "%s %s" % (message["from"] or "<>", ",".join(message["to"]))
            if got != " ".join(words[4:]):
                self.fail("expected the envelope %r, got %r" % (" ".join(words[4:]), got))
            return
        head, _, body = sink.file(message).partition(b"\r\n\r\n")
        if what == "text":
            wanted = self.line.partition(" ~ ")[2]
            if escape(wanted) not in head + b"\r\n\r\n" + body:
                self.fail("expected %r in\n%s" % (wanted, (head + b"\n\n" + body).decode("utf-8", "replace")[:6000]))
            return
        wanted = self.line.split(" =", 1)[1].strip()
        if what == "body" and body != escape(wanted):
            self.fail("expected the body %r, got %r" % (escape(wanted)[:500], body[:500]))
        if what == "header":
            unfolded = re.sub(rb"\r\n[ \t]+", b" ", head)
            found = re.findall(rb"(?mi)^" + re.escape(words[4].encode()) + rb":[ \t]*(.*?)\r?$", unfolded)
            if wanted == "none":
                if found:
                    self.fail("expected no %s, got %r" % (words[4], found))
                return
            nth = int(words[5]) - 1 if words[5].isdigit() else 0
            if len(found) <= nth or not pattern(wanted).match(found[nth].decode("utf-8", "surrogateescape")):
                self.fail("expected %s: %r, got %r" % (words[4], wanted, found))

    # ---- the relay

    def do_file(self, words, under):
        path = self.bed.path(words[1], words[2])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.block(under, words[1]))

    def do_ca(self, words, under):
        if len(words) == 2:  # a neighbour's
            self.things[words[1]] = certs.Ca(self.bed.dir, words[1])
            return
        pki.Pki(self.bed.path(words[1])).ca(words[2])

    def do_cert(self, words, under):
        if len(words) == 3 or words[3] == "by":  # a neighbour's
            ca = self.thing(words[4], certs.Ca) if len(words) > 3 else None
            self.things[words[1]] = certs.Cert(self.bed.dir, words[1], words[2].split(","), ca)
            return
        more = self.fields(words[3:])
        pki.Pki(self.bed.path(words[1])).cert(words[2], more.get("alt", ""), more.get("by"), more.get("kind", "ec"),
                                              int(more.get("days", "30")), more.get("cn"))

    def do_join(self, words, under):
        text = b"".join(open(self.bed.path(words[1], name), "rb").read() for name in words[3:])
        with open(self.bed.path(words[1], words[2]), "wb") as f:
            os.chmod(f.name, 0o600)
            f.write(text)

    def do_mode(self, words, under):
        os.chmod(self.bed.path(words[1], words[2]), int(words[3], 8))

    def do_sasldb(self, words, under):
        user, _, realm = words[3].rpartition("@")
        path = self.bed.path(words[1], words[2])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        program = shutil.which("saslpasswd2") or "/usr/sbin/saslpasswd2"
        run = subprocess.run([program, "-p", "-c", "-f", path, "-u", realm, user], input=words[4].encode(), capture_output=True,
                             timeout=30, check=False)
        if run.returncode != 0:
            self.fail("saslpasswd2: %s" % run.stderr.decode())

    def do_user(self, words, under):
        path = self.bed.path(words[1], words[2])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        run = subprocess.run([b.POSTERN, "user", words[3], words[4], "--file", path], capture_output=True, timeout=60, check=False,
                             input=(words[5] + "\n").encode() if len(words) > 5 else b"")
        if run.returncode != 0:
            self.fail("postern user: %s" % run.stderr.decode())

    def do_nowhere(self, words, under):
        relay = self.thing(words[1], b.Relay)
        said = relay.log_text() + relay.process.out.all_text() + self.printed
        plain = self.line.split(None, 2)[2]
        for secret in [plain] + [sasl.b64(front + plain.encode())[len(front):-4] for front in (b"", b"xx", b"x")]:
            if len(secret) > 3 and secret in said:
                self.fail("%r was said in\n%s" % (secret, "\n".join(li for li in said.split("\n") if secret in li)))

    def configuration(self, name, under):
        text = self.block(under, name)
        if not re.search(r"(?m)^hostname", text):
            text = ('hostname = "relay.example.edu"; data_dir = "%s/data"; control = "%s/control.sock"; workers = 1\n'
                    % (self.bed.path(name), self.bed.path(name))) + text
        return text

    def do_relay(self, words, under):
        name = words[1]
        relay = self.things[name] = self.bed.relay(self.configuration(name, under), name, start=False)
        if words[2:3] != ["fails"]:
            relay.start()
            return
        said = relay.fail_to_start()
        wanted = self.line.partition(" ~ ")[2]
        if wanted not in said:
            self.fail("expected %r in\n%s" % (wanted, said))

    def do_config(self, words, under):
        self.thing(words[1], b.Relay).write(self.configuration(words[1], under))

    def do_reload(self, words, under):
        self.thing(words[1], b.Relay).reload()

    def do_start(self, words, under):
        self.things[words[1]].start()

    def do_stop(self, words, under):
        self.things[words[1]].stop()

    def do_crash(self, words, under):
        self.thing(words[1], b.Relay).crash()

    def do_term(self, words, under):
        self.thing(words[1], b.Relay).process.child.terminate()

    def do_end(self, words, under):
        self.thing(words[1], b.Relay).process.child.wait(30)
        self.thing(words[1], b.Relay).stop()

    def do_wait(self, words, under):
        time.sleep(float(words[1]))

    # ---- the log and the command line

    def fields(self, words):
        return dict(word.split("=", 1) for word in words)

    def records(self, relay, fields):
        return [e for e in self.thing(relay, b.Relay).events() if fields_match(e, fields)]

    def do_log(self, words, under):
        fields = self.fields(words[2:])
        b.wait_until(lambda: "a record with %r; the nearest are\n%s" % (fields, self.nearest(words[1], fields)),
                     lambda: self.records(words[1], fields))

    def nearest(self, relay, fields):
        same = [e for e in self.thing(relay, b.Relay).events() if e.get("event") == fields.get("event")]
        return "\n".join(str(e) for e in same[-5:]) or "none"

    def do_nolog(self, words, under):
        found = self.records(words[1], self.fields(words[2:]))
        if found:
            self.fail("expected no such record, got %r" % found[0])

    def do_logs(self, words, under):
        fields, wanted, at_least = self.fields(words[3:]), int(words[2].rstrip("+")), words[2].endswith("+")
        try:
            b.wait_until("", lambda: len(self.records(words[1], fields)) >= wanted)
        except b.Failure:
            pass
        found = self.records(words[1], fields)
        if len(found) != wanted and not (at_least and len(found) > wanted):
            self.fail("expected %d records with %r, there are %d" % (wanted, fields, len(found)))

    def do_logtext(self, words, under):
        wanted, relay = pattern(self.line.partition(" ~ ")[2]), self.thing(words[1], b.Relay)
        b.wait_until("such a line in the log", lambda: any(wanted.match(line) for line in relay.log_text().split("\n")))

    def do_cli(self, words, under):
        command, _, wanted = self.fill(self.line, words[1]).partition(" ~ ")
        arguments, status = shlex.split(command)[2:], 0
        if arguments[0].isdigit():
            status = int(arguments.pop(0))
        run = self.thing(words[1], b.Relay).cli(*arguments, check=False)
        said = run.stdout.decode() + run.stderr.decode()
        self.printed += said
        if run.returncode != status or wanted not in said:
            self.fail("expected status %d and %r, got status %d and\n%s" % (status, wanted, run.returncode, said))

    # ---- dialogues

    def expect_reply(self, client, wanted):
        if wanted[0].startswith("nothing "):
            said = client.quiet(float(wanted[0].split()[1]))
            if said:
                self.fail("expected that nothing is said, got %r" % said)
            return
        lines = client.reply()
        if wanted == ["closed"]:
            if lines is not None:
                self.fail("expected the end of the connection, got %r" % lines)
            return
        if lines is None:
            self.fail("expected %r, the connection was closed" % wanted)
        if len(wanted) == 1 and wanted[0].endswith("..."):
            if not lines[0].startswith(wanted[0][:-3]):
                self.fail("expected %r, got %r" % (wanted[0], lines))
            return
        matches = [pattern(w).match(got) for w, got in zip(wanted, lines)]
        if len(wanted) != len(lines) or not all(matches):
            self.fail("expected %r, got %r" % (wanted, lines))
        for match in matches:
            self.kept.update(match.groupdict())

    def say(self, client, kind, text):
        times = 1
        if kind.endswith("*"):
            count, _, text = text.partition(" ")
            times = int(count)
        client.send((escape(text) if kind[0] == "R" else text.encode() + b"\r\n") * times)

    def play(self, client, under):
        i = 0
        while i < len(under):
            self.at, line = under[i]
            line = self.fill(line)
            i += 1
            if not line.strip() or line.startswith("#"):
                continue
            kind, _, text = line.partition(":")
            text = text[1:]
            if kind in ("C", "R", "C*", "R*"):
                self.say(client, kind, text)
            elif kind == "S":
                wanted = [text]
                while re.match(r"\d\d\d-", wanted[-1]) and i < len(under) and under[i][1].startswith("S: " + text[:3]):
                    wanted.append(self.fill(under[i][1][3:]))
                    i += 1
                self.expect_reply(client, wanted)
            elif line.startswith("wait "):
                time.sleep(float(line.split()[1]))
            elif line.split()[0] == "starttls":
                self.starttls(client, line.split()[1:])
            elif line.startswith("tls "):
                got = client.tls()
                if not fields_match(got, self.fields(line.split()[1:])):
                    self.fail("expected %s, got %r" % (line, got))
            elif line.startswith("auth "):
                self.auth(client, *line.split()[1:])
            elif line == "shutdown":
                client.shutdown()
            else:
                self.fail("a dialogue has lines with C: R: S: C*: R*: shutdown or wait, not %r" % line)

    def starttls(self, client, words):
        fails = words[:1] == ["fails"]
        more = self.fields(words[1:] if fails else words)
        if "name" in more and not more["name"]:
            more["name"] = None
        for name in ("ca", "cert", "key"):
            if name in more:
                more[name] = self.bed.path(self.relay_of[client], more[name])
        for short, name in (("min", "minimum"), ("max", "maximum")):
            if short in more:
                more[name] = more.pop(short)
        try:
            client.starttls(**more)
        except b.Failure as failure:
            if not fails:
                self.fail(str(failure))
            return
        if fails:
            self.fail("the handshake succeeded, it should not have: %r" % client.tls())

    def auth(self, client, mechanism, *credentials):
        exchange = sasl.MECHANISMS[mechanism](*credentials)
        first = exchange.first()
        client.send(("AUTH %s%s\r\n" % (mechanism, "" if first is None else " " + first)).encode())
        while exchange.expects_more and client.peek().startswith("334"):
            client.send(exchange.answer(client.reply()[0][4:]).encode() + b"\r\n")

    def do_client(self, words, under):
        name, relay, listener = words[1:4]
        more = words[4:]
        source = more[1] if more[:1] == ["from"] else None
        if name not in self.things:
            client = self.things[name] = b.Client(self.thing(relay, b.Relay).port(listener), source=source)
            self.relay_of[client] = relay
            if "tls" in more:
                self.starttls(client, more[more.index("tls") + 1:])
        self.play(self.thing(name, b.Client), under)

    def do_close(self, words, under):
        self.things.pop(words[1]).close()

    # ---- the whole

    def run(self):
        with self.bed:
            try:
                for number, line, under in self.statements():
                    self.at, self.line = number, self.fill(line)
                    words = shlex.split(self.line) if not re.match(r"sink \S+ (body|text|header)|logtext", line) else self.line.split()
                    statement = getattr(self, "do_" + words[0], None)
                    if not statement:
                        self.fail("unknown statement %r" % words[0])
                    statement(words, under)
                for thing in self.things.values():
                    if isinstance(thing, b.Client):
                        thing.close()
                self.bed.close()
            except (b.Failure, OSError) as failure:
                text = str(failure)
                where = "" if text.startswith(self.path) else "%s:%d: " % (self.path, self.at)
                raise b.Failure(where + text + self.logs()) from failure

    def logs(self):
        text = ""
        for name, thing in self.things.items():
            if isinstance(thing, b.Relay) and thing.process:
                text += "\n--- log of %s\n%s" % (name, thing.log_text()[-8000:])
        return text


def main(paths):
    failed = 0
    for path in paths:
        began = time.monotonic()
        try:
            Scenario(path).run()
            print("ok %s (%.1f s)" % (os.path.basename(path), time.monotonic() - began))
        except b.Failure as failure:
            failed += 1
            print("not ok %s\n  %s" % (os.path.basename(path), failure))
    print("%d run, %d failed" % (len(paths), failed))
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
