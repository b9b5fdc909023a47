"""A web server on loopback that serves policies of MTA-STS, or does not.

    host = PolicyHost(authority.issue("mta-sts.near.example").server())
    host.policy = "version: STSv1\\r\\n..."; host.tls = ...; host.status = 404; host.hangs = True; host.requests
"""
import http.server
import threading

from https_server import HttpsServer


class PolicyHost(HttpsServer):
    def __init__(self, tls):
        self.policy, self.status, self.type = "", 200, "text/plain"
        self.requests = []  # their paths
        self.hangs = False
        self.released = threading.Event()
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host.requests.append((self.headers["Host"], self.path))
                if host.hangs:
                    host.released.wait()
                body = host.policy.encode()
                self.send_response(host.status)
                if host.status == 302:
                    self.send_header("Location", f"https://{self.headers['Host']}{self.path}")
                self.send_header("Content-Type", host.type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        super().__init__(Handler, tls)

    def stop(self):
        self.released.set()
        super().stop()


def policy(mode="enforce", mx=("mx.near.example",), max_age=86400):
    return "".join(f"{line}\r\n" for line in ("version: STSv1", f"mode: {mode}",
                                              *(f"mx: {one}" for one in mx),
                                              f"max_age: {max_age}"))
