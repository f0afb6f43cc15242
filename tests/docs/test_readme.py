#!/usr/bin/env python3
"""test_readme.py ROOT - what README.md says is so (in the environment: POSTERN=path).

Every fenced block is tried out. `lua config` must pass `postern check`, and the first one, moved to loopback, be served; `lua policy` must load and
decide beside it; each line of `sh` is a program of ours that exists, or a command that is run, as it is written, against the server
that runs. What the tables promise of that server, and every link, is looked at too. A failure names the line of README.md.
"""
import glob
import http.client
import json
import os
import re
import shlex
import signal
import smtplib
import socket
import subprocess
import sys
import time

ROOT = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(ROOT, "tests", "scenario", "lib"))

import bed  # noqa: E402
import certs  # noqa: E402

SENDER, RECIPIENT = "a@example.edu", "b@example.org"  # whom the commands of README.md name


class Block:
    def __init__(self, line, kind, text):
        self.line, self.kind, self.text = line, kind, text


def told(line, text, *values):
    return "README.md:%d: %s" % (line, text % values if values else text)


def fail(line, text, *values):
    raise bed.Failure(told(line, text, *values))


def read_blocks(text):
    """The fenced blocks, and the text with them blanked."""
    blocks, prose, inside = [], [], None
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("```"):
            if inside is None:
                inside = Block(number, line[3:].strip(), "")
            else:
                blocks.append(inside)
                inside = None
        elif inside is not None:
            inside.text += line + "\n"
        prose.append("" if inside is not None or line.startswith("```") else line)
    if inside is not None:
        fail(inside.line, "this block has no end")
    return blocks, prose


def one(blocks, kind):
    found = [b for b in blocks if b.kind == kind]
    if len(found) != 1:
        fail(1, "%d blocks `%s`, expected one", len(found), kind)
    return found[0]


def first_of(blocks, kind):
    found = [b for b in blocks if b.kind == kind]
    if not found:
        fail(1, "no block `%s`", kind)
    return found[0]


def replaced(block, text, *pairs):
    for old, new in pairs:
        if text.count(old) != 1:
            fail(block.line, "the test counts on %r being there once; it is there %d times", old, text.count(old))
        text = text.replace(old, new)
    return text


def run(directory, words, status=0, line=1, env=None):
    done = subprocess.run([bed.POSTERN, *words], cwd=directory, env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, check=False)
    said = done.stdout.decode() + done.stderr.decode()
    if done.returncode != status:
        fail(line, "postern %s: expected status %d, got %d\n%s", " ".join(words), status, done.returncode, said)
    if '"event":"bug"' in said:
        fail(line, "postern %s: a bug was reported\n%s", " ".join(words), said)
    return said


def write(directory, name, text):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def closed_port(kind):
    """A port of loopback where nobody listens; the socket is bound, so that nobody else gets it."""
    s = socket.socket(socket.AF_INET, kind)
    s.bind(("127.0.0.1", 0))
    return s, s.getsockname()[1]


# ---- the configuration and the policy --------------------------------------------------------------------------------


def check_config(directory, config):
    write(directory, "postern.lua", config.text)
    run(directory, ["check", "--config", "postern.lua"], line=config.line)
    write(directory, "postern.lua", config.text + "\nroute \"*\" { vja = \"x\" }\n")
    at = "postern.lua:%d:" % (config.text.count("\n") + 2)
    if at not in run(directory, ["check", "--config", "postern.lua"], status=1, line=config.line):
        fail(config.line, "a mistake was not told with %s", at)


def check_other_config(directory, config):
    """It may name files: certificates, keys, secrets, users."""
    for name in ("tls", "dkim", "secrets", "keys"):
        os.makedirs(os.path.join(directory, name))
    made = certs.Cert(directory, "made", ["smtp-relay.example.edu"])
    os.rename(made.path, os.path.join(directory, "tls", "fullchain.pem"))
    os.rename(os.path.join(directory, "made.key"), os.path.join(directory, "tls", "key.pem"))
    run(directory, ["dkim", "keygen", "--selector", "relay", "--domain", "example.edu", "--out", "keys"], line=config.line)
    os.rename(glob.glob(os.path.join(directory, "keys", "*.pem"))[0], os.path.join(directory, "dkim", "relay.pem"))
    run(directory, ["user", "add", "copier7", "--generate", "--file", "users"], line=config.line)
    write(directory, "secrets/upstream", "not a secret\n")
    os.chmod(os.path.join(directory, "secrets", "upstream"), 0o600)
    write(directory, "postern.lua", config.text.replace("/etc/postern/", directory + "/"))
    run(directory, ["check", "--config", "postern.lua"], line=config.line)


