"""certs.py - certificates for tests, by openssl's command line: a CA, what it signs, what signs itself.

    ca = Ca(directory, "a1")
    cert = Cert(directory, "k1", ["mx.example.org", "127.0.0.1"], ca)      without a CA it signs itself
    ... ca.path ... cert.path (certificate, chain and key in one file) ... cert.tlsa ("3 1 1 hex")
"""
import hashlib
import ipaddress
import os
import subprocess


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


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
        self.path = os.path.join(directory, name + ".pem")
        self.key = os.path.join(directory, name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-subj", "/CN=Test CA " + name, "-keyout", self.key, "-out", self.path)


class Cert:
    """@days may be negative: it is over."""

    def __init__(self, directory, name, names, ca=None, days=30):
        base = os.path.join(directory, name)
        self.path, key, request, crt = base + ".pem", base + ".key", base + ".csr", base + ".crt"
        with open(base + ".ext", "w", encoding="utf-8") as f:
            f.write("subjectAltName=%s\n" % ",".join(alternative(n) for n in names))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + names[0],
                "-keyout", key, "-out", request)
        signer = ["-CA", ca.path, "-CAkey", ca.key, "-CAcreateserial"] if ca else ["-signkey", key]
        openssl("x509", "-req", "-in", request, *signer, "-days", str(days), "-extfile", base + ".ext", "-out", crt)
        with open(self.path, "wb") as f:
            f.write(read(crt) + read(key))
        os.chmod(self.path, 0o600)
        self.tlsa = "3 1 1 " + hashlib.sha256(openssl("pkey", "-in", key, "-pubout", "-outform", "DER")).hexdigest()
