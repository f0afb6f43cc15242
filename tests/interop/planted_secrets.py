#!/usr/bin/env python3
"""planted_secrets.py leaks|memory - passwords, tokens and keys that were planted are looked for in everything that the server writes.

leaks   planted in secrets files, the environment, the user file, a sasldb, keys, and in AUTH attempts: right, wrong, no base64, in the
        clear, as the name of a user, too long, given up half way. Then mail is delivered and logged in upstream, the commands for
        operators are run, configurations with mistakes are checked and reloaded. No log, answer, reply to a client or file of the
        spool has one of them, in clear, in base64 at any of its three offsets, as hexadecimal digits or percent-encoded
memory  where there are keys or passwords the process writes no core file, from the start or from the reload that brings them

Exit status 77: a program is not there. The environment says which binary: POSTERN.
"""
import base64
import json
import os
import shutil
import smtplib
import subprocess
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import certs  # noqa: E402
import pki  # noqa: E402
from auth_server import AuthServer  # noqa: E402
from clients import SKIPPED  # noqa: E402
from https_server import HttpsServer  # noqa: E402
from tls_clients import make_sasldb, make_user, must  # noqa: E402

PLANTED = {
    "of a user": "Quux7-planted-user", "of a sasldb": "Quux7-planted-sasldb", "that is wrong": "Quux7-planted-wrong",
    "in the clear": "Quux7-planted-clear", "that is no base64": "Quux7-planted*broken", "as a user's name": "Quux7-planted-as-name",
    "behind SCRAM": "Quux7-planted-scram", "too long": "Quux7-planted-long" + "g" * 13000, "given up": "Quux7-planted-abandoned",
    "of an upstream": "Quux7-planted-upstream", "of a wrong upstream": "Quux7-planted-other", "of the environment": "Quux7-planted-env",
    "of an OAuth client": "Quux7-planted-client~secret", "refresh token": "Quux7-planted-refresh/token",
    "access token": "Quux7-planted-access.token",
}
CONFIG = """\
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
log = { level = "debug" }
queue = { retry = "1s" }
secrets_dir = "secrets"
tls = { cert = "%(cert)s" }
users = { file = "%(users)s" }
sasldb = { path = "%(sasldb)s", realm = "relay.example.edu" }
dkim = { domain = "example.edu", selector = "s1", key = "%(dkim)s" }
listener "mail" { bind = "127.0.0.1:0", reverse_dns = false, tls = "optional", auth = { "users", "sasldb" }, auth_old_clients = true,
  auth_failures = { delay = "0s", per_address = 0, per_user = 0, per_connection = 50 }, clients = { per_client = 1000 },
  policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
listener "clear" { bind = "127.0.0.1:0", reverse_dns = false, tls = "off", auth = { "users" }, auth_clear_from = "127.0.0.0/8",
  auth_failures = { delay = "0s", per_address = 0, per_user = 0 }, policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
local known = { level = "verify", ca = "%(ca)s" }
local function to(password) return { user = "relay", password = secret(password) } end
route "good.example" { via = "[127.0.0.1]:%(upstream)d", tls = known, auth = to "upstream" }
route "env.example" { via = "[127.0.0.1]:%(upstream)d", tls = known, auth = { user = "envoy", password = secret "env_login" } }
route "bad.example" { via = "[127.0.0.1]:%(upstream)d", tls = known, auth = to "other" }
route "token.example" { via = "[127.0.0.1]:%(upstream)d", tls = known, auth = { user = "relay@example.org", token = {
  url = "https://127.0.0.1:%(provider)d/%(endpoint)s", ca = "%(provider_ca)s", client_id = "app", client_secret = secret "client",
  refresh_token = secret "refresh" } } }
route "*" { via = "[127.0.0.1]:%(sink)d" }
"""


def b64(text):
    return base64.b64encode(text.encode()).decode()


def forms(secret):
    """What it would look like: in clear, as base64 wherever in a longer text it begins, and as other programs would print it."""
    raw = secret.encode()[:60]
    out = {raw, raw.hex().encode(), urllib.parse.quote(raw, safe="").encode()}
    for skipped in range(3):
        text = base64.b64encode(b"\0" * skipped + raw)
        # Characters that other octets have a part in are not its own.
        out.add(text[(0, 2, 3)[skipped]:len(text) - 4])
    return out