def check_policy(directory, config, policy):
    """In the list of the configuration's policies it loads, needs its options, and decides."""
    named = re.match(r"-- (policies/(\w+)\.lua)", policy.text)
    if not named:
        fail(policy.line, "the first line does not say which file it is")
    write(directory, named.group(1), policy.text)
    first = "local campus = {\n"

    def used(options, mode=""):
        use = '  use "%s" { %s }%s,\n' % (named.group(2), options, mode)
        write(directory, "postern.lua", replaced(config, config.text, (first, first + use)))

    used('scanners = { "192.0.2.64/26" }')
    if "'to' is missing" not in run(directory, ["check", "--config", "postern.lua"], status=1, line=policy.line):
        fail(policy.line, "a missing option is not told")
    good = 'scanners = { "192.0.2.64/26" }, to = "archive@example.edu"'
    used(good)
    run(directory, ["check", "--config", "postern.lua"], line=policy.line)
    used(good, ":observe()")
    run(directory, ["check", "--config", "postern.lua"], line=policy.line)
    used(good)
    for to, rule_at_night, accepted in (("archive@example.edu", "archive", True), (RECIPIENT, "archive-only", False)):
        words = ["simulate", "--offline", "--json", "--config", "postern.lua", "--client", "192.0.2.65", "--ptr",
                 "scanner.example.edu", "--from", SENDER, "--to", to]
        while True:  # again if the hour ends while it runs
            hour = time.gmtime().tm_hour
            day = 6 <= hour < 18
            said = run(directory, words, status=0 if accepted and not day else 1, line=policy.line)
            if hour == time.gmtime().tm_hour:
                break
        want = "office-hours" if day else rule_at_night
        decisions = [d for e in json.loads(said)["dialogue"] for d in e["decisions"]]
        if not any(d["policy"] == named.group(2) and d.get("rule") == want for d in decisions):
            fail(policy.line, "expected a decision with rule %s for %s:\n%s", want, to, said)


# ---- the server that runs --------------------------------------------------------------------------------------------


def loopback(config, control, dns_port, dead_port):
    """The configuration of README.md on ports of the system's choosing; what it cannot deliver stays in the queue."""
    return replaced(config, config.text,
        ('"/var/lib/postern"', '"data"'), ('"/run/postern/control.sock"', '"%s"' % control),
        ('user     = "nobody"\n', 'workers = 1\ndns = { servers = "127.0.0.1:%d" }\n' % dns_port),
        ('"0.0.0.0:25", "[::]:25"', '"127.0.0.1:0"'), ('use "reverse_dns" {}', 'use "reverse_dns" { exempt = { "127.0.0.0/8" } }'),
        ('networks = { "192.0.2.0/26" }', 'networks = { "192.0.2.0/26", "127.0.0.1" }'),
        ('route "*" {}', 'route "*" { via = "[127.0.0.1]:%d" }' % dead_port))


