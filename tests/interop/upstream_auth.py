#!/usr/bin/env python3
"""upstream_auth.py postfix|logins|tokens|check - how a relay logs in upstream.

postfix  a Postfix that wants SASL behind TLS, its users in a sasldb as the how-to has it: PLAIN, LOGIN, SCRAM; a wrong password waits
logins   by the sender's domain; a password whose file is replaced; nothing to a server that is not verified
tokens   XOAUTH2 and OAUTHBEARER with a provider of our own: one fetch for all, refusals, each way to fail
check    postern upstream check names the step that fails

No secret that was planted may be in anything that was written: logs, spool, answers. Exit status 77: a program is not there. The
environment says which binary: POSTERN.
"""
import glob
import json
import os
import pwd
import shutil
import smtplib
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "scenario", "lib")]

import bed as b  # noqa: E402
import certs  # noqa: E402
import postfix  # noqa: E402
from auth_server import AuthServer  # noqa: E402
from clients import SKIPPED  # noqa: E402
from https_server import HttpsServer  # noqa: E402

PASSWORD, WRONG, CLIENT_SECRET = "xyzzy-correct-horse", "plugh-wrong-battery", "s3cret~client+staple"
TOKEN, REFRESH = "tok" + "e" * 1500 + "n-one", "refresh-token-of-somebody"
PLANTED = [PASSWORD, WRONG, CLIENT_SECRET, TOKEN, "e" * 100, REFRESH]

CONFIG = """\
hostname = "relay.example.edu"
data_dir = "@DIR@/data"
control = "@DIR@/control.sock"
workers = 2
queue = { retry = "1s" }
log = { level = "debug" }
secrets_dir = "secrets"
listener "relay" { bind = "127.0.0.1:0", policies = { use "relay_networks" { networks = "127.0.0.0/8" } } }
"""


def must(held, *words):
    if not held:
        raise b.Failure(" ".join(str(w) for w in words))


