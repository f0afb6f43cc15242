"""certs.py - certificates of neighbours, as objects over pki.py: a CA, what it signs, what signs itself.

    ca = Ca(directory, "a1")
    cert = Cert(directory, "k1", ["mx.example.org", "127.0.0.1"], ca)      without a CA it signs itself
    ... ca.path ... cert.path (certificate and key in one file; also apart, as .crt and .key) ... cert.tlsa ("3 1 1 hex")
"""
import hashlib
import ipaddress
import os

import pki


def read(path):
    with open(path, "rb") as f:
        return f.read()


def alternative(name):
    try:
        ipaddress.ip_address(name)
        return "IP:" + name
    except ValueError:
        return "DNS:" + name


class Ca:
    def __init__(self, directory, name):
        pki.Pki(directory).ca(name)
        self.base = os.path.join(directory, name)
        self.path, self.key = self.base + ".pem", self.base + ".key"


class Cert:
    """@days may be negative: it is over."""

    def __init__(self, directory, name, names, ca=None, days=30):
        base = os.path.join(directory, name)
        pki.Pki(directory).cert(name, ",".join(alternative(n) for n in names), ca.base if ca else None, days=days)
        self.path = base + ".pem"
        os.replace(self.path, base + ".crt")
        with open(self.path, "wb") as f:
            os.chmod(self.path, 0o600)
            f.write(read(base + ".crt") + read(base + ".key"))
        self.tlsa = "3 1 1 " + hashlib.sha256(pki.openssl("pkey", "-in", base + ".key", "-pubout", "-outform", "DER")).hexdigest()
