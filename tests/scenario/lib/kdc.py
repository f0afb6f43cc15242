"""kdc.py - a private MIT KDC, and things that look like one: for tests of Kerberos logins. All of it on loopback, without privileges.

    with Kdc(directory) as kdc:
        kdc.add("smtp-relay/scan.example.edu", "secret")
        kdc.keytab("smtp/relay.example.edu")          # -> path
        kdc.conf(ports=[kdc.port])                    # -> path of a krb5.conf that names these KDCs

unavailable() says why there can be none.
"""
import os
import shutil
import socket
import subprocess
import threading

import bed

REALM = "EXAMPLE.EDU"
SBIN = "/usr/sbin:/sbin"
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local")

CONF = """\
[libdefaults]
 default_realm = %(realm)s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
 %(realm)s = {
%(kdcs)s
 }
%(more)s
"""

KDC_CONF = """\
[kdcdefaults]
 kdc_listen = 127.0.0.1:%(port)d
 kdc_tcp_listen = 127.0.0.1:%(port)d
[realms]
 %(realm)s = {
  database_name = %(dir)s/principal
  key_stash_file = %(dir)s/stash
  acl_file = %(dir)s/acl
  max_life = 1h
  # Few rounds of PBKDF2: what is measured here is not the KDC.
  supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
 }
[logging]
 kdc = FILE:%(dir)s/kdc.log
 default = FILE:%(dir)s/kdc.log
"""


def program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + SBIN)


def unavailable():
    missing = [name for name in PROGRAMS if not program(name)]
    return "%s: not installed (packages krb5-kdc, krb5-admin-server)" % " ".join(missing) if missing else None


def free_port():
    """One that is free for both UDP and TCP now; who listens next may still lose it, so a start is tried again."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def write_conf(path, ports, realm=REALM, more=""):
    """A krb5.conf whose realm has KDCs at these ports, in that order."""
    kdcs = "\n".join("  kdc = 127.0.0.1:%d" % port for port in ports)
    return write(path, CONF % {"realm": realm, "kdcs": kdcs, "more": more})


class Kdc:
    """A realm with its database and its server."""

    def __init__(self, directory, realm=REALM):
        self.dir, self.realm = directory, realm
        self.port = 0
        self.process = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def env(self):
        return dict(os.environ, KRB5_CONFIG=self.path("krb5.conf"), KRB5_KDC_PROFILE=self.path("kdc.conf"), LC_ALL="C")

    def run(self, name, *args):
        done = subprocess.run([program(name), *args], env=self.env(), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise bed.Failure("%s %s: exit %d\n%s%s" % (name, " ".join(args), done.returncode, done.stdout, done.stderr))
        return done.stdout

    def admin(self, *words):
        out = self.run("kadmin.local", "-r", self.realm, *words)
        return out

    def start(self):
        os.makedirs(self.dir, exist_ok=True)
        write(self.path("acl"), "")
        self.listen()
        self.run("kdb5_util", "create", "-s", "-P", "master", "-r", self.realm)
        return self.serve()

    def listen(self):
        """The configuration, for a port of its own."""
        self.port = self.port or free_port()
        write(self.path("kdc.conf"), KDC_CONF % {"port": self.port, "realm": self.realm, "dir": self.dir})
        write_conf(self.path("krb5.conf"), [self.port], self.realm)

    def serve(self, **env):
        """Starts the server, again after stop(): on the same port."""
        self.process = subprocess.Popen([program("krb5kdc"), "-n", "-P", self.path("pid")], env=dict(self.env(), **env),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bed.wait_until("the KDC to listen", self._listening)
        return self

    def _listening(self):
        if self.process.poll() is not None:
            raise bed.Failure("krb5kdc ended: %s" % self.log())
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        try:
            with open(self.path("kdc.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def requests(self, word="AS_REQ"):
        """How many requests it has logged."""
        return self.log().count(word + " (")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    close = stop

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    # ---- principals

    def add(self, name, password, *options):
        """As sites are told to make devices' principals; @options as "-expire", "yesterday"."""
        self.admin("addprinc", "-pw", password, "+requires_preauth", "-allow_svr", *options, name)

    def modify(self, name, *options):
        self.admin("modprinc", *options, name)

    def password(self, name, password):
        self.admin("cpw", "-pw", password, name)

    def keytab(self, service, name="service.keytab"):
        """Adds a service and writes its key to a keytab, whose path it returns. Again: a new key, beside the old one."""
        if service not in self.admin("listprincs"):
            self.admin("addprinc", "-randkey", service)
        self.admin("ktadd", "-k", self.path(name), service)
        return self.path(name)

    def user_keytab(self, user, name):
        """The key of a user in a file: his password is a random one from now on."""
        self.admin("ktadd", "-k", self.path(name), user)
        return self.path(name)

    def conf(self, name, ports, more=""):
        return write_conf(self.path(name), ports, self.realm, more)

    def ticket(self, user, password, ccache):
        """kinit: a file with a ticket of @user."""
        done = subprocess.run(["kinit", "-c", ccache, user], env=self.env(), input=password + "\n", capture_output=True, text=True, timeout=60,
                              check=False)
        if done.returncode != 0:
            raise bed.Failure("kinit %s: %s" % (user, done.stderr))
        return ccache


class SilentKdc:
    """Listens where a KDC would, counts what comes and answers nothing. With tcp=True it takes connections and is silent on them,
    and has nothing on UDP; with udp=True datagrams vanish in it and TCP is refused."""

    def __init__(self, udp=True, tcp=True):
        self.datagrams = self.connections = 0
        self.port = free_port()
        self.sockets = []
        self.accepted = []
        self.lock = threading.Lock()
        self.closing = False
        if udp:
            self._open(socket.SOCK_DGRAM, self._read)
        if tcp:
            self._open(socket.SOCK_STREAM, self._accept)

    @property
    def packets(self):
        return self.datagrams + self.connections

    def _open(self, kind, serve):
        s = socket.socket(socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", self.port))
        if kind == socket.SOCK_STREAM:
            s.listen(512)
        s.settimeout(0.1)
        thread = threading.Thread(target=serve, args=(s,), daemon=True)
        self.sockets.append((s, thread))
        thread.start()

    def _read(self, s):
        while not self.closing:
            try:
                s.recvfrom(65536)
                self.datagrams += 1
            except socket.timeout:
                pass
            except OSError:
                return

    def _accept(self, s):
        while not self.closing:
            try:
                connection, _ = s.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.accepted.append(connection)

    def close(self):
        """Whoever waits on it hears an error at once."""
        self.closing = True
        for s, thread in self.sockets:
            thread.join()
            s.close()
        with self.lock:
            for connection in self.accepted:
                connection.close()
        self.sockets, self.accepted = [], []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
