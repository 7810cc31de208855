"""HeadHunter, for the cluster: the sandbox behind TLS, with a history of who sent which refresh token when.

usage: front_door.py ADDRESS DIRECTORY: DIRECTORY holds ``server.pem``, takes ``history`` (a line of JSON for each
event), and what the tests put there: ``hold-answer`` (answers of the token endpoint wait until it is gone),
``drop-answer`` (the next one is not sent at all). A refresh token appears as a part of its SHA-256 only.
"""

import hashlib
import http.client
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from hhtoken.sandbox.server import start

CLIENT_AUTHORIZATION = "User-Agent", "Content-Type", "Authorization"


class Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        spent = fingerprint(form.get("refresh_token"))
        self._note("asked", grant=form.get("grant_type"), spent=spent, method=self.command)
        connection = http.client.HTTPConnection(self.server.sandbox, timeout=30)
        headers = {name: self.headers[name] for name in CLIENT_AUTHORIZATION if self.headers[name]}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        issued = None
        if answer.status == 200 and self.command == "POST":
            issued = fingerprint(json.loads(data).get("refresh_token"))
        self._note("answered", spent=spent, status=answer.status, issued=issued)
        if self.command == "POST":
            drop = self.server.directory / "drop-answer"
            if drop.exists():
                drop.unlink()
                return
            while (self.server.directory / "hold-answer").exists():
                time.sleep(0.01)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("date", "server", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_HEAD = do_DELETE = _pass_on

    def _note(self, event, **details):
        line = json.dumps({"at": time.time(), "event": event, "host": self.client_address[0], **details})
        with self.server.lock, open(self.server.directory / "history", "a") as file:
            file.write(line + "\n")

    def log_message(self, *_words):
        pass


class Server(ThreadingHTTPServer):
    def get_request(self):
        raw, address = super().get_request()
        return self.tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, _request, _client_address):
        pass  # whoever went away in the middle


def fingerprint(token):
    return hashlib.sha256(token.encode()).hexdigest()[:12] if token else None


def main():
    address, directory = sys.argv[1], Path(sys.argv[2])
    sandbox = start(auto="allow", expires_in=6, redirect_uri="http://127.0.0.1:8000/callback", port=8900)
    server = Server((address, 443), Door)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(directory / "server.pem")
    server.sandbox, server.directory, server.lock = sandbox.url.removeprefix("http://"), directory, threading.Lock()
    (directory / "ready").touch()
    server.serve_forever()


if __name__ == "__main__":
    main()
