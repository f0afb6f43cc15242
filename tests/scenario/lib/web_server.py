"""A web server under TLS that gives each host name one text, at whatever path is asked for: MTA-STS policies for scenarios."""
import http.server
import ssl
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        host = self.headers.get("Host", "").partition(":")[0]
        text = self.server.texts.get(host) if self.path == "/.well-known/mta-sts.txt" else None
        self.server.asked.append((host, self.path))
        body = (text or "no such thing\n").encode()
        self.send_response(200 if text else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class WebServer:
    def __init__(self, cert):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.texts, self.server.asked = {}, []
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def serve(self, host, text):
        self.server.texts[host] = text

    def asked(self, host):
        return sum(1 for h, _ in self.server.asked if h == host)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
