"""bed.py - the real binary and its neighbours as objects: what scenarios and the other black-box tests stand on.

Everything listens on loopback with a port of the system's choosing, lives in a directory of its own, and is stopped by close().
"""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import warnings

POSTERN = os.environ.get("POSTERN", "postern")


class Failure(Exception):
    """An expectation that did not hold; its text says what was expected and what was found."""


def wait_until(what, check, seconds=10.0):
    """Calls check() until it returns something true; that is the result. `what` is a text, or a function that makes it."""
    until = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > until:
            raise Failure("waited %g s for %s" % (seconds, what() if callable(what) else what))
        time.sleep(0.01)


class Lines:
    """The lines of a pipe, read by a thread of its own, parsed as JSON where they are."""

    def __init__(self, pipe):
        self.lock = threading.Lock()
        self.text = []
        self.events = []
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe):
        for raw in pipe:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            with self.lock:
                self.text.append(line)
                if isinstance(event, dict):
                    self.events.append(event)
        pipe.close()

    def find(self, **fields):
        with self.lock:
            return [e for e in self.events if all(str(e.get(k)) == str(v) for k, v in fields.items())]

    def all_text(self):
        with self.lock:
            return "\n".join(self.text)


class Process:
    """A program in the foreground whose output is kept."""

    def __init__(self, argv, env=None, cwd=None):
        self.argv = argv
        self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=env, cwd=cwd)
        self.out = Lines(self.child.stdout)
        self.err = Lines(self.child.stderr)

    def alive(self):
        return self.child.poll() is None

    def stop(self, sig=signal.SIGTERM, seconds=60):
        if self.alive():
            self.child.send_signal(sig)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failure("%s did not end within %d s of signal %d\n%s" %
                          (self.argv[0], seconds, sig, self.err.all_text()[-4000:]))
        self.out.thread.join(5)
        self.err.thread.join(5)
        return self.child.returncode


class Sink:
    """`postern sink`, storing what it gets."""

    def __init__(self, directory, *options):
        self.dir = directory
        self.options = options
        self.process = None
        self.port = 0
        self.before = []

    def start(self):
        self.process = Process([POSTERN, "sink", "--listen", "127.0.0.1:%d" % self.port, "--dir", self.dir, *self.options])
        event = wait_until(lambda: "the sink to listen: " + self.process.err.all_text(),
                           lambda: self.process.out.find(event="listening"))
        self.port = event[0]["port"]
        return self

    def messages(self):
        """Of all its lives."""
        return self.before + (self.process.out.find(event="message") if self.process else [])

    def file(self, message):
        with open(os.path.join(self.dir, message["id"] + ".eml"), "rb") as f:
            return f.read()

    def wait_for(self, count, seconds=20):
        wait_until(lambda: "%d messages at the sink (there are %d)" % (count, len(self.messages())),
                   lambda: len(self.messages()) >= count, seconds)
        return self.messages()

    def stop(self):
        if self.process:
            self.process.stop()
            self.before, self.process = self.messages(), None


class Relay:
    """`postern serve` on a configuration; ports that the configuration leaves to the system are found in its log."""

    def __init__(self, directory, config, env=None):
        self.dir = directory
        os.makedirs(directory, exist_ok=True)
        self.file = os.path.join(directory, "postern.lua")
        self.control = os.path.join(directory, "control.sock")
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.write(config)

    def write(self, config):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(config)

    def start(self, seconds=60):
        self.process = Process([POSTERN, "serve", "--config", self.file], env=self.env)

        def started():
            if not self.process.alive():
                self.process.err.thread.join(5)
                raise Failure("the relay did not start:\n" + self.process.err.all_text())
            return self.process.err.find(event="server_started") or (not self.process.err.events and "daemon started" in self.log_text())

        wait_until(lambda: "server_started:\n" + self.log_text(), started, seconds)
        return self

    def fail_to_start(self, seconds=20):
        """What it said; Failure if it starts."""
        self.process = Process([POSTERN, "serve", "--config", self.file], env=self.env)
        try:
            status = self.process.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.stop()
            raise Failure("the relay started, it should not have") from None
        self.process.stop()
        said, self.process = self.log_text(), None
        if status == 0:
            raise Failure("the relay ended with status 0, it should have failed")
        return said

    def port(self, listener):
        opened = [e["addr"] for e in self.process.err.find(event="listener_opened", listener=listener)]
        opened += re.findall(r"listener_opened: listener=%s, addr=([^\s,]+)" % re.escape(listener), self.log_text())
        if not opened:
            raise Failure("no listener %s is open" % listener)
        return int(opened[0].rpartition(":")[2])

    def log_text(self):
        return self.process.err.all_text()

    def events(self, **fields):
        """Since it was last started."""
        return self.process.err.find(**fields)

    def wait_for(self, seconds=10, **fields):
        return wait_until(lambda: "an event with %r in the log:\n%s" % (fields, self.log_text()[-4000:]),
                          lambda: self.events(**fields), seconds)

    def reload(self):
        """SIGHUP; True if the configuration was taken."""
        def answers():
            return len(self.events(event="config_loaded")), len(self.events(event="config_refused"))

        before = answers()
        self.process.child.send_signal(signal.SIGHUP)
        wait_until("the reload", lambda: answers() != before)
        time.sleep(0.1)  # the workers take it up on their own
        return answers()[0] > before[0]

    def cli(self, *words, check=True):
        run = subprocess.run([POSTERN, *words, "--control", self.control], stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=60, check=False)
        if check and run.returncode != 0:
            raise Failure("postern %s: exit %d\n%s%s" % (" ".join(words), run.returncode, run.stdout.decode(), run.stderr.decode()))
        return run

    def crash(self):
        self.process.child.kill()
        self.process.child.wait()

    def stop(self):
        if not self.process:
            return
        crashed = self.process.child.poll() == -signal.SIGKILL
        status = self.process.stop()
        bugs = self.events(event="bug")
        if (status != 0 and not crashed and not self.events(event="server_failed")) or bugs:
            raise Failure("the relay ended with %s %r\n%s" % (status, bugs, self.log_text()[-6000:]))


