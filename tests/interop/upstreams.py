#!/usr/bin/env python3
"""upstreams.py postfix|smtp-sink|sink|plain-sink - messages handed to a relay arrive at next hops of others octet for octet.

postfix is a real smtpd that delivers into a Maildir; plain-sink is `postern sink` without the extensions, so that DATA and not BDAT is
used. Exit status 77: the program is not there. The environment says which binary: POSTERN.
"""
import glob
import os
import pwd
import shutil
import smtplib
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import bodies  # noqa: E402
import postfix  # noqa: E402
from clients import CONFIG, HEADER, SKIPPED  # noqa: E402


def texts(directory):
    """What the files of a directory are on the wire."""
    out = []
    for path in glob.glob(os.path.join(directory, "*")):
        with open(path, "rb") as f:
            out.append(f.read().replace(b"\n", b"\r\n"))
    return out


class PostfixMaildir:
    """Maildir files have LF line endings, and Postfix ends a last line."""

    def __init__(self, bed):
        owner = pwd.getpwnam("postfix")
        self.box = bed.path("postfix", "mail", "box")
        os.makedirs(self.box)
        for path in (self.box, os.path.dirname(self.box)):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        self.postfix = bed.keep(postfix.Postfix(
            bed.path("postfix"), virtual_mailbox_domains="example.org", virtual_mailbox_base=os.path.dirname(self.box),
            virtual_mailbox_maps="static:box/", virtual_uid_maps="static:%d" % owner.pw_uid,
            virtual_gid_maps="static:%d" % owner.pw_gid, virtual_minimum_uid="1").start())
        self.port = self.postfix.port

    def messages(self):
        return texts(os.path.join(self.box, "new"))

    def log_text(self):
        return self.postfix.log_text()


class SmtpSink:
    """Postfix's test server; -d keeps each message in a file, as text."""

    def __init__(self, bed):
        self.dir = bed.path("smtp-sink")
        os.makedirs(self.dir)
        self.port = postfix.free_port()
        as_root = ["-u", "root"] if os.geteuid() == 0 else []
        self.process = bed.keep(b.Process(["smtp-sink", *as_root, "-d", os.path.join(self.dir, "%M."), "127.0.0.1:%d" % self.port, "100"]))

    def messages(self):
        return texts(self.dir)

    def log_text(self):
        return self.process.err.all_text()


class PosternSink:
    def __init__(self, bed, *options):
        self.sink = bed.sink("sink", *options)
        self.port = self.sink.port

    def messages(self):
        return [self.sink.file(message) for message in self.sink.messages()]

    def log_text(self):
        return self.sink.process.err.all_text()


UPSTREAMS = {
    "postfix": PostfixMaildir,
    "smtp-sink": SmtpSink,
    "sink": PosternSink,
    "plain-sink": lambda bed: PosternSink(bed, "--hide", "CHUNKING", "--hide", "BINARYMIME", "--hide", "PIPELINING", "--hide", "SIZE",
                                          "--hide", "8BITMIME", "--hide", "ENHANCEDSTATUSCODES"),
}


def find(upstream, name):
    """The message of a case, once it is all there."""
    subject = b"Subject: %s\r\n" % name.encode()
    return b.wait_until(lambda: "%s at the next hop\n%s" % (name, upstream.log_text()[-3000:]),
                        lambda: [m for m in upstream.messages() if subject in m], 60)[0]


def main(name):
    if name == "postfix" and postfix.unavailable():
        print("skipped: " + postfix.unavailable())
        return SKIPPED
    if name == "smtp-sink" and not shutil.which("smtp-sink"):
        print("skipped: smtp-sink is not installed")
        return SKIPPED
    with b.Bed() as bed:
        os.chmod(bed.dir, 0o755)
        upstream = UPSTREAMS[name](bed)
        relay = bed.relay(CONFIG % upstream.port)
        count = 0
        for case, body in {**bodies.CASES, "large": bodies.large(25 * 1000 * 1000)}.items():
            message = (HEADER % (case.encode(), case.encode()) + body).replace(b"\n", b"\r\n")
            with smtplib.SMTP("127.0.0.1", relay.port("relay"), "client.example.edu", 120) as client:
                client.sendmail("a@example.edu", ["b@example.org"], message, ["BODY=8BITMIME"])
            count += 1
            b.wait_until("attempt %d" % count, lambda: len(relay.events(event="attempt_finished", status="sent")) == count, 60)
            wanted = bodies.on_the_wire(body)
            got = find(upstream, case).partition(b"\r\n\r\n")[2]
            if name == "smtp-sink" and got.endswith(b"\r\n"):
                got = got[:-2] if got[:-2] == wanted else got  # it ends each message with an empty line
            problem = bodies.difference(wanted, got)
            if problem:
                raise b.Failure("%s: %s" % (case, problem))
            print("  %-18s %9d octets" % (case, len(got)), flush=True)
        print("%s: %d messages unchanged" % (name, len(bodies.CASES) + 1))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (b.Failure, subprocess.SubprocessError) as failure:
        sys.exit("upstreams.py: %s" % failure)
