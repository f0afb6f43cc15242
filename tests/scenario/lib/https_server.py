#!/usr/bin/env python3
"""An HTTPS server for tests: it makes a CA and certificates of its own and answers what files in its directory say.

    with HttpsServer(directory) as s:
        s.answer("token", 200, {"Content-Type": "application/json"}, '{"access_token": ...}')
        ... "https://127.0.0.1:%d/token" % s.ports["good"], CA in s.ca ... s.requests()

or, as a program, `https_server.py DIRECTORY`: prints "ports good=1 name=2 stranger=3 clear=4 plain=5" and serves until its standard input is
closed. On port "good" the certificate is for localhost and 127.0.0.1, by the CA in DIRECTORY/ca.pem; on "name" it is by that CA for
another name; on "stranger" it is by nobody; "clear" is HTTP. "plain" takes connections and says nothing.

What is asked as /NAME is answered by DIRECTORY/NAME.answer: its first line is the status, then header fields, an empty line, the body.
"Wait: S" is not sent: the answer comes S seconds later. A second file NAME.answer.1 is for the second request, and so on.
/echo answers with the request, /big?N with N octets, /head with a header that does not end, /move?URL with a redirect to there.
Each request is a line of JSON in DIRECTORY/requests.
"""

import http.server
import json
import os
import socket
import ssl
import sys
import threading
import time

import certs


def make_certificates(directory):
    """ca.pem; good.pem, name.pem and stranger.pem have their keys in them."""
    ca = certs.Ca(directory, "ca")
    certs.Cert(directory, "good", ["localhost", "127.0.0.1", "mta-sts.example.org"], ca)
    certs.Cert(directory, "name", ["elsewhere.example"], ca)
    certs.Cert(directory, "stranger", ["localhost", "127.0.0.1"])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def plain(self, status, fields, body):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def from_file(self, name):
        base = os.path.join(self.server.directory, name + ".answer")
        with self.server.lock:
            n = self.server.counts.get(name, 0)
            self.server.counts[name] = n + 1
        path = "%s.%d" % (base, n)
        if not os.path.exists(path):
            path = base
        if not os.path.exists(path):
            return self.plain(404, [], b"no such thing\n")
        with open(path, "rb") as f:
            head, _, body = f.read().partition(b"\n\n")
        lines = head.decode("latin-1").split("\n")
        fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        for field, value in fields:
            if field == "Wait":
                time.sleep(float(value))
        return self.plain(int(lines[0]), [f for f in fields if f[0] != "Wait"], body)

    def answer(self):
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        request = {"method": self.command, "path": self.path, "body": body.decode("latin-1"),
                   "fields": {name.lower(): value for name, value in self.headers.items()}}
        with self.server.lock, open(os.path.join(self.server.directory, "requests"), "a") as f:
            f.write(json.dumps(request) + "\n")
        path, _, query = self.path.partition("?")
        if path == "/echo":
            return self.plain(200, [("Content-Type", "application/json")], json.dumps(request).encode())
        if path == "/big":
            return self.plain(200, [], b"x" * int(query))
        if path == "/move":
            return self.plain(302, [("Location", query)], b"")
        if path == "/head":
            self.send_response(200)
            for i in range(3000):
                self.send_header("X-%d" % i, "y" * 100)
            self.end_headers()
            return None
        return self.from_file(os.path.basename(path))

    do_GET = do_POST = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, directory, name):
        super().__init__(("127.0.0.1", 0), Handler)
        self.directory = directory
        self.lock, self.counts = threading.Lock(), {}
        self.context = None
        if name != "clear":
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(os.path.join(directory, name + ".pem"))

    def finish_request(self, request, client_address):
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass  # clients that do not trust us are part of the tests


class HttpsServer:
    def __init__(self, directory):
        self.directory = directory
        self.ca = os.path.join(directory, "ca.pem")
        make_certificates(directory)
        self.servers = {name: Server(directory, name) for name in ("good", "name", "stranger", "clear")}
        self.plain = socket.socket()
        self.plain.bind(("127.0.0.1", 0))
        self.plain.listen(8)
        self.ports = {name: s.server_address[1] for name, s in self.servers.items()}
        self.ports["plain"] = self.plain.getsockname()[1]

    def start(self):
        for server in self.servers.values():
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        for server in self.servers.values():
            server.shutdown()
            server.server_close()
        self.plain.close()

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def answer(self, name, status, fields, body, nth=None):
        text = "%d\n%s\n" % (status, "".join("%s: %s\n" % item for item in fields.items()))
        path = os.path.join(self.directory, name + ".answer" + ("" if nth is None else ".%d" % nth))
        with open(path + ".new", "w") as f:
            f.write(text + body)
        os.rename(path + ".new", path)

    def requests(self):
        try:
            with open(os.path.join(self.directory, "requests")) as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []


def main():
    with HttpsServer(sys.argv[1]) as server:
        print("ports " + " ".join("%s=%d" % item for item in server.ports.items()), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