def _serial(der):
    pem = ssl.DER_cert_to_PEM_cert(der).encode()
    run = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, capture_output=True, timeout=20, check=True)
    return int(run.stdout.decode().strip().partition("=")[2], 16)


class Client:
    """An SMTP client that says exactly what it is told; or the other end of a connection that came to us."""

    def __init__(self, port=0, host="127.0.0.1", source=None, timeout=20, connection=None):
        self.socket = connection or socket.create_connection((host, port), timeout, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what the server said before it hung up is still to be read

    def line(self):
        while b"\n" not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            except socket.timeout:
                raise Failure("nothing came for %g s; so far %r" % (self.socket.gettimeout(), self.buffer)) from None
            if not more:
                self.socket.close()
                return None
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def quiet(self, seconds):
        """What comes within the time although nothing should."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.buffer += self.socket.recv(65536)
        except socket.timeout:
            pass
        finally:
            self.socket.settimeout(before)
        return self.buffer

    def peek(self):
        """The next line, which stays unread."""
        line = self.line()
        if line is None:
            return ""
        self.buffer = line.encode("utf-8", "surrogateescape") + b"\r\n" + self.buffer
        return line

    def reply(self):
        """All lines of one reply, or None at the end of the connection."""
        lines = []
        while True:
            line = self.line()
            if line is None:
                return lines or None
            lines.append(line)
            if line[3:4] != "-":
                return lines

    def command(self, text):
        self.send(text.encode("utf-8", "surrogateescape") + b"\r\n")
        return self.reply()

    def starttls(self, ca=None, cert=None, key=None, minimum=None, maximum=None, ciphers=None, name="relay.example.edu"):
        """The client's side of the handshake; without `ca` any certificate will do. Failure if it does not come to TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = ca is not None
        context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
        if ca:
            context.load_verify_locations(ca)
        if cert:
            context.load_cert_chain(cert, key)
        if ciphers or maximum in ("1.0", "1.1"):
            context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
        versions = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
                    "1.3": ssl.TLSVersion.TLSv1_3}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = versions[minimum] if minimum else (
                versions[maximum] if maximum in ("1.0", "1.1") else ssl.TLSVersion.TLSv1_2)
            if maximum:
                context.maximum_version = versions[maximum]
        if self.buffer:
            raise Failure("before TLS the server said %r" % self.buffer)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=name)
        except (ssl.SSLError, OSError) as error:
            raise Failure("no TLS: %s" % error) from None
        return self

    def tls(self):
        """What is known of it."""
        if not isinstance(self.socket, ssl.SSLSocket):
            return {"version": "none"}
        der = self.socket.getpeercert(True)
        return {"version": self.socket.version(), "cipher": self.socket.cipher()[0],
                "serial": "%X" % _serial(der) if der else "none", "resumed": str(self.socket.session_reused).lower()}

    def shutdown(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()


class Bed:
    """A directory, and everything that was started in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="postern-test-")
        self.things = []

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def keep(self, thing):
        self.things.append(thing)
        return thing

    def sink(self, name="sink", *options):
        return self.keep(Sink(self.path(name), *options)).start()

    def relay(self, config, name="relay", env=None, start=True):
        relay = self.keep(Relay(self.path(name), config.replace("@DIR@", self.path(name)), env))
        return relay.start() if start else relay

    def close(self):
        problem = None
        things, self.things = self.things, []
        for thing in reversed(things):
            try:
                thing.stop()
            except Failure as failure:
                problem = problem or failure
        shutil.rmtree(self.dir, ignore_errors=True)
        if problem:
            raise problem

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.close()
            return
        try:
            self.close()
        except Failure:
            pass
