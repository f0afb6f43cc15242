#!/usr/bin/env python3
"""corpus.py [DIRECTORY] - a collection of real and odd messages goes through a relay, over DATA and over BDAT, and every one arrives
as it was but for trace fields and what is written down: line endings are normalised (the client's profile says so), Return-Path and the
"From " line of a mailbox file go.

DIRECTORY defaults to $POSTERN_CORPUS, then to shared/data/corpus beside the checkout; exit status 77 without one. Each file is a message.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import bodies  # noqa: E402

SKIPPED = 77
CONFIG = """
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = 1
profile "devices" { newlines = "normalise", nul = true }
listener "relay" { bind = "127.0.0.1:0", reverse_dns = false, profile = "devices", line_max = 1000000, head_size = "4MiB",
  messages_max = 100000, own_hops_max = 50, policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
route "*" { via = "[127.0.0.1]:%d" }
"""


def without_trace(message):
    """What is under the two Received fields that the relay and the sink put on top."""
    for _ in range(2):
        match = re.match(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", message)
        if not match:
            raise b.Failure("no Received field on top: %r" % message[:200])
        message = message[match.end():]
    return message


def head_of(message):
    """(fields, what follows them). A message whose first lines are no fields has none, and it is all body."""
    at = 0
    for line in re.findall(rb"[^\n]*\n", message):
        if line == b"\r\n" or not (re.match(rb"[!-9;-~]+[ \t]*:", line) or (at and line[:1] in b" \t")):
            break
        at += len(line)
    return message[:at], message[at:]


def expected(raw):
    """The forms that a message may arrive in: with and without the blank line that a message without one needs below its fields."""
    head, rest = head_of(re.sub(rb"\A(?!From[ \t]*:)From [^\n]*\n", b"", bodies.normalised(raw)))
    head = re.sub(rb"(?im)^return-path[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", b"", head)
    if rest.startswith(b"\r\n"):
        return {head + rest}
    # A header section without an end gets one; its last field may have no line ending of its own.
    return {head + rest, head + b"\r\n" + rest, head + rest + b"\r\n\r\n"}


def send(client, number, raw, chunked):
    sender = b"MAIL FROM:<n%d@example.edu> BODY=8BITMIME\r\nRCPT TO:<b@example.org>\r\n" % number
    client.send(sender)
    replies = [client.reply()[0], client.reply()[0]]
    if chunked:
        half = len(raw) // 3
        client.send(b"BDAT %d\r\n" % half + raw[:half] + b"BDAT %d LAST\r\n" % (len(raw) - half) + raw[half:])
        replies += [client.reply()[0], client.reply()[0]]
    else:
        client.send(b"DATA\r\n")
        replies.append(client.reply()[0])
        # Each line's first dot is doubled, also of lines that a client ends sloppily: it would do so, too.
        stuffed = re.sub(rb"(\A|[\r\n])\.", rb"\1..", raw)
        client.send(stuffed + b".\r\n")
        replies.append(client.reply()[0])
    return replies


def main(directory):
    if not directory or not os.path.isdir(directory):
        print("skipped: there is no corpus; name a directory of messages")
        return SKIPPED
    names = sorted(n for n in os.listdir(directory) if n != "manifest.jsonl")
    wrong = []
    with b.Bed() as bed:
        sink = bed.sink()
        relay = bed.relay(CONFIG % sink.port)
        client = b.Client(relay.port("relay"))
        client.reply()
        client.command("EHLO client.example.edu")
        sent = {}
        for number, name in enumerate(names):
            with open(os.path.join(directory, name), "rb") as f:
                raw = f.read()
            for chunked in (False, True):
                key = number * 2 + chunked
                # DATA ends a last line that has no CRLF.
                wire = raw if chunked or raw.endswith(b"\r\n") else raw + b"\r\n"
                replies = send(client, key, wire, chunked)
                if not replies[-1].startswith("250"):
                    wrong.append("%s (%s): %s" % (name, "BDAT" if chunked else "DATA", replies[-1]))
                else:
                    sent[key] = (name, wire)
        client.command("QUIT")
        client.close()
        arrived = {int(m["from"][1:].split("@")[0]): m for m in sink.wait_for(len(sent), 60)}
        for key, (name, raw) in sent.items():
            got = without_trace(sink.file(arrived[key]))
            forms = expected(raw)
            if got not in forms:
                nearest = max(forms, key=lambda form: len(os.path.commonprefix([form, got])))
                wrong.append("%s (%s): %s" % (name, "BDAT" if key % 2 else "DATA", bodies.difference(nearest, got)))
    print("%d messages sent over DATA and over BDAT, %d as they were" % (len(names), len(names) * 2 - len(wrong)))
    for text in wrong[:20]:
        print("  " + text)
    return 1 if wrong else 0


if __name__ == "__main__":
    beside = os.path.join(HERE, "..", "..", "..", "shared", "data", "corpus")
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("POSTERN_CORPUS") or beside))
    except b.Failure as failure:
        sys.exit("corpus.py: %s" % failure)
