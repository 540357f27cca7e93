"""The server of `nanoemo webcam`: what it answers, and what it refuses."""
import contextlib
import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from local_page import request, serving, wait_until
from PIL import Image

from nanoemo.cli import main
from nanoemo.recognition import FacesPage, Recognizer
from nanoemo.recognition.server import Handler, Server


@pytest.fixture(scope="module")
def server(tiny_run):
    with serving(FacesPage(Recognizer(tiny_run))) as server:
        yield server


# ---- the server


def test_page_loads_nothing_from_elsewhere(server):
    for path in ("/", "/page.css", "/page.js", "/faces.js"):
        status, headers, body = request(server, "GET", path)
        assert status == 200
        assert set(headers["Content-Security-Policy"].split("; ")) == {
            "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src data:",
            "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}
        assert headers["Permissions-Policy"] == "camera=(self), microphone=(), geolocation=()"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(rb"https?://|//\w+\.|@import|url\(", body)
    assert b'id="camera" type="button" disabled' in request(server, "GET", "/")[2]     # until its script listens
    assert request(server, "GET", "/about")[0] == 200
    for path in ("/../server.py", "/voices.js"):
        assert request(server, "GET", path)[0] == 404


def test_recognizes(server, portrait_jpeg):
    for path in ("/recognize", "/recognize?camera"):
        status, _, body = request(server, "POST", path, portrait_jpeg, Origin=server.url.rstrip("/"))
        result = json.loads(body)
        face, = result["faces"]
        assert status == 200 and (result["width"], result["height"]) == (512, 512)
        assert abs(face["x"] - 224) < 10 and abs(face["y"] - 117) < 10
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=0.001)
    face, = json.loads(request(server, "POST", "/recognize?whole", portrait_jpeg)[2])["faces"]
    assert (face["x"], face["y"], face["side"]) == (256, 256, 512)


def test_a_frame_of_the_camera_is_searched_quickly(portrait_jpeg):
    asked = []
    page = FacesPage(lambda picture, whole, **options: asked.append((picture.shape, whole, options)) or [])
    for options in (["camera"], [""], ["whole"]):
        assert page.answer(portrait_jpeg, options) == {"width": 512, "height": 512, "faces": []}
    shape, frame = (512, 512, 3), {"longest": 320, "tilts": (0,)}
    assert asked == [(shape, False, frame), (shape, False, {}), (shape, True, {})]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "192.168.1.2:{port}", ""])
def test_other_names_for_this_address_are_refused(server, host):
    """DNS rebinding: a page elsewhere whose domain points here names that domain as the host."""
    host = host.format(port=server.server_address[1])
    for method, path in (("GET", "/"), ("POST", "/recognize")):
        assert request(server, method, path, Host=host)[0] == 421


@pytest.mark.parametrize("port, names", [(8000, {"127.0.0.1:8000", "localhost:8000"}),
                                         (80, {"127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost"})])
def test_only_port_80_may_be_left_out(port, names):
    assert Server.hosts.fget(SimpleNamespace(server_address=("127.0.0.1", port))) == names


def test_other_pages_are_refused(server, portrait_jpeg):
    for origin in ("http://evil.example", "null", server.url.replace("http:", "https:").rstrip("/")):
        status, headers, _ = request(server, "POST", "/recognize", portrait_jpeg, Origin=origin)
        assert status == 403 and "Access-Control-Allow-Origin" not in headers


def test_listens_on_this_computer_alone(server):
    assert server.server_address[0] == "127.0.0.1"


def test_size_of_a_request_is_bounded(server):
    assert request(server, "POST", "/recognize", Content_Length=str(FacesPage.MOST_BYTES + 1))[0] == 413
    assert request(server, "POST", "/recognize", Content_Length="9" * 5000)[0] == 413
    assert request(server, "POST", "/recognize", Content_Length="many")[0] == 411
    assert request(server, "POST", "/recognize", iter([b"x"]), Transfer_Encoding="chunked")[0] == 411
    assert request(server, "POST", "/elsewhere", b"x")[0] == 404


