"""auth_server.py - an SMTP server that wants a login: STARTTLS, AUTH of several kinds, and a memory of what it was told.

    server = AuthServer(cert.path, mechs="PLAIN XOAUTH2").start()
    server.passwords["relay"] = "secret"; server.tokens.add("abc")
    ... server.port ... server.logins ... server.messages ... server.stop()
"""
import base64
import json
import socket
import ssl
import threading


class Session(threading.Thread):
    def __init__(self, server, connection):
        super().__init__(daemon=True)
        self.server, self.socket = server, connection
        self.file = connection.makefile("rb")
        self.tls, self.user = False, None

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def line(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("closed")
        line = line.rstrip(b"\r\n").decode("utf-8", "replace")
        if not self.tls:
            self.server.clear.append(line)
        return line

    def run(self):
        try:
            self.socket.settimeout(self.server.patience)
            self.say(self.server.greeting)
            while self.command(self.line()):
                pass
        except (OSError, ValueError):
            pass
        finally:
            self.socket.close()

    def command(self, line):
        verb = line.split(" ")[0].split(":")[0].upper()
        handler = getattr(self, "on_" + verb.lower(), None)
        if not handler:
            self.say("500 5.5.1 what?")
            return True
        return handler(line) is not False

    def on_ehlo(self, _):
        lines = ["auth.example.net", "SIZE 10000000"]
        if not self.tls and self.server.starttls:
            lines.append("STARTTLS")
        if (self.tls or self.server.auth_in_clear) and self.server.mechs:
            lines.append("AUTH " + self.server.mechs)
        for i, text in enumerate(lines):
            self.say("250%s%s" % (" " if i == len(lines) - 1 else "-", text))

    def on_starttls(self, _):
        self.say("220 2.0.0 go ahead")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.cert)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.file = self.socket.makefile("rb")
        self.tls = True

    def respond(self, challenge):
        self.say("334 " + base64.b64encode(challenge).decode())
        return base64.b64decode(self.line(), validate=True)

    def on_auth(self, line):
        words = line.split(" ")
        mech = words[1].upper()
        initial = base64.b64decode("" if words[2] == "=" else words[2], validate=True) if len(words) > 2 else None
        if len(line) + 2 > 512:
            self.say("500 5.5.6 a line of more than 512 octets")
            return
        if mech not in self.server.mechs.split():
            self.say("504 5.5.4 no such mechanism")
            return
        user = getattr(self, "mech_" + mech.replace("-", "_").lower())(initial)
        self.server.logins.append((mech, user))
        self.user = user
        self.say("235 2.7.0 Authentication successful" if user else self.server.refusal)

    def mech_plain(self, initial):
        _, user, password = (initial if initial is not None else self.respond(b"")).split(b"\0")
        return self.right(user, password)

    def mech_login(self, initial):
        user = initial if initial is not None else self.respond(b"Username:")
        return self.right(user, self.respond(b"Password:"))

    def right(self, user, password):
        return user.decode() if self.server.passwords.get(user.decode()) == password.decode() else None

    def bearer(self, fields, user):
        token = next(f for f in fields if f.startswith("auth=Bearer "))[len("auth=Bearer "):]
        self.server.seen_tokens.append(token)
        return user if token in self.server.tokens else None

    def mech_xoauth2(self, initial):
        text = (initial if initial is not None else self.respond(b"")).decode()
        fields = text.split("\x01")
        user = self.bearer(fields, fields[0][len("user="):])
        if not user and self.respond(json.dumps({"status": "400", "schemes": "Bearer"}).encode()) != b"":
            raise ValueError("the challenge was not answered with nothing")
        return user

    def mech_oauthbearer(self, initial):
        text = (initial if initial is not None else self.respond(b"")).decode()
        gs2, _, rest = text.partition("\x01")
        user = self.bearer(rest.split("\x01"), gs2[len("n,a="):-1])
        if not user and self.respond(json.dumps({"status": "invalid_token"}).encode()) != b"\x01":
            raise ValueError("the challenge was not answered with ^A")
        return user

    def on_mail(self, _):
        self.say("250 2.1.0 ok" if self.user or not self.server.login_required else "530 5.7.0 Authentication required")

    def on_rcpt(self, line):
        self.say("550 5.1.1 nobody here" if "nobody@" in line else "250 2.1.5 ok")

    def on_data(self, _):
        self.say("354 go on")
        lines = []
        while True:
            line = self.line()
            if line == ".":
                break
            lines.append(line)
        self.server.messages.append((self.user, "\n".join(lines)))
        self.say("250 2.0.0 taken")

    def on_rset(self, _):
        self.server.resets += 1
        self.say("250 2.0.0 ok")

    def on_noop(self, _):
        self.say("250 2.0.0 ok")

    def on_quit(self, _):
        self.say("221 2.0.0 bye")
        return False


class AuthServer:
    def __init__(self, cert, mechs="PLAIN LOGIN"):
        self.cert, self.mechs = cert, mechs
        self.starttls, self.auth_in_clear, self.login_required = True, False, True
        self.greeting = "220 auth.example.net ESMTP"
        self.refusal = "535 5.7.8 Authentication credentials invalid"
        self.passwords, self.tokens, self.seen_tokens = {}, set(), []
        self.logins, self.messages, self.clear, self.resets = [], [], [], 0
        self.socket, self.port, self.patience = None, 0, 30

    def start(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.socket,), daemon=True).start()
        return self

    def accept(self, listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            Session(self, connection).start()

    def stop(self):
        if self.socket:
            listening, self.socket = self.socket, None
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
