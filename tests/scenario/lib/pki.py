"""pki.py - certificate authorities and certificates for tests, made by the openssl command."""
import os
import subprocess


def openssl(*words, stdin=None):
    run = subprocess.run(["openssl", *words], input=stdin, capture_output=True, timeout=60, check=False)
    if run.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (" ".join(words), run.stderr.decode("utf-8", "replace")))
    return run.stdout


class Pki:
    """A directory of them: NAME.pem is a certificate, NAME.key its key."""

    def __init__(self, directory):
        self.dir = directory
        os.makedirs(directory, exist_ok=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def key(self, name, kind="ec"):
        kinds = {"ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                 "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]}
        openssl("genpkey", *kinds[kind], "-out", self.path(name + ".key"))
        os.chmod(self.path(name + ".key"), 0o600)

    def ca(self, name):
        self.key(name)
        openssl("req", "-x509", "-new", "-key", self.path(name + ".key"), "-days", "30", "-subj", "/CN=test authority " + name,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-out", self.path(name + ".pem"))

    def cert(self, name, alt="", by=None, kind="ec", days=30, common_name=None):
        """alt is subjectAltName: "DNS:a.example,IP:127.0.0.1"; by the name of an authority, None for self-signed."""
        self.key(name + "-new", kind)
        subject = "/CN=" + (common_name or alt.split(",")[0].partition(":")[2] or name)
        extensions = "basicConstraints=CA:FALSE\n" + ("subjectAltName=%s\n" % alt if alt else "")
        with open(self.path(name + ".ext"), "w", encoding="utf-8") as f:
            f.write(extensions)
        openssl("req", "-new", "-key", self.path(name + "-new.key"), "-subj", subject, "-out", self.path(name + ".csr"))
        signer = ["-CA", self.path(by + ".pem"), "-CAkey", self.path(by + ".key"), "-CAcreateserial"] if by else [
            "-signkey", self.path(name + "-new.key")]
        openssl("x509", "-req", "-in", self.path(name + ".csr"), *signer, "-days", str(days), "-extfile", self.path(name + ".ext"),
                "-out", self.path(name + "-new.pem"))
        # The key last: who looks in between finds a pair that does not match, and waits.
        os.replace(self.path(name + "-new.pem"), self.path(name + ".pem"))
        os.replace(self.path(name + "-new.key"), self.path(name + ".key"))

    def serial(self, name):
        return openssl("x509", "-in", self.path(name + ".pem"), "-noout", "-serial").decode().strip().partition("=")[2]
