#!/usr/bin/python3
"""Web servers that take reports about TLS, or do not, for tests/unit/smtpd/report_posts.c.

    report_hosts.py FOLDER    writes FOLDER/ca.pem; ends with its input

On its output: the ports of DNS, of a good server and of one with another's certificate; then a line for
each request, "PATH TYPE DOMAIN" as the report has it, or "untrusted" for who leaves at the certificate.
"""
import gzip
import http.server
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "e2e"))
from certificates import Authority  # noqa: E402
from https_server import HttpsServer  # noqa: E402
from nameserver import NameServer  # noqa: E402

STATUS = {"/taken": [201], "/busy": [503, 200], "/later": [503, 200], "/moved": [307, 204]}
lock = threading.Lock()
ended = threading.Event()


def say(line):
    with lock:
        print(line, flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        report = json.loads(gzip.decompress(body))
        say(f"{self.path} {self.headers['Content-Type']} "
            f"{report['policies'][0]['policy']['policy-domain']}")
        if self.path == "/hangs":
            ended.wait()
            return
        with lock:
            left = STATUS[self.path]
            status = left.pop(0) if len(left) > 1 else left[0]
        if self.path == "/taken":
            self.send_response_only(102)  # an answer before the answer
            self.end_headers()
        self.send_response(status)
        if status == 307:
            self.send_header("Location", f"https://{self.headers['Host']}/taken")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Server(HttpsServer):
    def handle_error(self, request, address):
        if isinstance(sys.exc_info()[1], OSError):  # an alert, or a reset that overtook it
            say("untrusted")


authority = Authority()
authority.write(pathlib.Path(sys.argv[1]) / "ca.pem")
names = NameServer({"reports.example A": ["127.0.0.1"]})
good, wrong = (Server(Handler, authority.issue(name).server())
               for name in ("reports.example", "other.example"))
say(f"{names.port} {good.port} {wrong.port}")
sys.stdin.read()
ended.set()