@pytest.mark.parametrize("method, path, status", [("PUT", "/", 501), ("HEAD", "/", 501), ("GET", "/a%s" % ("a" * 70_000), 414)])
def test_what_is_no_request_is_answered_as_all_others(server, method, path, status):
    answer, headers, body = request(server, method, path)
    assert answer == status and "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Connection"] == "close"
    assert body == b"" if method == "HEAD" else json.loads(body)["error"]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_is_none(server, portrait_jpeg):
    for content in (b"", b"hello", portrait_jpeg[:5000]):
        status, _, body = request(server, "POST", "/recognize", content)
        assert status == 422 and "image" in json.loads(body)["error"]
    bomb = io.BytesIO()
    Image.new("1", (10_000, 9_000)).save(bomb, "png")
    assert "80,000,000" in json.loads(request(server, "POST", "/recognize", bomb.getvalue())[2])["error"]


def test_a_browser_that_goes_away_is_no_event(server, portrait_jpeg, capsys):
    with socket.create_connection(server.server_address) as connection:
        connection.sendall(b"POST /recognize HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 999\r\n\r\nhalf a pic"
                           % server.server_address[1])
    assert request(server, "POST", "/recognize", portrait_jpeg)[0] == 200
    assert capsys.readouterr().err == ""


class SlowPage:
    """Answers slowly, and notes how many it answers at a time."""
    FILES, DEVICE, PATH, THINGS, MOST_BYTES = FacesPage.FILES, "camera", "/recognize", "pictures", 1000
    trained = SimpleNamespace(title="", classes=(), drawn=False)
    at_once = most = 0

    def answer(self, content, options):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        time.sleep(0.05)
        self.at_once -= 1
        return {}


@pytest.fixture
def slow():
    with serving(SlowPage()) as server:
        yield server


def test_one_answer_at_a_time(slow):
    asking = [threading.Thread(target=request, args=(slow, "POST", "/recognize", b"x")) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert slow.page.most == 1


def test_what_nobody_waits_for_any_more_is_not_answered(slow, capsys):
    go_on, answered = threading.Event(), []
    slow.page.answer = lambda content, options: answered.append(content) or go_on.wait(30) and {}
    first = threading.Thread(target=request, args=(slow, "POST", "/recognize", b"1"))
    first.start()
    wait_until(lambda: answered)
    for content in (b"2", b"3"):                # they wait for their turn; the browser takes the second back
        connection = socket.create_connection(slow.server_address)
        connection.sendall(b"POST /recognize HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 1\r\n\r\n%s"
                           % (slow.server_address[1], content))
        if content == b"2":
            connection.close()
    time.sleep(0.2)
    go_on.set()
    first.join()
    assert connection.recv(12) == b"HTTP/1.1 200"
    connection.close()
    assert sorted(answered) == [b"1", b"3"] and capsys.readouterr().err == ""


def test_nothing_is_kept_by_the_browser(slow):
    for answer in (request(slow, "GET", "/"), request(slow, "POST", "/recognize", b"x")):
        assert answer[1]["Cache-Control"] == "no-store"


def all_answers(server, sent):
    with socket.create_connection(server.server_address, timeout=10) as connection, connection.makefile("rb") as answers:
        connection.sendall(sent)
        return answers.read()


def test_the_body_of_what_is_refused_is_no_request(slow):
    port = slow.server_address[1]
    hidden = b"GET /about HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port
    refused = b"POST /recognize HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://evil.example\r\nContent-Length: %d\r\n\r\n"
    with contextlib.suppress(ConnectionError):
        answers = all_answers(slow, refused % (port, len(hidden)) + hidden)
        assert answers.count(b"HTTP/1.1 ") == 1 and answers.startswith(b"HTTP/1.1 403")


def test_a_request_that_never_ends_is_given_up(slow, monkeypatch):
    monkeypatch.setattr(Handler, "timeout", Handler.timeout and 0.2)
    assert all_answers(slow, b"POST /recognize HTTP/1.1\r\n") == b""


def test_port_that_is_taken(server, tiny_run, capsys):
    port = server.server_address[1]
    assert main(["webcam", str(tiny_run), "--port", str(port)]) == 2
    err = capsys.readouterr().err
    assert f"port {port} is taken" in err and len(err.splitlines()) == 1


def test_ctrl_c_ends_it(tiny_run):
    process = subprocess.Popen([sys.executable, "-m", "nanoemo", "webcam", str(tiny_run), "--port", "0"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    port = int(re.search(r"http://127.0.0.1:(\d+)/", process.stdout.readline()).group(1))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", "/about")
        connection.getresponse().read()         # a page that is open keeps its connection, which must not keep the program
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=Handler.timeout - 5)
    assert process.returncode == 0 and "ended" in out and err == ""
