"""bodies.py - messages that have gone wrong somewhere, and what may happen to one on its way.

A case is a name and a body with LF line endings, as a program on the machine has it; on the wire each line ends in CRLF, and a last
line without an ending gets one.
"""
import random
import re


def large(octets):
    """Text of a given size whose lines all differ, so that a lost or doubled piece shows."""
    chooser = random.Random(2)
    words = [bytes(chooser.choice(b"abcdefghijklmnopqrstuvwxyz0123456789+/") for _ in range(64)) for _ in range(64)]
    lines = []
    for number in range(octets // 77 + 1):
        lines.append(b"%011d %s\n" % (number, words[number * 7 % 64]))
    return b"".join(lines)[:octets - 1] + b"\n"


CASES = {
    "plain": b"hello\n",
    "one_octet": b"x",
    "empty": b"",
    "eight_bit": bytes(range(0x80, 0x100)) + b"\nM\xc3\xbcller \xe2\x82\xac\n",
    "dots": b".\n..\n.x\n...\n .\nx.\n\n.\nthe end\n",
    "ends_in_a_dot": b"the end\n.\n",
    "no_final_newline": b"first\nlast",
    "blank_lines": b"\n\n\nx\n\n\n\n",
    "white_space": b"trailing \n\t\n tab\t\n  \n",
    "from_line": b"From somebody Sat Nov 21 00:00:00 2026\n>From x\nFrom: not a header\n",
    "long_line": b"y" * 990 + b"\n" + b"z" * 990 + b"\n",
    "looks_like_smtp": b"QUIT\nRSET\nMAIL FROM:<a@b>\n354 go\n250 ok\n",
}


def on_the_wire(body):
    """The octets of a body between the blank line and the dot."""
    body = body.replace(b"\n", b"\r\n")
    return body if not body or body.endswith(b"\r\n") else body + b"\r\n"


def normalised(message):
    """What server/smtp/smtp_data.h promises for a client whose profile normalises line endings."""
    return re.sub(rb"\r*\n|\r+", b"\r\n", message)


def difference(wanted, got):
    """None, or where two bodies part."""
    if wanted == got:
        return None
    at = next((i for i, (a, b) in enumerate(zip(wanted, got)) if a != b), min(len(wanted), len(got)))
    return "%d octets were expected, %d came; they part at %d: expected %r, got %r" % (
        len(wanted), len(got), at, wanted[max(at - 20, 0):at + 40], got[max(at - 20, 0):at + 40])
