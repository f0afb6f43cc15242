"""scripted.py - what dialogues are made of, and an SMTP server that follows one."""
import re
import socket
import ssl
import threading
import time

import bed


def escape(text):
    """The octets that a text with Python's escapes means; other characters are UTF-8."""
    return re.sub(rb"\\(?:x[0-9a-fA-F]{2}|[\\rnt0])", lambda m: m.group(0).decode().encode().decode("unicode_escape").encode("latin-1"),
                  text.encode("utf-8"))


def pattern(text):
    """Only *, ? and {word} are special: a reply may hold brackets."""
    out = ""
    for part in re.split(r"(\{[a-z0-9_]+\}|[*?])", text):
        if part == "*":
            out += ".*"
        elif part == "?":
            out += "."
        elif re.match(r"\{[a-z0-9_]+\}\Z", part):
            out += r"(?P<%s>[^\s;]+)" % part[1:-1]
        else:
            out += re.escape(part)
    return re.compile(out + r"\Z", re.S)


def fields_match(record, fields):
    """Whether a log record has all of the fields; lists and objects are compared as JSON-like text."""
    for name, wanted in fields.items():
        value = record.get(name)
        text = "" if value is None else str(value)
        if not pattern(wanted).match(text):
            return False
    return True


class Tap:
    """A socket of which what is heard is kept."""

    def __init__(self, connection, heard):
        self.connection = connection
        self.heard = heard

    def recv(self, size):
        data = self.connection.recv(size)
        self.heard += data
        return data

    def __getattr__(self, name):
        return getattr(self.connection, name)


class ScriptedServer:
    """Accepts one connection per dialogue, in their order; S: is said, R: is said as it is, C: must be heard, D: reads a message to
    its dot, `tls FILE` makes the connection one under TLS with that certificate, and with `fails` behind it that must not succeed.
    What came outside of TLS is kept in `clear`."""

    def __init__(self, path):
        self.path = path
        self.socket = None
        self.port = 0
        self.dialogues = []
        self.done = 0
        self.problem = None
        self.changed = threading.Condition()
        self.thread = None
        self.clear = bytearray()

    def start(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._run, args=(self.socket,), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        if self.socket:
            listening, self.socket = self.socket, None
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            self.thread.join(5)
        if self.problem:
            raise bed.Failure(self.problem)

    def add(self, lines):
        with self.changed:
            self.dialogues.append(lines)
            self.changed.notify_all()

    def wait_done(self, seconds=15):
        with self.changed:
            held = self.changed.wait_for(lambda: self.problem or self.done == len(self.dialogues), seconds)
            if self.problem:
                problem, self.problem = self.problem, None
                raise bed.Failure(problem)
            if not held:
                raise bed.Failure("%d of %d dialogues were held" % (self.done, len(self.dialogues)))

    def _run(self, listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                with self.changed:
                    self.changed.wait_for(lambda: len(self.dialogues) > self.done or not self.socket, 20)
                    if not self.socket:
                        return
                    lines = self.dialogues[self.done] if len(self.dialogues) > self.done else None
                problem = None
                self.peer = None
                try:
                    if lines is None:
                        raise bed.Failure("%s: a connection came without a dialogue for it" % self.path)
                    self._play(connection, lines)
                except (bed.Failure, OSError) as failure:
                    problem = str(failure)
                if self.peer:
                    self.peer.close()
                with self.changed:
                    self.done += 1
                    self.problem = self.problem or problem
                    self.changed.notify_all()

    def _start_tls(self, peer, number, file, fails):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if peer.buffer:
            raise bed.Failure("%s:%d: %r came before the handshake" % (self.path, number, peer.buffer))
        try:
            under = context.wrap_socket(peer.socket.connection, server_side=True)
            if fails:
                # Under TLS 1.3 the client's word on our certificate comes after our side is done.
                under.settimeout(5)
                if under.recv(1):
                    raise bed.Failure("%s:%d: the client goes on, it should not have" % (self.path, number))
                under.close()
                return None
        except ssl.SSLError as error:
            if fails:
                return None
            raise bed.Failure("%s:%d: no TLS: %s" % (self.path, number, error)) from error
        return bed.Client(connection=under)

    def _play(self, connection, lines):
        connection.settimeout(15)
        peer = self.peer = bed.Client(connection=Tap(connection, self.clear))
        for number, line in lines:
            kind, _, text = line.partition(":")
            text = text[1:]
            if not line.strip() or line.startswith("#"):
                continue
            if kind == "S":
                peer.send(text.encode() + b"\r\n")
            elif kind == "R":
                peer.send(escape(text))
            elif line.startswith("tls "):
                peer = self._start_tls(peer, number, line.split()[1], line.endswith(" fails"))
                if not peer:
                    return
                self.peer = peer
            elif kind == "C":
                got = peer.line()
                if text == "closed":
                    if got is not None:
                        raise bed.Failure("%s:%d: expected the end of the connection, got %r" % (self.path, number, got))
                elif got is None or not pattern(text).match(got):
                    raise bed.Failure("%s:%d: expected %r, got %r" % (self.path, number, text, got))
            elif kind == "D":
                while peer.line() not in (".", None):
                    pass
            elif line.startswith("wait "):
                time.sleep(float(line.split()[1]))
            elif line == "close":
                return
            else:
                raise bed.Failure("%s:%d: a server's dialogue has lines with S: R: C: D: tls, wait or close" % (self.path, number))