class Search:
    """What was written, by the name of where it was; what may not be in it."""

    def __init__(self):
        self.texts = []
        self.needles = {}

    def plant(self, what, secret):
        for form in forms(secret):
            must(len(form) >= 12, "too little to look for:", form)
            self.needles[form] = what

    def add(self, where, text):
        self.texts.append((where, text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")))

    def nothing(self):
        octets = 0
        for where, text in self.texts:
            octets += len(text)
            for needle, what in self.needles.items():
                at = text.find(needle)
                must(at < 0, "the password or key", what, "is in", where, ":", text[max(0, at - 300):at + len(needle)])
        return len(self.texts), octets


class World:
    def __init__(self, bed):
        self.bed, self.search = bed, Search()
        for what, secret in PLANTED.items():
            self.search.plant(what, secret)
        os.makedirs(bed.path("relay", "secrets"))
        self.ca = certs.Ca(bed.dir, "ca")
        cert = certs.Cert(bed.dir, "relay-cert", ["localhost", "127.0.0.1"], self.ca)
        pki.Pki(bed.dir).key("dkim", "rsa")
        for path in (cert.path, bed.path("dkim.key"), self.ca.key):
            self.plant_key(path)
        make_user(bed.path("users"), "copier7", PLANTED["of a user"])
        make_sasldb(bed.path("sasldb2"), "relay.example.edu", "fax", PLANTED["of a sasldb"])
        self.plant_hashes(bed.path("users"))
        for name, what in (("upstream", "of an upstream"), ("other", "of a wrong upstream"), ("client", "of an OAuth client"),
                           ("refresh", "refresh token")):
            with open(bed.path("relay", "secrets", name), "w", encoding="ascii") as f:
                os.chmod(f.name, 0o600)
                f.write(PLANTED[what] + "\n")
        self.env = {"POSTERN_SECRET_ENV_LOGIN": PLANTED["of the environment"]}
        self.upstream = bed.keep(AuthServer(cert.path, "PLAIN LOGIN XOAUTH2 OAUTHBEARER")).start()
        self.upstream.passwords.update({"relay": PLANTED["of an upstream"], "envoy": PLANTED["of the environment"]})
        self.upstream.tokens.add(PLANTED["access token"])
        os.makedirs(bed.path("provider"))
        self.provider = bed.keep(HttpsServer(bed.path("provider")).start())
        self.provider.answer("good", 200, {}, json.dumps({"access_token": PLANTED["access token"], "expires_in": 3600}))
        # A provider that repeats what it was told.
        self.provider.answer("echo", 400, {}, json.dumps({"error": "invalid_grant", "error_description": "you sent %s and %s" % (
            PLANTED["of an OAuth client"], PLANTED["refresh token"])}))
        self.sink = bed.sink()
        self.values = {"cert": cert.path, "users": bed.path("users"), "sasldb": bed.path("sasldb2"), "dkim": bed.path("dkim.key"),
                       "ca": self.ca.path, "upstream": self.upstream.port, "provider": self.provider.ports["good"],
                       "provider_ca": self.provider.ca, "sink": self.sink.port, "endpoint": "good"}
        self.relay = bed.relay(self.config(), env=self.env)

    def plant_key(self, path):
        """Lines of its private part: any one of them is too much."""
        with open(path, encoding="ascii") as f:
            key = f.read().partition("PRIVATE KEY-----\n")[2].partition("-----END")[0]
        lines = [line for line in key.split("\n") if len(line) >= 40]
        must(lines, "no key in", path)
        for line in lines[1:] or lines:
            self.search.needles[line.encode()] = "key of " + os.path.basename(path)

    def plant_hashes(self, path):
        with open(path, encoding="utf-8") as f:
            for word in f.read().split():
                if word.startswith(("password=", "scram=")):
                    for part in word.replace("$", ":").split(":"):
                        if len(part) >= 30:
                            self.search.needles[part.encode()] = "hash of a user's"

    def config(self, **values):
        return CONFIG % dict(self.values, **values)

    def client(self, listener, tls):
        client = b.Client(self.relay.port(listener))
        said = [client.reply(), client.command("EHLO copier.example.edu")]
        if tls:
            said.append(client.command("STARTTLS"))
            client.starttls(ca=self.ca.path, name="localhost")
            said.append(client.command("EHLO copier.example.edu"))
        self.search.add("what a client was told", repr(said))
        return client

    def talk(self, client, code, *lines):
        """Each line, and the code of the reply to the last."""
        reply = None
        for line in lines:
            reply = client.command(line)
            self.search.add("the reply to a client", repr(reply))
        must(reply and reply[-1].startswith(code), "expected", code, "to", lines[-1][:60], "got", reply)

    def cli(self, *words, status=None, stdin=b""):
        run = subprocess.run([b.POSTERN, *words], input=stdin, capture_output=True, timeout=60, check=False, env=dict(os.environ, **self.env))
        self.search.add("postern " + " ".join(words), run.stdout + run.stderr)
        must(status is None or run.returncode == status, words, "exit", run.returncode, run.stdout[-500:], run.stderr[-1500:])
        must(run.stdout or run.stderr or status == 0, words, "said nothing")
        return (run.stdout + run.stderr).decode("utf-8", "replace")


def plain(user, password):
    return "AUTH PLAIN " + b64("\0%s\0%s" % (user, password))


def attempts(world):
    p = PLANTED
    client = world.client("mail", True)
    world.talk(client, "535", plain("copier7", p["that is wrong"]))
    world.talk(client, "535", "AUTH LOGIN", b64("copier7"), b64(p["that is wrong"]))
    world.talk(client, "535", plain(p["as a user's name"], p["that is wrong"]))
    world.talk(client, "5", "AUTH PLAIN " + p["that is no base64"])
    world.talk(client, "5", "AUTH LOGIN", b64("copier7"), p["that is no base64"])
    world.talk(client, "5", "AUTH LOGIN " + p["that is no base64"])
    world.talk(client, "5", "AUTH " + p["that is wrong"])
    world.talk(client, "5", p["that is wrong"])
    world.talk(client, "5", plain("copier7", p["too long"]))
    world.talk(client, "501", "AUTH LOGIN", b64("copier7"), "*")
    world.talk(client, "5", "AUTH SCRAM-SHA-256 " + b64("n,,n=%s,r=%s" % (p["as a user's name"], "nonce")), b64(p["behind SCRAM"]))
    world.talk(client, "5", "AUTH SCRAM-SHA-256 " + b64(p["behind SCRAM"]))
    world.talk(client, "334", "AUTH LOGIN", b64(p["given up"]))
    client.send(b64(p["given up"]).encode())
    client.close()
    for user, password in (("copier7", p["of a user"]), ("fax", p["of a sasldb"])):
        client = world.client("mail", True)
        world.talk(client, "235", plain(user, password))
        world.talk(client, "503", plain(user, password))
        world.talk(client, "5", password)
        world.talk(client, "5", b64(password))
        client.close()
    client = world.client("mail", False)
    for words in (plain("copier7", p["in the clear"]), "AUTH LOGIN " + b64(p["in the clear"]), b64(p["in the clear"]), p["in the clear"]):
        world.talk(client, "5", words)
    client.close()
    client = world.client("clear", False)
    world.talk(client, "535", plain("copier7", p["in the clear"]))
    world.talk(client, "235", "AUTH LOGIN", b64("copier7"), b64(p["of a user"]))
    client.close()
    world.relay.wait_for(event="authenticated", user="fax@relay.example.edu", backend="sasldb")
    world.relay.wait_for(event="auth_failed", user="copier7", reason="wrong")
    print("  logins, right and in every wrong way: tried", flush=True)


def deliveries(world):
    with smtplib.SMTP("127.0.0.1", world.relay.port("mail"), "copier.example.edu", 60) as client:
        for domain in ("good", "env", "bad", "token", "other"):
            client.sendmail("a@example.edu", ["b@%s.example" % domain], "From: <a@example.edu>\r\nSubject: %s\r\n\r\nhello\r\n" % domain)
    b.wait_until(lambda: "three messages upstream:\n" + world.relay.log_text()[-6000:], lambda: len(world.upstream.messages) >= 3, 20)
    world.sink.wait_for(1)
    world.relay.wait_for(event="upstream_auth_failed", user="relay")
    # A server and a provider that repeat what they are told.
    world.upstream.refusal = "535 5.7.8 %s is wrong" % PLANTED["of a wrong upstream"]
    world.relay.write(world.config(endpoint="echo").replace("@DIR@", world.bed.path("relay")))
    must(world.relay.reload(), "the reload was refused", world.relay.log_text()[-2000:])
    with smtplib.SMTP("127.0.0.1", world.relay.port("mail"), "copier.example.edu", 60) as client:
        client.sendmail("a@example.edu", ["c@token.example", "c@bad.example"], "Subject: echo\r\n\r\nhello\r\n")
    b.wait_until("the provider's refusal", lambda: [r for r in world.provider.requests() if r["path"] == "/echo"])
    world.relay.wait_for(event="token_failing")
    print("  deliveries with logins, also to those who repeat the password: done", flush=True)


def operators(world):
    config = ["--config", world.relay.file]
    control = ["--control", world.relay.control]
    world.cli("check", *config, status=0)
    text = world.cli("check", *config, "--json", status=0)
    must(json.loads(text), "no JSON", text)
    client = world.client("mail", True)  # so that there is a session
    world.talk(client, "235", plain("copier7", PLANTED["of a user"]))
    for words in (["status"], ["sessions"], ["queue", "ls"], ["destinations"], ["bans", "ls"], ["metrics"], ["health"], ["tls-report"]):
        world.cli(*words, *control)
        world.cli(*words, "--json", *control)
    must(json.loads(world.cli("sessions", "--json", *control)), "no session is shown")
    client.close()
    ids = [e["id"] for e in world.relay.events(event="message_accepted")]
    removed = [e["id"] for e in world.relay.events(event="message_removed")]
    waiting = [i for i in ids if i not in removed]
    must(waiting, "nothing waits")
    for words in (["queue", "show", waiting[0]], ["queue", "export", waiting[0]]):
        world.cli(*words, "--json", *control)
        world.cli(*words, *control)
    world.cli("simulate", *config, "--client", "127.0.0.1", "--offline", "--from", "a@example.edu", "--to", "b@good.example", "--json")
    world.cli("simulate", *config, "--client", "127.0.0.1", "--offline", "--from", "a@example.edu", "--to", "b@good.example")
    for route in ("good.example", "bad.example", "env.example", "token.example"):
        world.cli("upstream", "check", *config, route)
        world.cli("upstream", "check", *config, route, "--json")
    world.cli("user", "ls", "--file", world.values["users"], status=0)
    world.cli("user", "ls", "--file", world.values["users"], "--json", status=0)
    world.cli("user", "add", "copier7", "--file", world.values["users"], stdin=PLANTED["that is wrong"].encode() + b"\n")
    world.cli("cert", "check", *config)
    world.cli("cert", "check", *config, "--json")
    world.cli("dkim", "check", *config)
    print("  the operators' commands: run", flush=True)


def mistakes(world):
    """A secret that stands where it should not, and files that are no keys: errors name the place, not what is there."""
    good = world.config()
    p = PLANTED
    for old, new in (('password = secret(password)', 'password = "%s"' % p["of an upstream"]),
                     ('client_secret = secret "client"', 'client_secret = { "%s" }' % p["of an OAuth client"]),
                     ('secret "env_login"', 'secret "no_such"'),
                     ('auth = to "upstream"', 'auth = { user = 7, password = secret "upstream" }'),
                     ('auth = to "other"', 'auth = to "other", nonsense = secret "other"'),
                     ('hostname = "relay.example.edu"', 'hostname = secret "upstream"'),
                     ('hostname = "relay.example.edu"', 'hostname = tostring(secret "upstream")'),
                     ('hostname = "relay.example.edu"', 'error(secret "upstream")'),
                     ('hostname = "relay.example.edu"', 'error(tostring(secret "upstream"))'),
                     ('hostname = "relay.example.edu"', 'hostname = "x" .. secret "upstream"'),
                     ('cert = "%s"' % world.values["cert"], 'cert = "%s"' % world.bed.path("relay", "secrets", "upstream")),
                     ('key = "%s"' % world.values["dkim"], 'key = "%s"' % world.bed.path("relay", "secrets", "upstream")),
                     ('file = "%s"' % world.values["users"], 'file = "%s"' % world.bed.path("relay", "secrets", "upstream")),
                     ('path = "%s"' % world.values["sasldb"], 'path = "%s"' % world.bed.path("relay", "secrets", "upstream"))):
        must(old in good, "nothing to spoil:", old)
        spoilt = good.replace(old, new).replace("@DIR@", world.bed.path("relay"))
        world.relay.write(spoilt)
        for more in ([], ["--json"]):
            world.cli("check", "--config", world.relay.file, *more)
        if "sasldb" not in old:
            world.relay.reload()
            world.cli("reload", "--control", world.relay.control)
    must(world.relay.events(event="config_refused"), "no mistake was found")
    world.relay.write(good.replace("@DIR@", world.bed.path("relay")))
    must(world.relay.reload(), "the good configuration was refused")
    print("  configurations with mistakes: checked and reloaded", flush=True)


def spool_files(world):
    count = 0
    for directory, _, names in os.walk(world.bed.path("relay", "data")):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                count += 1
                with open(path, "rb") as f:
                    world.search.add("the file " + path, f.read())
    must(count, "there is no spool")


def without_tried_names(log):
    """The name that a login was tried with in vain is logged as `user`, for operators and fail2ban, also where a device sends its
    password as that. Everywhere else it would be found."""
    field, count = '"user":"%s"' % PLANTED["as a user's name"], 0
    lines = []
    for line in log.split("\n"):
        if ('"event":"auth_failed"' in line or '"event":"auth_undecided"' in line) and field in line:
            line, count = line.replace(field, ""), count + 1
        lines.append(line)
    must(count, "no failed login by that name")
    return "\n".join(lines)


def test_leaks(bed):
    world = World(bed)
    attempts(world)
    deliveries(world)
    operators(world)
    mistakes(world)
    spool_files(world)
    world.relay.stop()
    world.search.add("its log", without_tried_names(world.relay.log_text()))
    world.search.add("its standard output", world.relay.process.out.all_text())
    must("auth_failed" in world.relay.log_text(), "the log is empty")
    # The search finds what is there: with a password put into it, it must fail.
    for what, secret in PLANTED.items():
        probe = Search()
        probe.plant(what, secret)
        for text in (secret, b64("\0copier7\0" + secret), b64("x" + secret), b64("xy" + secret)):
            probe.texts = [("a probe", text.encode())]
            try:
                probe.nothing()
            except b.Failure:
                continue
            raise b.Failure("the search did not find %r" % text[:100])
    print("  %d texts of %d octets, none of %d forms is there" % (*world.search.nothing(), len(world.search.needles)))


# ---- memory -----------------------------------------------------------------------------------------------------------

BARE = """\
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
listener "mail" { bind = "127.0.0.1:0", reverse_dns = false, policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
"""


def core_files(relay):
    """The limit of core files as the kernel has it for the process."""
    with open("/proc/%d/limits" % relay.process.child.pid, encoding="ascii") as f:
        line = [text for text in f if text.startswith("Max core file size")][0]
    return line.split()[4:6]


def test_memory(bed):
    ca = certs.Ca(bed.dir, "ca")
    cert = certs.Cert(bed.dir, "relay-cert", ["localhost", "127.0.0.1"], ca)
    pki.Pki(bed.dir).key("dkim", "rsa")
    make_user(bed.path("users"), "copier7", PLANTED["of a user"])
    kinds = {
        "tls": 'tls = { cert = "%s" }\n' % cert.path,
        "dkim": 'dkim = { domain = "example.edu", selector = "s1", key = "%s" }\n' % bed.path("dkim.key"),
        "login": 'route "*" { via = "[127.0.0.1]:9", auth = { user = "relay", password = secret "upstream" } }\n',
        "route-cert": 'route "*" { via = "[127.0.0.1]:9", tls = { level = "encrypt", cert = "%s" } }\n' % cert.path,
    }
    for name, more in kinds.items():
        os.makedirs(bed.path(name, "secrets"))
        with open(bed.path(name, "secrets", "upstream"), "w", encoding="ascii") as f:
            os.chmod(f.name, 0o600)
            f.write(PLANTED["of an upstream"] + "\n")
        relay = bed.relay(BARE + more, name)
        must(core_files(relay) == ["0", "0"], name, "from the start: core files may have", core_files(relay))
        relay.stop()
        relay = bed.relay(BARE, name)
        relay.write((BARE + more).replace("@DIR@", bed.path(name)))
        must(relay.reload(), "the reload was refused", relay.log_text()[-2000:])
        must(core_files(relay) == ["0", "0"], name, "brought by a reload: core files may have", core_files(relay))
        relay.stop()
        print("  %s: no core files" % name, flush=True)


TESTS = {"leaks": test_leaks, "memory": test_memory}


def main(name):
    if not shutil.which("saslpasswd2"):
        print("skipped: saslpasswd2 is not installed")
        return SKIPPED
    with b.Bed() as bed:
        TESTS[name](bed)
        print("%s: good" % name)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (b.Failure, subprocess.SubprocessError) as failure:
        sys.exit("planted_secrets.py: %s" % failure)