def over_control(relay, path):
    connection = http.client.HTTPConnection("localhost", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(20)
    connection.sock.connect(relay.control)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def send(port, source="127.0.0.1"):
    with smtplib.SMTP("127.0.0.1", port, "client.example.edu", 30, (source, 0)) as client:
        client.sendmail(SENDER, [RECIPIENT], "Subject: tried out\r\n\r\ntext\r\n")


def check_sink(directory, words, line):
    sink = bed.Process([bed.POSTERN, *words], cwd=directory)
    try:
        event = bed.wait_until(lambda: "the sink to listen: " + sink.err.all_text(), lambda: sink.out.find(event="listening"))
        send(event[0]["port"])
        bed.wait_until("the sink to count", lambda: sink.out.find(event="message"))
    finally:
        status = sink.stop()
    if status != 0:
        fail(line, "the sink ended with status %d", status)


def check_command(directory, relay, words, line):
    if words[0] == "sink":
        check_sink(directory, ["127.0.0.1:0" if w == "127.0.0.1:2525" else w for w in words], line)
    elif words[0] != "serve":  # that is what runs
        run(directory, words, line=line, env={"POSTERN_CONTROL": relay.control})


def check_shell(directory, relay, blocks):
    served, missing = False, []
    for block in blocks:
        for number, text in enumerate(block.text.split("\n"), block.line + 1):
            words = shlex.split(text, comments=True)
            if not words:
                continue
            if words[0] == "postern":
                check_command(directory, relay, words[1:], number)
                served = served or words[1:] == ["serve", "--config", "postern.lua"]
            elif not os.access(os.path.join(ROOT, words[0]), os.X_OK):
                missing.append(told(number, "%s is no program", words[0]))
    if not served:
        missing.append(told(1, "no line says how the server is started"))
    return missing


def check_refusal(relay, prose):
    """The refusal that the table shows is the one that a stranger gets."""
    number, shown = next(((n, m.group(1)) for n, t in enumerate(prose, 1) for m in [re.search(r"a refusal \| `([^`]*)`", t)] if m),
                         (1, None))
    if not shown:
        fail(1, "no refusal is shown")
    wanted = re.escape(shown).replace(re.escape("https://help..."), r"https://help\.\S+")
    wanted = re.sub(r"case\\ \w+", r"case\\ [a-z0-9]+", wanted)
    try:
        send(relay.port("relay"), "127.0.0.2")
    except smtplib.SMTPRecipientsRefused as refused:
        code, text = refused.recipients[RECIPIENT]
        got = "%d %s" % (code, text.decode())
        if not re.fullmatch(wanted, got):
            fail(number, "the refusal is %r", got)
        case = re.search(r"case (\w+)", got).group(1)
        bed.wait_until("the record of case " + case, lambda: relay.events(case=case))
        return
    fail(number, "a stranger could send")


def check_operation(relay, prose):
    text = "\n".join(prose)
    for path in re.findall(r"(?<=`)(?:GET )?(/(?:metrics|health/\w+))(?=`)", text):
        status, body = over_control(relay, path)
        if status != 200 or not body:
            fail(1, "%s: %d %s", path, status, body)
    if "`postern reload`" not in text or not relay.reload():
        fail(1, "SIGHUP did not reload the configuration, or `postern reload` is not in the table")
    relay.cli("reload")
    relay.write("hostname = 1\n")
    if relay.reload() or relay.cli("reload", check=False).returncode == 0:
        fail(1, "a configuration with mistakes was taken")
    send(relay.port("relay"))


def check_live(directory, config, blocks, prose):
    (udp, dns_port), (tcp, dead_port) = closed_port(socket.SOCK_DGRAM), closed_port(socket.SOCK_STREAM)
    relay = bed.Relay(directory, "")
    relay.write(loopback(config, relay.control, dns_port, dead_port))
    try:
        relay.start()
        send(relay.port("relay"))
        relay.wait_for(event="attempt_finished", status="deferred")
        missing = check_shell(directory, relay, [b for b in blocks if b.kind == "sh"])
        check_refusal(relay, prose)
        check_operation(relay, prose)
        status = relay.process.stop(signal.SIGTERM)
        if status != 0:
            fail(1, "after SIGTERM the status is %d", status)
        return missing
    finally:
        relay.stop()
        udp.close()
        tcp.close()


# ---- words -----------------------------------------------------------------------------------------------------------


def check_words(prose):
    """Names that there are not, as a list of complaints."""
    missing = []
    with open(os.path.join(ROOT, "schema", "hooks.lua"), encoding="utf-8") as f:
        hooks = set(re.findall(r'\{ name = "(\w+)"', f.read()))
    for number, text in enumerate(prose, 1):
        for path in re.findall(r"\]\(([^):]+)\)|`((?:server|lua|schema|tests|contrib)/[\w/.]*)`", text):
            if not os.path.exists(os.path.join(ROOT, path[0] or path[1])):
                missing.append(told(number, "%s is not there", path[0] or path[1]))
        if text.startswith("Hooks:"):
            unknown = set(re.findall(r"\w+", " ".join(re.findall(r"`([a-z_ ]+)`", text)))) - hooks
            if unknown:
                missing.append(told(number, "no such hooks: %s", ", ".join(sorted(unknown))))
    return missing


def main():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        blocks, prose = read_blocks(f.read())
    for block in blocks:
        if block.kind not in ("sh", "lua config", "lua policy"):
            fail(block.line, "nobody tries out a block `%s`", block.kind)
    config, policy = first_of(blocks, "lua config"), one(blocks, "lua policy")
    missing = check_words(prose)
    with bed.Bed() as place:
        check_config(place.path("check"), config)
        for other in blocks:
            if other.kind == "lua config" and other is not config:
                check_other_config(place.path("other-%d" % other.line), other)
        check_policy(place.path("policy"), config, policy)
        missing += check_live(place.path("live"), config, blocks, prose)
    for text in missing:
        print(text, file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except bed.Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
