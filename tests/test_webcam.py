"""The page of `nanoemo webcam`: what the server refuses, and the page in a headless browser with a fake camera."""
import contextlib
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

import numpy as np
import pytest
from local_page import button_of, device_is_off, pixels, request, serious, serving, status_of, watch_device
from PIL import Image

from nanoemo.cli import main
from nanoemo.recognition import FacesPage, Recognizer
from nanoemo.recognition.server import Handler, Server


ORANGE = 0xD5, 0x5E, 0x00       # of the squares


@pytest.fixture(scope="module")
def server(tiny_run):
    with serving(FacesPage(Recognizer(tiny_run))) as server:
        yield server


@pytest.fixture(scope="module")
def portrait_jpeg():
    from skimage.data import astronaut

    file = io.BytesIO()
    Image.fromarray(astronaut()).save(file, "jpeg", quality=95)
    return file.getvalue()


# ---- the server


def test_page_loads_nothing_from_elsewhere(server):
    for path in ("/", "/page.css", "/page.js", "/faces.js"):
        status, headers, body = request(server, "GET", path)
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
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
    assert "http://127.0.0.1:" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "ended" in out and err == ""


# ---- the page, in a browser


@pytest.fixture(scope="module")
def camera_film(tmp_path_factory):
    """A film of one frame for the fake camera: a portrait, 640×480, as YUV 4:2:0."""
    from skimage.data import astronaut

    portrait = Image.fromarray(astronaut()).resize((480, 480))
    frame = Image.new("RGB", (640, 480), "gray")
    frame.paste(portrait, (80, 0))
    planes = np.asarray(frame.convert("YCbCr"))
    path = tmp_path_factory.mktemp("film") / "portrait.y4m"
    path.write_bytes(b"YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420jpeg\nFRAME\n" + planes[..., 0].tobytes()
                     + planes[::2, ::2, 1].tobytes() + planes[::2, ::2, 2].tobytes())
    return path


def test_camera_in_the_browser(server, open_page, camera_film):
    """A face before the camera gets a square and bars, several times; stopping turns the camera off."""
    from selenium.webdriver import Keys

    driver = open_page(server.url, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                       f"--use-file-for-fake-video-capture={camera_film}")
    watch_device(driver)
    button = button_of(driver, "camera")
    button.send_keys(Keys.ENTER)                    # by the keyboard
    status_of(driver, r"^1 face; \d+\.\d pictures a second")
    assert pixels(driver, "picture", *ORANGE) > 500
    names = driver.execute_script(              # at once: the next frame brings new bars
        "return [...document.querySelectorAll('.answer meter')].map((meter) => meter.getAttribute('aria-label'))")
    assert names == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert status_of(driver, "Drawn faces show nobody", "model")            # told by the program, after the page has been shown
    assert driver.get_screenshot_as_png()[:4] == b"\x89PNG"
    button.click()
    assert status_of(driver, "camera is off") and device_is_off(driver)
    assert serious(driver) == []


def test_camera_without_a_face(server, open_page):
    """Chromium's own fake camera shows a test card."""
    driver = open_page(server.url, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    button_of(driver, "camera").click()
    status_of(driver, "^no face found")
    assert pixels(driver, "picture", *ORANGE) == 0


def test_camera_that_is_not_allowed_or_not_there(server, open_page):
    driver = open_page(server.url, "--deny-permission-prompts")
    button_of(driver, "camera").click()
    assert "choose a picture" in status_of(driver, "No camera|does not allow") or "Allow it" in status_of(driver, "allow")
    assert "problem" in driver.find_element("id", "status").get_attribute("class")


def test_uploaded_picture(server, open_page, tmp_path, portrait_jpeg):
    driver = open_page(server.url)
    for name, content in (("portrait.jpg", portrait_jpeg), ("letter.jpg", b"Dear Sir")):
        (tmp_path / name).write_bytes(content)
    chooser = driver.find_element("id", "file")
    chooser.send_keys(str(tmp_path / "portrait.jpg"))
    status_of(driver, r"^portrait.jpg: 1 face$")
    assert pixels(driver, "picture", *ORANGE) > 500
    driver.find_element("id", "whole").click()
    status_of(driver, r"^portrait.jpg: 1 face$")
    chooser.send_keys(str(tmp_path / "letter.jpg"))
    assert "not a readable image" in status_of(driver, "^letter.jpg: ")
