"""sasl.py - the client's side of SASL mechanisms, for dialogues."""
import base64
import hashlib
import hmac
import os


def b64(octets):
    return base64.b64encode(octets).decode()


class Plain:
    expects_more = False

    def __init__(self, user, password, authzid=""):
        self.lines = [b64(("%s\0%s\0%s" % (authzid, user, password)).encode())]

    def first(self):
        return self.lines[0]

    def answer(self, challenge):
        raise ValueError("PLAIN was asked for more: %r" % challenge)


class Login:
    expects_more = True

    def __init__(self, user, password):
        self.lines = [b64(user.encode()), b64(password.encode())]

    def first(self):
        return None

    def answer(self, challenge):
        del challenge
        return self.lines.pop(0)


class Scram:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding."""

    expects_more = True

    def __init__(self, user, password):
        self.password = password.encode()
        self.bare = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), b64(os.urandom(18)))
        self.signature = None

    def first(self):
        return b64(("n,," + self.bare).encode())

    def answer(self, challenge):
        text = base64.b64decode(challenge).decode()
        fields = dict(part.split("=", 1) for part in text.split(","))
        if self.signature:
            if base64.b64decode(fields["v"]) != self.signature:
                raise ValueError("the server does not know the password either")
            return ""
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = "c=biws,r=" + fields["r"]
        message = ",".join((self.bare, text, without_proof)).encode()
        proof = bytes(a ^ b for a, b in zip(client_key, hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")))
        self.signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return b64(("%s,p=%s" % (without_proof, b64(proof))).encode())


MECHANISMS = {"PLAIN": Plain, "LOGIN": Login, "SCRAM-SHA-256": Scram}
