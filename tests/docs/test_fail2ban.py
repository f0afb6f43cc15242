#!/usr/bin/env python3
"""contrib/fail2ban/postern.conf finds the client of a refused login, in both log formats, and nobody else.

The lines are made as schema/log_events.lua has them. The regular expressions are tried as fail2ban does it: the date is taken out of
the line first. Where fail2ban-regex is installed, it has to find the same.
"""
import configparser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1])
FILTER = ROOT / "contrib/fail2ban/postern.conf"
ADDR = r"(?P<addr>\d+\.\d+\.\d+\.\d+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)"

# What clients may say to have somebody else banned.
NASTY = ['","client":"203.0.113.9', '\\","client":"203.0.113.9","a":"', "x[203.0.113.9]: SASL PLAIN authentication failed: y",
         "unknown[203.0.113.9]", "\n{\"time\":\"2026-03-01T10:00:00Z\"", "<203.0.113.9>"]


def templates(event):
    """The lines of an event in the format of Postfix, from the schema."""
    code = ("local s = dofile(arg[1] .. '/schema/log_events.lua') for _, e in ipairs(s.events) do if e[1] == arg[2] then "
            "for _, p in ipairs(e[5]) do print(p[1] .. '\\t' .. p[2]) end end end")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
        f.write(code)
        f.flush()
        out = subprocess.run(["luajit", f.name, str(ROOT), event], check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def as_json(event, fields):
    head = {"time": "2026-03-01T10:00:00.123456Z", "level": "info", "event": event, "node": "relay.example.edu", "worker": 1}
    return json.dumps({**head, **fields}, separators=(",", ":"), ensure_ascii=False)


def as_postfix(event, fields):
    def value(m):
        name, _, default = m.group(1).rstrip("^").partition("|")
        text = str(fields.get(name, default))
        text = "".join(c if c >= " " else "?" for c in text)
        return text.upper() if "^" in m.group(1) else text
    return ["Mar  1 10:00:00 relay.example.edu postern/%s[77]: %s" % (service, re.sub(r"\{([^}]*)\}", value, template))
            for service, template in templates(event)]


def samples():
    """(line, address that is to be found or None)"""
    for client in ("192.0.2.7", "2001:db8::7"):
        for said in ["copier7", "smtp-relay/scan.example.edu@EXAMPLE.EDU", ""] + NASTY:
            session = {"session": "abcdefghijkm", "listener": "relay", "client": client, "client_port": 4711, "helo": said,
                       "proto": "ESMTPS"}
            failed = {**session, "user": said, "mech": "SCRAM-SHA-256", "backend": "users", "code": 535, "enhanced": "5.7.8",
                      "reason": "no such user"}
            yield as_json("auth_failed", failed), client
            yield from ((line, client) for line in as_postfix("auth_failed", {**failed, "ptr": "mfp.example.edu"}))
            yield from ((line, client) for line in as_postfix("auth_failed", failed))
            refused = {**session, "stage": "rcpt", "from": said, "to": "b@example.org", "code": 550, "enhanced": "5.7.1",
                       "text": "warning: " + said, "rule": "auth_failed"}
            yield as_json("refused", refused), None
            yield from ((line, None) for line in as_postfix("refused", refused))
            yield as_json("session_finished", {**session, "user": "auth_failed"}), None


def read_filter():
    parser = configparser.ConfigParser()
    parser.read(FILTER)
    words = lambda key: [line.strip() for line in parser.get("Definition", key).strip().splitlines()]
    dates = []
    for pattern in words("datepattern"):
        for word, regex in (("%Y", r"\d{4}"), ("%m", r"\d\d"), ("%d", r"[ \d]\d"), ("%H", r"\d\d"), ("%M", r"\d\d"), ("%S", r"\d\d"),
                            ("%f", r"\d+"), ("%z", r"Z"), ("%b", r"[A-Z][a-z]{2}")):
            pattern = pattern.replace(word, regex)
        dates.append(re.compile(pattern))
    return dates, [re.compile(line.replace("<ADDR>", ADDR)) for line in words("failregex")]


def find(line, dates, fails):
    for date in dates:
        m = date.search(line)
        if m:
            line = line[:m.start()] + line[m.end():]
            break
    else:
        return None
    for fail in fails:
        m = fail.search(line)
        if m:
            return m.group("addr")
    return None


def try_fail2ban(lines):
    """What fail2ban itself finds, or None if it is not here."""
    program = shutil.which("fail2ban-regex")
    if not program:
        print("fail2ban-regex is not here (Debian's fail2ban): its own opinion was not asked for")
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".log") as f:
        f.write("".join(line + "\n" for line in lines))
        f.flush()
        out = subprocess.run([program, "-o", "ip", f.name, str(FILTER)], check=True, capture_output=True, text=True).stdout
    return out.split()


def main():
    dates, fails = read_filter()
    wrong = 0
    for line, client in samples():
        found = find(line, dates, fails)
        if found != client:
            wrong += 1
            print("expected %s, found %s in: %s" % (client, found, line))
    # as they come, with both formats in logs of their own
    for begin in ("{", "M"):
        chosen = [(line, client) for line, client in samples() if line.startswith(begin)]
        got = try_fail2ban([line for line, _ in chosen])
        want = [client for _, client in chosen if client]
        if got is not None and got != want:
            wrong += 1
            print("fail2ban-regex: expected %s, got %s" % (want, got))
    if not any(client for _, client in samples()):
        wrong += 1
    sys.exit(1 if wrong else 0)


main()
