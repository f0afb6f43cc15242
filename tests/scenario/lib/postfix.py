"""postfix.py - a Postfix of our own: configuration, queue, data and log in one directory, loopback ports only.

The machine's own Postfix, if it has one, is never touched: every command names our configuration directory. Postfix's master
needs root; unavailable() says why it cannot be had.
"""
import os
import pwd
import shutil
import socket
import subprocess
import time

import bed

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


def unavailable():
    """Why there can be no Postfix here, or None."""
    if not shutil.which("postfix"):
        return "Postfix is not installed"
    if os.geteuid() != 0:
        return "Postfix's master needs root"
    return None


def free_port():
    """One that is free now; what listens next may still lose it, so the start is tried again."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postfix:
    """started = Postfix(directory, relayhost="[127.0.0.1]:2525").start(); ... started.port ... started.stop()"""

    def __init__(self, directory, **settings):
        self.dir = directory
        self.etc = os.path.join(directory, "etc")
        self.settings = settings
        self.port = 0
        self.running = False

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def _write(self):
        owner = pwd.getpwnam("postfix")
        os.makedirs(self.etc, exist_ok=True)
        for name, mode in (("spool", 0o755), ("data", 0o700), ("log", 0o755)):
            os.makedirs(self.path(name), mode=mode, exist_ok=True)
        os.chown(self.path("data"), owner.pw_uid, owner.pw_gid)
        # Its daemons run as another user: they must be able to come here.
        at = self.dir
        while len(at) > 1 and os.stat(at).st_uid == os.geteuid() and at != "/tmp":
            os.chmod(at, os.stat(at).st_mode | 0o111)
            at = os.path.dirname(at)
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.path("spool"), "data_directory": self.path("data"),
            "maillog_file": self.path("log", "maillog"), "maillog_file_prefixes": self.path("log"),
            "myhostname": "postfix.example.net", "mydestination": "", "mynetworks": "127.0.0.0/8", "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4", "alias_maps": "", "alias_database": "", "biff": "no", "notify_classes": "",
            "message_size_limit": "104857600", "mailbox_size_limit": "0", "virtual_mailbox_limit": "0",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject", "smtp_tls_security_level": "none",
            "smtpd_tls_security_level": "none", "smtp_host_lookup": "native",
        }
        settings.update({k: str(v) for k, v in self.settings.items()})
        with open(os.path.join(self.etc, "main.cf"), "w", encoding="ascii") as f:
            f.write("".join("%s = %s\n" % item for item in settings.items()))
        with open(os.path.join(self.etc, "master.cf"), "w", encoding="ascii") as f:
            f.write(MASTER.format(port=self.port))

    def command(self, *words, program="postfix", timeout=60):
        return subprocess.run([program, "-c", self.etc, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                              check=False)

    def log_text(self):
        try:
            with open(self.path("log", "maillog"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.settimeout(5)
                return s.recv(100).startswith(b"220")
        except OSError:
            return False

    def start(self):
        for _ in range(5):
            self.port = free_port()
            self._write()
            run = self.command("start")
            self.running = True
            try:
                bed.wait_until("Postfix to listen", self._answers, 10)
                return self
            except bed.Failure:
                said = run.stderr.decode() + self.log_text()
                self.stop()
        raise bed.Failure("Postfix did not start:\n" + said)

    def pids(self):
        """Of its master and all that it started."""
        with open(self.path("spool", "pid", "master.pid"), encoding="ascii") as f:
            master = int(f.read().strip())
        out = [master]
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open("/proc/%s/stat" % name, encoding="ascii", errors="replace") as f:
                        if int(f.read().rpartition(")")[2].split()[1]) == master:
                            out.append(int(name))
                except OSError:
                    pass
        return out

    def queue_is_empty(self):
        return not any(files for _, _, files in
                       (walk for name in ("maildrop", "incoming", "active", "deferred", "hold") for walk in os.walk(self.path("spool", name))))

    def stop(self):
        if self.running:
            self.running = False
            self.command("stop")
            for _ in range(50):
                if b"is not running" in self.command("status").stderr or not os.path.exists(self.path("spool", "pid", "master.pid")):
                    return
                if not self._answers():
                    return
                time.sleep(0.1)
            self.command("abort")