class World:
    """A bed with a CA, secrets, and a relay that is made of CONFIG and a route."""

    def __init__(self, bed):
        self.bed = bed
        os.chmod(bed.dir, 0o755)
        os.makedirs(bed.path("certs"))
        os.makedirs(bed.path("relay", "secrets"))
        self.ca = certs.Ca(bed.path("certs"), "ca")
        self.cert = certs.Cert(bed.path("certs"), "mx", ["mx.example.net", "127.0.0.1"], self.ca)
        self.said = []
        self.relay = None
        for name, value in (("upstream", PASSWORD), ("wrong", WRONG), ("client", CLIENT_SECRET), ("refresh", REFRESH)):
            self.secret(name, value)

    def secret(self, name, value):
        path = self.bed.path("relay", "secrets", name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(value + "\n")
        os.chmod(path + ".new", 0o600)
        os.rename(path + ".new", path)

    def route(self, port, auth, more="", tls=None):
        tls = tls or '{ level = "verify", ca = "%s" }' % self.ca.path
        return CONFIG + 'route "*" { via = "[127.0.0.1]:%d", tls = %s,\n  %s %s }\n' % (port, tls, auth, more)

    def start(self, config):
        self.relay = self.bed.relay(config)
        return self.relay

    def reload(self, config):
        self.relay.write(config.replace("@DIR@", self.bed.path("relay")))
        must(self.relay.reload(), "the configuration was refused:", self.relay.log_text()[-3000:])

    def send(self, sender="a@example.edu", subject="one"):
        with smtplib.SMTP("127.0.0.1", self.relay.port("relay"), "client.example.edu", 60) as client:
            client.sendmail(sender, ["b@example.org"], "Subject: %s\r\nFrom: <%s>\r\n\r\nhello\r\n" % (subject, sender))

    def cli(self, *words):
        run = subprocess.run([b.POSTERN, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=90, check=False)
        text = run.stdout.decode() + run.stderr.decode()
        self.said.append(text)
        return run.returncode, text

    def check(self, config, route="*", *words):
        """The JSON of postern upstream check; the text for people is read by the search for secrets."""
        path = self.bed.path("relay", "checked.lua")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config.replace("@DIR@", self.bed.path("relay")))
        self.cli("check", "--config", path, "--json")
        self.cli("upstream", "check", "--config", path, route, *words)
        status, text = self.cli("upstream", "check", "--config", path, route, "--json", *words)
        try:
            result = json.loads(text)
        except ValueError:
            raise b.Failure("no JSON: " + text) from None
        must((status == 0) == result["good"], "status", status, "and", result)
        return result

    def no_secrets(self):
        """Nowhere but in the files that they are in."""
        texts = list(self.said)
        if self.relay and self.relay.process:
            for words in (("status", "--json"), ("queue", "ls", "--json")):
                run = self.relay.cli(*words, check=False)
                texts.append(run.stdout.decode() + run.stderr.decode())
            texts.append(self.relay.log_text())
        for path in glob.glob(self.bed.path("relay", "data", "**", "*"), recursive=True):
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    texts.append(f.read().decode("latin-1"))
        must(texts, "nothing was written at all")
        for text in texts:
            for planted in PLANTED:
                at = text.find(planted)
                must(at < 0, "a secret is in:", text[max(0, at - 300):at + 40])


def step(result, name):
    steps = [s for host in result.get("hosts", []) for s in host["steps"] if s["step"] == name]
    return steps[-1] if steps else {}


def must_fail_at(result, name, words=""):
    must(not result["good"] and result["failed"] == name, "expected to fail at", name, "got", json.dumps(result, indent=1))
    if "hosts" in result:
        failed = step(result, name)
        must(failed["outcome"] == "failed" and words in failed["text"], "expected", words, "in", failed)
        must(failed["advice"], "no advice for", name)


# ---- a real Postfix ---------------------------------------------------------------------------------------------------

def sasl_postfix(world):
    bed = world.bed
    etc = bed.path("postfix", "etc", "sasl")  # where Debian's looks, whatever cyrus_sasl_config_path says
    os.makedirs(etc)
    db = os.path.join(etc, "sasldb2")
    subprocess.run(["saslpasswd2", "-p", "-c", "-f", db, "-u", "example.net", "supercoolusername"], input=PASSWORD.encode(), check=True)
    os.chmod(db, 0o644)
    with open(os.path.join(etc, "smtpd.conf"), "w", encoding="ascii") as f:
        f.write("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: %s\n"
                "mech_list: PLAIN LOGIN SCRAM-SHA-256\nlog_level: 7\n" % db)
    box = bed.path("postfix", "mail", "box")
    os.makedirs(box)
    for path in (box, os.path.dirname(box)):
        shutil.chown(path, "postfix", "postfix")
    owner = pwd.getpwnam("postfix")
    return bed.keep(postfix.Postfix(
        bed.path("postfix"), virtual_mailbox_domains="example.org", virtual_mailbox_base=os.path.dirname(box),
        virtual_mailbox_maps="static:box/", virtual_uid_maps="static:%d" % owner.pw_uid,
        virtual_gid_maps="static:%d" % owner.pw_gid, virtual_minimum_uid="1", smtpd_sasl_auth_enable="yes",
        cyrus_sasl_config_path=etc, smtpd_sasl_path="smtpd", smtpd_sasl_local_domain="example.net",
        smtpd_sasl_security_options="noanonymous", smtpd_tls_security_level="may", smtpd_tls_auth_only="yes",
        smtpd_tls_cert_file=world.cert.path, smtpd_tls_key_file=world.cert.path, smtpd_relay_restrictions="permit_sasl_authenticated, reject",
        smtpd_recipient_restrictions="permit_sasl_authenticated, reject").start())


def test_postfix(world):
    upstream = sasl_postfix(world)

    def delivered():
        return len(glob.glob(world.bed.path("postfix", "mail", "box", "new", "*")))

    def auth(password, mechs):
        return 'auth = { user = "supercoolusername", password = secret "%s", mechanisms = { %s } }' % (password, mechs)

    world.start(world.route(upstream.port, auth("upstream", '"PLAIN"')))
    for count, mech in enumerate(("PLAIN", "LOGIN", "SCRAM-SHA-256"), 1):
        world.reload(world.route(upstream.port, auth("upstream", '"%s"' % mech)))
        result = world.check(world.route(upstream.port, auth("upstream", '"%s"' % mech)), "*", "--to", "b@example.org",
                             "--from", "a@example.edu")
        must(result["good"] and step(result, "auth")["text"].startswith(mech + " as supercoolusername"), mech, result)
        must(step(result, "rcpt")["outcome"] == "ok", result)
        world.send(subject=mech)
        b.wait_until(lambda: "%s\n%s" % (mech, world.relay.log_text()[-4000:] + upstream.log_text()[-3000:]),
                     lambda n=count: delivered() == n, 30)
        must("sasl_method=%s, sasl_username=supercoolusername" % mech in upstream.log_text(), upstream.log_text()[-3000:])
        print("  %s: delivered" % mech, flush=True)
    result = world.check(world.route(upstream.port, auth("wrong", '"PLAIN"')))
    must_fail_at(result, "auth", "AUTH PLAIN as supercoolusername refused: 535")
    world.reload(world.route(upstream.port, auth("wrong", '"PLAIN"')))
    world.send(subject="waits")
    world.relay.wait_for(event="upstream_auth_failed", user="supercoolusername", mech="PLAIN", code=535)
    world.reload(world.route(upstream.port, auth("upstream", '"PLAIN"')))
    world.relay.cli("queue", "retry", "--all", check=False)
    b.wait_until(lambda: "what had waited\n" + world.relay.log_text()[-4000:], lambda: delivered() == 4, 90)
    print("  a wrong password: refused, waited, delivered once it was right")


# ---- a server of ours -------------------------------------------------------------------------------------------------

def server_of(world, mechs, cert=None):
    server = world.bed.keep(AuthServer((cert or world.cert).path, mechs)).start()
    server.passwords["relay"] = PASSWORD
    return server


def wait_messages(world, server, count):
    b.wait_until(lambda: "%d messages (%d came)\n%s" % (count, len(server.messages), world.relay.log_text()[-5000:]),
                 lambda: len(server.messages) >= count, 30)


def test_logins(world):
    server = server_of(world, "PLAIN LOGIN")
    server.passwords.update({"relay": PASSWORD, "bee": WRONG})
    once = ', idle_timeout = "0s"'
    by_sender = 'auth_by_sender = { ["b.example"] = { user = "bee", password = secret "wrong" } },'
    login = 'auth = { user = "relay", password = secret "upstream" }'
    world.start(world.route(server.port, by_sender + login, once))
    world.send("a@a.example")
    world.send("b@b.example")
    wait_messages(world, server, 2)
    must(sorted(user for user, _ in server.messages) == ["bee", "relay"], server.messages)
    must(all(("a@a.example" in text) == (user == "relay") for user, text in server.messages), server.messages)
    must(not [line for line in server.clear if line.upper().startswith(("AUTH", "MAIL"))], "in clear:", server.clear)
    print("  by the sender's domain: each its own login")

    # A password that is changed on both sides.
    server.passwords["relay"] = "another-" + PASSWORD
    world.secret("upstream", "another-" + PASSWORD)
    world.relay.wait_for(event="file_taken", what="login of route *")
    world.send("a@a.example", "changed")
    wait_messages(world, server, 3)
    print("  a password that was replaced: taken")

    # A server that repeats what it was told.
    server.refusal = "535 5.7.8 not another-" + PASSWORD
    server.passwords["relay"] = "something else"
    world.send("a@a.example", "told")
    world.relay.wait_for(event="upstream_auth_failed", user="relay")
    must_fail_at(world.check(world.route(server.port, login)), "auth", "the server's words hold the password")
    print("  a server that repeats the password: not repeated")

    # Where the certificate is not the right one nobody hears of a login, and a level that does not look is refused with one.
    stranger = certs.Cert(world.bed.path("certs"), "stranger", ["127.0.0.1"])
    other = server_of(world, "PLAIN LOGIN", stranger)
    other.auth_in_clear = True
    other.passwords["relay"] = "another-" + PASSWORD
    for tls in ('"may"', '"encrypt"', '"off"'):
        must_fail_at(world.check(world.route(other.port, login, tls=tls)), "configuration")
    world.reload(world.route(other.port, login))
    world.send("a@a.example", "not to a stranger")
    world.relay.wait_for(event="attempt_finished", status="deferred")
    must_fail_at(world.check(world.route(other.port, login)), "certificate")
    time.sleep(0.5)
    must(not other.logins and not other.messages, "a server that is not verified got", other.logins, other.messages)
    other.starttls = False
    must_fail_at(world.check(world.route(other.port, login)), "starttls", "does not offer STARTTLS")
    must(not other.logins, "in the clear:", other.logins)
    result = world.check(world.route(other.port, login, ", auth_unverified = true", tls='"off"'))
    must(result["good"], "auth_unverified is the operator's word", result)
    print("  a server that is not verified: gets nothing, unless the route says so")


MICROSOFT = """auth = { user = "relay@example.org", mechanisms = { %s }, token = { provider = "microsoft", tenant = "t1",
  url = "https://127.0.0.1:%d/%s", ca = "%s", client_id = "app", client_secret = secret "client" %s } }"""


def test_tokens(world):
    os.makedirs(world.bed.path("provider"))
    provider = world.bed.keep(HttpsServer(world.bed.path("provider")).start())
    server = server_of(world, "XOAUTH2 OAUTHBEARER")
    server.tokens.add(TOKEN)

    def auth(name, mechs='"XOAUTH2"', more=""):
        return MICROSOFT % (mechs, provider.ports["good"], name, provider.ca, more)

    def asked(name):
        return len([r for r in provider.requests() if r["path"] == "/" + name])

    good = json.dumps({"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN})
    provider.answer("good", 200, {"Wait": "0.3"}, good)
    once = ', idle_timeout = "0s"'  # so that each message logs in
    world.start(world.route(server.port, auth("good"), once))
    for i in range(12):
        world.send(subject="token %d" % i)
    wait_messages(world, server, 12)
    must(asked("good") == 1, "the provider was asked", asked("good"), "times")
    must({mech for mech, _ in server.logins} == {"XOAUTH2"}, server.logins)
    world.reload(world.route(server.port, auth("good"), once))
    world.send(subject="after a reload")
    wait_messages(world, server, 13)
    must(asked("good") == 1, "a reload forgot the token")
    print("  XOAUTH2: 13 messages, two workers, a reload, one token")

    world.reload(world.route(server.port, auth("good", '"OAUTHBEARER"'), once))
    world.send(subject="bearer")
    wait_messages(world, server, 14)
    must(server.logins[-1] == ("OAUTHBEARER", "relay@example.org"), server.logins)
    print("  OAUTHBEARER: delivered")

    # A token that the server does not take any more: another one is fetched, and the mail waits no longer than that.
    second = json.dumps({"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN + "2"})
    server.tokens = {TOKEN + "2"}
    provider.answer("good", 200, {}, second)
    world.send(subject="refused")
    world.relay.wait_for(event="upstream_auth_failed", code=535)
    world.relay.cli("queue", "retry", "--all", check=False)
    wait_messages(world, server, 15)
    must(asked("good") == 2, "the provider was asked", asked("good"), "times")
    print("  a token that was refused: replaced")

    refused = json.dumps({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret %s." % CLIENT_SECRET})
    provider.answer("bad", 401, {}, refused)
    logins = len(server.logins)
    world.reload(world.route(server.port, auth("bad"), once))
    world.send(subject="no token")
    b.wait_until(lambda: "the provider's refusal in the log:\n" + world.relay.log_text()[-3000:],
                 lambda: [e for e in world.relay.events(event="upstream_auth_failed") if "AADSTS7000215" in e["text"]])
    must(len(server.logins) == logins, "a login without a token")
    world.relay.wait_for(event="token_failing", what="login of route *")
    for name, status, text, words in (
            ("bad", 401, refused, "AADSTS7000215: the client secret is wrong"),
            ("tenant", 400, '{"error":"invalid_request","error_description":"AADSTS90002: Tenant not found"}', "no such tenant"),
            ("later", 503, "", "503"), ("html", 200, "<html>", "without a token"), ("echo-secret", 400,
             json.dumps({"error": "odd", "error_description": "you sent " + CLIENT_SECRET}), "words that hold a secret")):
        provider.answer(name, status, {}, text)
        must_fail_at(world.check(world.route(server.port, auth(name))), "token", words)
    must_fail_at(world.check(world.route(server.port, auth("good").replace(provider.ca, world.ca.path))), "token", "TLS failed")
    must_fail_at(world.check(world.route(server.port, auth("good").replace("127.0.0.1:%d" % provider.ports["good"], "127.0.0.1:9"))),
                 "token", "no connection")
    # A server that does not wait for as long as the provider takes.
    provider.answer("slow", 200, {"Wait": "2"}, second)
    server.patience = 0.5
    must_fail_at(world.check(world.route(server.port, auth("slow"))), "auth", "closed")
    server.patience = 30
    print("  providers that refuse: each named")

    # A refresh token that rotates, into its file.
    more = ', refresh_token = secret "refresh", keep_refresh_token = true'
    provider.answer("rotate", 200, {}, json.dumps({"access_token": TOKEN + "2", "refresh_token": REFRESH + "-2", "expires_in": 3600}))
    world.reload(world.route(server.port, auth("rotate", more=more), once))
    world.send(subject="a person")
    wait_messages(world, server, 16)
    with open(world.bed.path("relay", "secrets", "refresh"), encoding="utf-8") as f:
        must(f.read() == REFRESH + "-2\n", "the refresh token in its file")
    must("refresh_token=" + REFRESH + "&" in [r for r in provider.requests() if r["path"] == "/rotate"][-1]["body"], "the old one was sent")
    print("  a refresh token: rotated into its file")


def test_check(world):
    server = server_of(world, "PLAIN")
    login = 'auth = { user = "relay", password = secret "upstream" }'
    good = world.route(server.port, login)
    result = world.check(good)
    must(result["good"] and result["login"] == "relay", result)
    must([s["step"] for s in result["hosts"][0]["steps"]] == ["dns", "connect", "greeting", "ehlo", "starttls", "certificate",
                                                              "ehlo again", "auth"], result)
    must("days from now" in step(result, "certificate")["text"], result)
    result = world.check(good, "*", "--to", "b@example.org")
    must(result["good"] and step(result, "rcpt")["code"] == 250 and server.resets and not server.messages, result)
    must_fail_at(world.check(good, "*", "--to", "nobody@example.org"), "rcpt", "nobody here")
    must_fail_at(world.check(world.route(server.port, 'auth = { user = "relay", password = secret "wrong" }')), "auth", "535 5.7.8")
    must_fail_at(world.check(world.route(server.port, 'auth = { user = "relay", password = secret "nowhere" }')), "configuration")
    must_fail_at(world.check(world.route(server.port, login.replace("}", ', mechanisms = { "LOGIN" } }'))), "auth", "no mechanism in common")
    must_fail_at(world.check(good.replace("[127.0.0.1]:%d" % server.port, "[127.0.0.1]:9")), "connect")
    must_fail_at(world.check(good.replace("[127.0.0.1]:", "[no-such-host.invalid]:")), "dns")
    must_fail_at(world.check(good.replace('ca = "%s"' % world.ca.path, 'ca = "%s", names = { "other.example" }' % world.ca.path)),
                 "certificate")
    other_ca = certs.Ca(world.bed.path("certs"), "other")
    must_fail_at(world.check(good.replace(world.ca.path, other_ca.path)), "certificate")
    server.greeting = "554 5.7.1 not from there"
    must_fail_at(world.check(good), "greeting", "not from there")
    server.greeting = "220 auth.example.net ESMTP"
    server.starttls = False
    must_fail_at(world.check(good), "starttls", "does not offer STARTTLS")
    server.starttls, server.mechs = True, ""
    must_fail_at(world.check(good), "auth", "offers no authentication")
    status, text = world.cli("upstream", "check", "--config", world.bed.path("relay", "checked.lua"), "no-such-route")
    must(status == 1 and "no route" in text, text)
    status, text = world.cli("upstream", "check")
    must(status == 2, text)
    print("  each step that can fail: named, with what to do")


TESTS = {"postfix": test_postfix, "logins": test_logins, "tokens": test_tokens, "check": test_check}


def main(name):
    if name == "postfix":
        why = postfix.unavailable() or (not shutil.which("saslpasswd2") and "saslpasswd2 is not installed")
        if why:
            print("skipped: " + why)
            return SKIPPED
    with b.Bed() as bed:
        world = World(bed)
        TESTS[name](world)
        world.no_secrets()
        print("%s: good, and no secret was written anywhere" % name)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (b.Failure, subprocess.SubprocessError) as failure:
        sys.exit("upstream_auth.py: %s" % failure)
