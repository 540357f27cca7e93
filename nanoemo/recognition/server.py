"""The page of `nanoemo webcam`: a web server for this computer alone.

    GET  /            the page, its style and its script: three files, which load nothing from elsewhere
    GET  /about       what the network is, as JSON
    POST /recognize   a picture as the body; answers with its faces as JSON

What keeps it private: it listens on the loopback address, which no other computer reaches. It answers only where the
request names that address as its Host, and only to its own page where the browser names an Origin: so no web page
elsewhere, open in the same browser, can use it, not even through a domain that it has pointed at 127.0.0.1 (DNS
rebinding). The Content-Security-Policy lets the page speak to this server alone. Pictures stay in memory, are not
written, and are gone after the answer.
"""
import errno
import io
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from importlib import resources

from nanoemo import data

__all__ = ["HOST", "MAX_BODY", "Server"]

HOST = "127.0.0.1"
MAX_BODY = 25_000_000           # bytes of a picture
PATIENCE = 15                   # seconds to wait for the rest of a request
CAMERA = {"longest": 320, "tilts": (0,)}        # how a frame of the camera is searched: several a second

PAGE = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"), "/page.js": ("page.js", "text/javascript")}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Server(socketserver.ThreadingTCPServer):
    """Serves the page, with the answers of `recognizer` (a `Recognizer`), until `shutdown`.

    port: 0 takes any that is free; `url` says which
    Raises OSError where the port is taken or needs more rights.

        with Server(recognizer, port=8765) as server:
            server.serve_forever()
    """
    daemon_threads = True               # an open connection does not keep the program from ending
    allow_reuse_address = True          # the port is free again as soon as the last server has ended

    def __init__(self, recognizer, port=0):
        self.recognizer = recognizer
        self.turn = threading.Lock()    # one picture at a time: the network uses all cores already
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
        """What a request may name as the server it means."""
        return {f"{name}:{self.server_address[1]}" for name in (HOST, "localhost")}

    def about(self):
        recognizer = self.recognizer
        return {"title": recognizer.title, "classes": list(recognizer.classes), "drawn": recognizer.drawn}

    def recognize(self, content, camera, whole):
        """The faces in a picture file's bytes, as plain data. DataError where it is no picture."""
        picture = data.read_photo(io.BytesIO(content))
        with self.turn:
            found = self.recognizer(picture, whole, **(CAMERA if camera else {}))
        height, width, _ = picture.shape
        return {"width": width, "height": height, "faces": [one.as_json() for one in found]}

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
        if self.path in PAGE:
            name, kind = PAGE[self.path]
            content = resources.files("nanoemo.recognition").joinpath("page", name).read_bytes()
            self._answer(200, content, f"{kind}; charset=utf-8")
        elif self.path == "/about":
            self._answer_json(200, self.server.about())
        else:
            self._refuse(404, "there is no such page")

    def do_POST(self):
        if not self._is_ours():
            return
        path, _, options = self.path.partition("?")
        length = self.headers.get("Content-Length", "")
        if path != "/recognize":
            self._refuse(404, "there is no such page")
        elif not length.isdecimal():
            self._refuse(411, "the request does not say how long its picture is")
        elif int(length) > MAX_BODY:
            self._refuse(413, f"a picture of {int(length) / 1e6:.0f} MB; up to {MAX_BODY / 1e6:.0f} MB are read")
        else:
            self._recognize(self.rfile.read(int(length)), options.split("&"))

    def _recognize(self, content, options):
        try:
            self._answer_json(200, self.server.recognize(content, "camera" in options, "whole" in options))
        except data.DataError as error:
            self._answer_json(422, {"error": str(error)})

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

    def _refuse(self, status, reason):
        self.close_connection = True        # what may follow, such as a body, is not read
        self._answer_json(status, {"error": reason})

    def _answer_json(self, status, value):
        self._answer(status, json.dumps(value, allow_nan=False).encode(), "application/json")

    def _answer(self, status, content, kind):
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Nothing: a line a frame would help nobody."""
