#!/usr/bin/env python3
"""simulate_and_live.py - `postern simulate` says what the server says (in the environment: POSTERN=path).

For each configuration and client: the dialogue that `simulate --json` shows is held with a live server of the same configuration.
Each reply must be the same, line for line; case ids, queue ids and session ids apart.
"""
import base64
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from bed import Bed, Client, Failure, POSTERN  # pylint: disable=wrong-import-position
from pki import Pki  # pylint: disable=wrong-import-position

MESSAGE = b"Subject: a test\nFrom: copier@example.edu\n\n.a dot\nbody\n"

STAGES = """
local relay = require "relay"
return relay.policy { name = "stages", api = 1, setup = function()
  local on = {}
  function on.connect(conn)
    if conn.remote_ip == "127.0.0.2" then return relay.reject { rule = "bad-client", text = "not from there" } end
    if conn.remote_ip == "127.0.0.3" then return relay.disconnect { rule = "go-away", text = "go away" } end
  end
  function on.starttls(conn)
    if conn.helo then error "the name from before TLS" end
    if not conn.tls_version then error "no TLS" end
  end
  function on.auth(conn, attempt)
    if attempt.user == "elsewhere" then return relay.reject { rule = "not-here", text = "not from there" } end
  end
  function on.helo(conn, name)
    if name == "bad.example" then return relay.defer { rule = "bad-helo", text = "not with that name" } end
    if name == "go.example" then return relay.disconnect { rule = "go-away", text = "go away" } end
  end
  function on.mail(txn, sender)
    if sender.domain == "bad.example" then return relay.reject { rule = "bad-sender", text = "not you" } end
  end
  function on.rcpt(txn, rcpt)
    if rcpt.address == "bug@example.org" then error "a bug" end
    if rcpt.domain == "example.org" then return relay.accept { rule = "ours" } end
  end
  function on.data(txn)
    if txn.sender and txn.sender.local_part == "nodata" then return relay.reject { rule = "no-data", text = "no data" } end
  end
  function on.message(txn, msg)
    if txn.sender and txn.sender.local_part == "hold" then return relay.hold { rule = "look", text = "look at it" } end
    if txn.sender and txn.sender.local_part == "drop" then return relay.discard { rule = "gone", text = "away" } end
    if txn.sender and txn.sender.local_part == "no" then return relay.reject { rule = "bad-message", text = "not that" } end
  end
  return on
end }
"""

TOP = """hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = 1
help_url = "https://help.example.edu/relay"
route "*" { via = "[127.0.0.1]:1" }
"""

TLS = TOP + """
tls = { cert = "relay.pem", key = "relay.key" }
users = { file = "users" }
"""

CONFIGS = {
    "stages": TOP + 'listener "l" { bind = "127.0.0.1:0", reverse_dns = false, policies = { use "stages" {} } }\n',
    "now": TOP + 'listener "l" { bind = "127.0.0.1:0", reverse_dns = false, policies = { use "stages" {} }, refuse_at = "now" }\n',
    "tls": TLS + 'listener "l" { bind = "127.0.0.1:0", reverse_dns = false, policies = { use "stages" {} }, auth = { "users" } }\n',
    "auth": TLS + 'listener "l" { bind = "127.0.0.1:0", reverse_dns = false, policies = { use "stages" {} }, tls = "required",\n'
            '  auth = { "users" }, auth_required = true }\n',
    "nobody": TOP + 'listener "l" { bind = "127.0.0.1:0", reverse_dns = false, policies = {} }\n',
    "shipped": TOP + 'listener "l" { bind = "127.0.0.1:0", reverse_dns = false, message_size = "64KiB",\n'
               '  policies = { use "helo_characters" { forbidden = "&" }, use "stages" {} } }\n',
}

