"""The page of `nanoemo webcam`: a web server for this computer alone.

    GET  /            the page, its style and its scripts: a few files, which load nothing from elsewhere
    GET  /about       what the network is, as JSON
    POST /recognize   a picture as the body; answers with its faces as JSON (`FacesPage`)
    POST /listen      a recording as the body; answers with what is heard in it as JSON (`VoicesPage`)

What keeps it private: it listens on the loopback address, which no other computer reaches. It answers only where the
request names that address as its Host, and only to its own page where the browser names an Origin: so no web page
elsewhere, open in the same browser, can use it, not even through a domain that it has pointed at 127.0.0.1 (DNS
rebinding). The Content-Security-Policy lets the page speak to this server alone. Pictures and sounds stay in memory, are
not written, and are gone after the answer.
"""
import errno
import json
import select
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib import resources
from pathlib import PurePosixPath

from nanoemo import data

__all__ = ["HOST", "Server"]

HOST = "127.0.0.1"
PATIENCE = 15                   # seconds to wait for the rest of a request
DIGITS = 15                     # of the length of a body, at most: of thousands Python makes no number

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
DEVICES = ("camera", "microphone", "geolocation")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Server(socketserver.ThreadingTCPServer):
    """Serves a `FacesPage` or a `VoicesPage`, with its answers, until `shutdown`.

    port: 0 takes any that is free; `url` says which
    Raises OSError where the port is taken or needs more rights.

        with Server(page_of("runs/njoku.cnn-1"), port=8765) as server:
            server.serve_forever()
    """
    daemon_threads = True               # an open connection does not keep the program from ending
    allow_reuse_address = True          # the port is free again as soon as the last server has ended

    def __init__(self, page, port=0):
        self.page = page
        self.turn = threading.Lock()    # one answer at a time: the network uses all cores already
        self.files = {f"/{name}": name for name in page.FILES} | {"/": page.FILES[0]}
        allowed = ", ".join(f"{device}=({'self' if device == page.DEVICE else ''})" for device in DEVICES)
        self.headers = HEADERS | {"Permissions-Policy": allowed}
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                error.strerror = (f"port {port} is taken by another program, perhaps another `nanoemo webcam`; give another "
                                  "with --port, or --port 0 for any that is free")
            raise

    @property
    def url(self):
        return f"http://{HOST}:{self.server_address[1]}/"

    @property
    def hosts(self):
        """What a request may name as the server it means; browsers leave port 80 out."""
        port = self.server_address[1]
        endings = [f":{port}", ""] if port == 80 else [f":{port}"]
        return {name + ending for name in (HOST, "localhost") for ending in endings}

    def about(self):
        """What the page is told when it is opened, as plain data."""
        trained = self.page.trained
        return {"title": trained.title, "classes": list(trained.classes), "drawn": trained.drawn,
                "most_bytes": self.page.MOST_BYTES}

    def handle_error(self, request, client_address):
        """A browser that goes away in the middle is no event; anything else is shown as usual."""
        import sys

        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""
    protocol_version = "HTTP/1.1"       # keeps the connection open from frame to frame
    server_version, sys_version = "nanoemo", ""
    timeout = PATIENCE

    def do_GET(self):
        if not self._is_ours():
            return
        name = self.server.files.get(self.path)
        if name:
            content = resources.files("nanoemo.recognition").joinpath("page", name).read_bytes()
            self._answer(200, content, f"{TYPES[PurePosixPath(name).suffix]}; charset=utf-8")
        elif self.path == "/about":
            self._answer_json(200, self.server.about())
        else:
            self._refuse(404, "there is no such page")

    def do_POST(self):
        if not self._is_ours():
            return
        page = self.server.page
        path, _, options = self.path.partition("?")
        length = self.headers.get("Content-Length", "")
        if path != page.PATH:
            self._refuse(404, "there is no such page")
        elif not length.isdecimal():
            self._refuse(411, "the request does not say how long its body is")
        elif len(length) > DIGITS or int(length) > page.MOST_BYTES:
            self._refuse(413, f"too large; {page.THINGS} of up to {page.MOST_BYTES / 1e6:.0f} MB are read")
        else:
            self._answer_for(self.rfile.read(int(length)), options.split("&"))

    def _answer_for(self, content, options):
        try:
            with self.server.turn:
                if self._client_is_gone():
                    raise ConnectionAbortedError("the page asks something else by now")
                answer = self.server.page.answer(content, options)
        except data.DataError as error:
            self._answer_json(422, {"error": str(error)})
        else:
            self._answer_json(200, answer)

    def _client_is_gone(self):
        """Whether the browser has closed the connection, so that nobody waits for the answer."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _is_ours(self):
        """Whether the request means this server, and comes from its page; else it is refused."""
        hosts = self.server.hosts
        if self.headers.get("Host") not in hosts:
            self._refuse(421, f"this server answers at {self.server.url} alone")
        elif self.headers.get("Origin") not in {None, *(f"http://{host}" for host in hosts)}:
            self._refuse(403, "this server answers its own page alone")
        else:
            return True
        return False

    def send_error(self, code, message=None, explain=None):
        """The base class's answer to what is no request, or no method: as all others, with their headers."""
        self._refuse(code, message or HTTPStatus(code).phrase)

    def _refuse(self, status, reason):
        self.close_connection = True        # what may follow, such as a body, is not read
        self._answer_json(status, {"error": reason})

    def _answer_json(self, status, value):
        self._answer(status, json.dumps(value, allow_nan=False).encode(), "application/json")

    def _answer(self, status, content, kind):
        self.send_response(status)
        for name, value in {**self.server.headers, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args):
        """Nothing: a line a frame would help nobody."""
