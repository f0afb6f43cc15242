#!/usr/bin/env python3
"""clients.py swaks|msmtp|s-nail|curl|smtplib|postfix - mail programs of others hand messages to a relay; at a sink behind it they
are what was handed in, octet for octet behind the header section.

Exit status 77: the program is not there. The environment says which binary: POSTERN.
"""
import email
import os
import shutil
import smtplib
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import bodies  # noqa: E402
import postfix  # noqa: E402

SKIPPED = 77
HEADER = b"From: Test <a@example.edu>\nTo: b@example.org\nSubject: %s\nDate: Sat, 21 Nov 2026 09:00:00 +0000\nMessage-ID: <%s@example.edu>\n\n"
CONFIG = """
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
message_size = "60MB"
listener "relay" { bind = "127.0.0.1:0", reverse_dns = false, policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
route "*" { via = "[127.0.0.1]:%d" }
"""


def run(argv, stdin=None):
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=120, check=False)
    if done.returncode != 0:
        raise b.Failure("%s: exit %d\n%s%s" % (argv[0], done.returncode, done.stdout.decode("utf-8", "replace")[-2000:],
                                              done.stderr.decode("utf-8", "replace")[-2000:]))


class Handing:
    """One program: how a message is handed in by it, and what of the cases it cannot send as they are."""

    unable = {}
    large_octets = 25 * 1000 * 1000

    def __init__(self, bed, port):
        self.bed, self.port = bed, port

    def file(self, data):
        path = self.bed.path("message")
        with open(path, "wb") as f:
            f.write(data)
        return path

    def end(self):
        pass


class Swaks(Handing):
    unable = {"empty": "ends the header section with a line of its own", "ends_in_a_dot": "takes that for the end of its input"}

    def hand(self, message):
        # It ends the last line whether or not it is ended; "%NAME%" and "\\n" would be its own, bodies here have neither.
        message = message[:-1] if message.endswith(b"\n") else message
        run(["swaks", "--server", "127.0.0.1", "--port", str(self.port), "--helo", "client.example.edu", "--from", "a@example.edu",
             "--to", "b@example.org", "--suppress-data", "--data", "@" + self.file(message)])


class Msmtp(Handing):
    def hand(self, message):
        run(["msmtp", "--file=/dev/null", "--host=127.0.0.1", "--port=%d" % self.port, "--auth=off", "--tls=off", "--from=a@example.edu",
             "--domain=client.example.edu", "--", "b@example.org"], message)


class Curl(Handing):
    unable = {"empty": "takes an empty upload for none"}

    def hand(self, message):
        run(["curl", "--silent", "--show-error", "--crlf", "smtp://127.0.0.1:%d/client.example.edu" % self.port, "--mail-from",
             "a@example.edu", "--mail-rcpt", "b@example.org", "--upload-file", self.file(message)])


class Smtplib(Handing):
    def hand(self, message):
        with smtplib.SMTP("127.0.0.1", self.port, "client.example.edu", 120) as client:
            client.sendmail("a@example.edu", ["b@example.org"], message.replace(b"\n", b"\r\n"), ["BODY=8BITMIME"])


class SNail(Handing):
    """Encodes what it is given, so that bodies are compared after decoding; it makes the header section itself."""

    unable = {"one_octet": "adds a line ending", "empty": "asks whether that is meant", "no_final_newline": "adds a line ending"}

    def hand(self, message):
        head, _, body = message.partition(b"\n\n")
        subject = [line[9:] for line in head.split(b"\n") if line.startswith(b"Subject: ")][0].decode()
        argv = ["s-nail", "-:/", "-Sv15-compat", "-Smta=smtp://127.0.0.1:%d" % self.port, "-Ssmtp-auth=none", "-Ssmtp-hostname=example.edu",
                "-Shostname=client.example.edu", "-Sttycharset=iso-8859-1", "-Scharset-7bit=us-ascii", "-Scharset-8bit=iso-8859-1",
                "-Ssendcharsets=iso-8859-1", "-Smime-encoding=8bit", "-Ssendwait", "-Sfrom=a@example.edu", "-r", "a@example.edu", "-s", subject]
        if len(body) > 1000000:
            run(argv + ["-a", self.file(body), "b@example.org"], b"with an attachment\n")
        else:
            run(argv + ["b@example.org"], body)

    @staticmethod
    def body_of(message):
        parsed = email.message_from_bytes(message)
        if parsed.is_multipart():
            return bodies.on_the_wire(parsed.get_payload(1).get_payload(decode=True).replace(b"\r\n", b"\n"))
        encoding = parsed.get("Content-Transfer-Encoding", "7bit").lower()
        body = message.partition(b"\r\n\r\n")[2]
        return body if encoding in ("7bit", "8bit") else bodies.on_the_wire(parsed.get_payload(decode=True).replace(b"\r\n", b"\n"))


class PostfixRelayhost(Handing):
    """Postfix takes it by SMTP and hands it on as its relayhost setting says."""

    def __init__(self, bed, port):
        super().__init__(bed, port)
        self.postfix = bed.keep(postfix.Postfix(bed.path("postfix"), relayhost="[127.0.0.1]:%d" % port).start())

    def hand(self, message):
        with smtplib.SMTP("127.0.0.1", self.postfix.port, "client.example.edu", 120) as client:
            client.sendmail("a@example.edu", ["b@example.org"], message.replace(b"\n", b"\r\n"), ["BODY=8BITMIME"])


PROGRAMS = {"swaks": Swaks, "msmtp": Msmtp, "curl": Curl, "smtplib": Smtplib, "s-nail": SNail, "postfix": PostfixRelayhost}


def check(program, sink, count, name, body):
    wanted = bodies.on_the_wire(body)
    message = sink.file(sink.wait_for(count, 60)[count - 1])
    got = program.body_of(message) if hasattr(program, "body_of") else message.partition(b"\r\n\r\n")[2]
    problem = bodies.difference(wanted, got)
    if problem:
        raise b.Failure("%s: %s" % (name, problem))
    if b"Subject: %s\r\n" % name.encode() not in message:
        raise b.Failure("%s: its Subject is not there:\n%s" % (name, message[:1000]))
    print("  %-18s %9d octets" % (name, len(got)), flush=True)


def main(name):
    if name not in ("smtplib", "postfix") and not shutil.which(name):
        print("skipped: %s is not installed" % name)
        return SKIPPED
    if name == "postfix" and postfix.unavailable():
        print("skipped: " + postfix.unavailable())
        return SKIPPED
    with b.Bed() as bed:
        sink = bed.sink()
        relay = bed.relay(CONFIG % sink.port)
        program = PROGRAMS[name](bed, relay.port("relay"))
        count = 0
        for case, body in {**bodies.CASES, "large": bodies.large(program.large_octets)}.items():
            if case in program.unable:
                print("  %-18s not sent: the program %s" % (case, program.unable[case]))
                continue
            count += 1
            try:
                program.hand(HEADER % (case.encode(), case.encode()) + body)
                check(program, sink, count, case, body)
            except b.Failure as failure:
                log = relay.log_text()[-3000:]
                raise b.Failure("%s: %s\n--- log of the relay\n%s" % (case, failure, log)) from failure
        print("%s: %d messages unchanged" % (name, count))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except b.Failure as problem:
        sys.exit("clients.py: %s" % problem)