# client, options, recipients
CASES = [
    ("127.0.0.1", ["--helo", "copier.example", "--from", "a@example.edu"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "a@example.edu", "--plain-helo"], ["b@example.org", "c@example.net"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", ""], ["bug@example.org", "b@example.org"]),
    ("127.0.0.1", ["--helo", "a&b", "--from", "a@example.edu"], ["b@example.org"]),
    ("127.0.0.2", ["--helo", "copier.example", "--from", "a@example.edu"], ["b@example.org", "c@example.org"]),
    ("127.0.0.3", ["--helo", "copier.example", "--from", "a@example.edu"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "bad.example", "--from", "a@example.edu"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "go.example", "--from", "a@example.edu"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "a@bad.example"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "not an address"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "nodata@example.edu"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "hold@example.edu"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "drop@example.edu"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "no@example.edu"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "a@example.edu", "--tls"], ["b@example.org", "c@example.net"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "a@example.edu", "--auth", "copier7"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "a@example.edu", "--tls", "--auth", "copier7"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "copier.example", "--from", "a@example.edu", "--tls", "--auth", "elsewhere"], ["b@example.org"]),
    ("127.0.0.2", ["--helo", "copier.example", "--from", "a@example.edu", "--tls", "--auth", "copier7"], ["b@example.org"]),
    ("127.0.0.1", ["--helo", "bad.example", "--from", "a@example.edu", "--tls"], ["b@example.org"]),
]
USERS = {"copier7": "swordfish", "elsewhere": "swordfish"}


def same(lines):
    """Without what is another one each time."""
    text = "\n".join(lines)
    text = re.sub(r"case [a-z2-9]{12}", "case ID", text)
    return re.sub(r"queued as [a-z2-9]{12}", "queued as ID", text)


def simulated_lines(step):
    text = step["text"].split("\n")
    return ["%d%s%s" % (step["code"], "-" if i + 1 < len(text) else " ", line) for i, line in enumerate(text)]


def simulate(relay, client, options, recipients, message):
    words = [POSTERN, "simulate", "--json", "--offline", "--config", relay.file, "--client", client, "--message", message, *options]
    for address in recipients:
        words += ["--to", address]
    run = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    try:
        result = json.loads(run.stdout)
    except ValueError:
        raise Failure("%s: exit %d\n%s" % (" ".join(words), run.returncode, run.stderr.decode())) from None
    if run.returncode != (0 if result["accepted"] else 1):
        raise Failure("%s: exit %d, accepted %s" % (" ".join(words), run.returncode, result["accepted"]))
    return result


def add_users(relay):
    for name, password in USERS.items():
        subprocess.run([POSTERN, "user", "add", name, "--file", os.path.join(relay.dir, "users")], input=password.encode() + b"\n",
                       check=True, capture_output=True, timeout=60)


def hold_live(relay, client, dialogue, user):
    """The same commands; their replies. The password and the handshake are real here."""
    c = Client(relay.port("l"), source=client)
    replies = []
    for step in dialogue:
        if step["said"] is None:
            replies.append(c.reply())
        elif step["said"] == ".":
            c.send(MESSAGE.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\n")
            replies.append(c.reply())
        elif step["said"] == "AUTH PLAIN *":
            secret = base64.b64encode(("\0%s\0%s" % (user, USERS[user])).encode()).decode()
            replies.append(c.command("AUTH PLAIN " + secret))
        else:
            replies.append(c.command(step["said"]))
        if step["said"] == "STARTTLS" and step["code"] == 220:
            c.starttls()
    c.close()
    return replies


def compare(relay, name, case, message):
    client, options, recipients = case
    result = simulate(relay, client, options, recipients, message)
    if result["problems"]:
        raise Failure("%s: %r" % (name, result["problems"]))
    user = options[options.index("--auth") + 1] if "--auth" in options else None
    replies = hold_live(relay, client, result["dialogue"], user)
    for step, reply in zip(result["dialogue"], replies):
        want, got = same(reply or ["(closed)"]), same(simulated_lines(step))
        if want != got:
            raise Failure("%s, %r: to %r\n the server: %s\n simulated:  %s" % (name, case, step["said"], want, got))
    return len(replies)


def main():
    compared = 0
    for name, config in CONFIGS.items():
        with Bed() as bed:
            os.makedirs(bed.path("relay", "policies"))
            with open(bed.path("relay", "policies", "stages.lua"), "w", encoding="utf-8") as f:
                f.write(STAGES)
            message = bed.path("message.eml")
            with open(message, "wb") as f:
                f.write(MESSAGE)
            pki = Pki(bed.path("relay"))
            pki.cert("relay", "DNS:relay.example.edu")
            relay = bed.relay(config, start=False)
            add_users(relay)
            relay.start()
            for case in CASES:
                compared += compare(relay, name, case, message)
    print("%d replies compared" % compared)
    return 0 if compared > 100 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(failure)
        sys.exit(1)
