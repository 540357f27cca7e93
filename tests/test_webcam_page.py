"""The page of `nanoemo webcam` for a run that sees, in a headless browser with a fake camera."""
import re
import threading

import numpy as np
import pytest
from local_page import button_of, device_is_off, pixels, portrait, sayings, serious, serving, status_of, wait_until, watch_device
from PIL import Image

from nanoemo.recognition import FacesPage, Recognizer

ORANGE = 0xD5, 0x5E, 0x00       # of the squares
FAKE_CAMERA = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"


@pytest.fixture(scope="module")
def server(tiny_run):
    with serving(FacesPage(Recognizer(tiny_run))) as server:
        yield server


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

    driver = open_page(server.url, *FAKE_CAMERA, f"--use-file-for-fake-video-capture={camera_film}")
    watch_device(driver)
    button = button_of(driver, "camera")
    button.send_keys(Keys.ENTER)                    # by the keyboard
    status_of(driver, r"^1 face: [a-z]+$")
    status_of(driver, r"^\d+\.\d pictures a second$", "beside")
    assert pixels(driver, "picture", *ORANGE) > 500
    names = driver.execute_script(
        "return [...document.querySelectorAll('.answer meter')].map((meter) => meter.getAttribute('aria-label'))")
    assert names == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert status_of(driver, "Drawn faces show nobody", "model")            # told by the program, after the page has been shown
    assert driver.get_screenshot_as_png()[:4] == b"\x89PNG"
    button.click()
    assert status_of(driver, "camera is off") and device_is_off(driver)
    assert serious(driver) == []


def test_by_ear(server, open_page, camera_film):
    """What a screen reader reads aloud changes when the label does, not with each frame, and its user keeps the place."""
    driver = open_page(server.url, *FAKE_CAMERA, f"--use-file-for-fake-video-capture={camera_film}")
    button_of(driver, "camera").click()
    status_of(driver, r"^1 face: [a-z]+$")
    driver.execute_script("""
        window.spoken = window.unspoken = 0;
        const watch = (id, then) => new MutationObserver(then).observe(document.getElementById(id), { childList: true });
        watch("status", () => window.spoken++);
        watch("beside", () => window.unspoken++);
        window.heading = document.querySelector(".answer h2");""")
    wait_until(lambda: driver.execute_script("return unspoken") >= 3)
    assert driver.execute_script("return [spoken, heading.isConnected, heading.textContent.startsWith('1  ')]") == [0, True, True]


def test_that_a_picture_is_a_face_already_is_nothing_to_the_camera(server, open_page, camera_film, tmp_path, portrait_jpeg):
    """Also where a picture was chosen before: what it had been asked of is forgotten."""
    (tmp_path / "portrait.jpg").write_bytes(portrait_jpeg)
    driver = open_page(server.url, *FAKE_CAMERA, f"--use-file-for-fake-video-capture={camera_film}")
    driver.find_element("id", "file").send_keys(str(tmp_path / "portrait.jpg"))
    status_of(driver, "^portrait.jpg: 1 face")
    watch_device(driver)
    button_of(driver, "camera").click()
    status_of(driver, "^1 face")
    said = sayings(driver)
    driver.find_element("id", "whole").click()
    status_of(driver, "pictures a second", "beside")
    assert not device_is_off(driver) and not any("portrait" in text for text in said())


def test_camera_without_a_face(server, open_page):
    """Chromium's own fake camera shows a test card."""
    driver = open_page(server.url, *FAKE_CAMERA)
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
    status_of(driver, r"^portrait.jpg: 1 face: [a-z]+$")
    assert pixels(driver, "picture", *ORANGE) > 500
    label = re.search("1 face: ([a-z]+)$", driver.find_element("id", "picture").get_attribute("aria-label")).group(1)
    assert [bar.text.split()[0] for bar in driver.find_elements("css selector", ".bar.best")] == [label]
    before = pixels(driver, "picture", *ORANGE)
    driver.find_element("id", "whole").click()
    wait_until(lambda: pixels(driver, "picture", *ORANGE) not in (0, before))
    status_of(driver, r"^portrait.jpg: 1 face: [a-z]+$")
    chooser.send_keys(str(tmp_path / "letter.jpg"))
    assert "not a readable image" in status_of(driver, "^letter.jpg: ")


def choose(driver, path):
    driver.find_element("id", "file").send_keys(str(path))


def test_the_square_is_where_the_face_is(server, open_page, tmp_path):
    """Also on a picture that is larger than it is shown, and on one that is smaller."""
    driver = open_page(server.url)
    for size in (2000, 300):
        (tmp_path / f"{size}.jpg").write_bytes(portrait(size))
        choose(driver, tmp_path / f"{size}.jpg")
        status_of(driver, f"^{size}.jpg: 1 face: [a-z]+$")
        left, right, top, bottom, width, height = driver.execute_script("""
            const canvas = document.getElementById("picture"), { width, height } = canvas, [x, y] = [[], []];
            const dots = canvas.getContext("2d").getImageData(0, 0, width, height).data;
            for (let i = 0; i < dots.length; i += 4)
                if (dots[i] === 0xD5 && dots[i + 1] === 0x5E && dots[i + 2] === 0) {
                    x.push(i / 4 % width);
                    y.push(Math.floor(i / 4 / width));
                }
            const ends = (places) => places.reduce(([low, high], at) => [Math.min(low, at), Math.max(high, at)], [1e9, 0]);
            return [...ends(x), ...ends(y), width, height];""")
        assert width == height == 1280
        assert 0.38 < (left + right) / 2 / width < 0.5 and 0.19 < (right - left) / width < 0.35
        assert 0.27 < bottom / height < 0.36 and top / height < 0.15


def test_the_label_of_a_face_that_fills_the_picture_is_in_it(server, open_page, tmp_path):
    Image.new("L", (48, 48), 128).save(tmp_path / "gray.png")
    driver = open_page(server.url)
    driver.find_element("id", "whole").click()
    driver.execute_script("""
        window.written = [];
        const write = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
            written.push([y, this.canvas.height, parseFloat(this.font.match(/[0-9.]+px/)[0])]);
            write.call(this, text, x, y);
        };""")
    choose(driver, tmp_path / "gray.png")
    status_of(driver, "^gray.png: 1 face: [a-z]+$")
    (y, height, size), = driver.execute_script("return written")
    assert size > 15 and size < y < height


def test_the_same_file_can_be_chosen_again(server, open_page, tmp_path, portrait_jpeg):
    path = tmp_path / "picture.jpg"
    path.write_bytes(portrait_jpeg)
    driver = open_page(server.url)
    choose(driver, path)
    status_of(driver, "^picture.jpg: 1 face")
    path.write_bytes(b"Dear Sir")
    driver.find_element("id", "whole").click()
    status_of(driver, "^picture.jpg: it cannot be read; if it was changed")
    driver.execute_script("document.getElementById('file').dispatchEvent(new Event('click'))")
    choose(driver, path)
    status_of(driver, "^picture.jpg: .*not a readable image")


def test_an_answer_that_comes_too_late_is_not_shown(server, open_page, tmp_path, portrait_jpeg, monkeypatch):
    held, go_on, answer = threading.Event(), threading.Event(), server.page.answer

    def wait_with_the_first(content, options):
        if not held.is_set():
            held.set()
            go_on.wait(30)
        return answer(content, options)

    monkeypatch.setattr(server.page, "answer", wait_with_the_first)
    (tmp_path / "first.jpg").write_bytes(portrait_jpeg)
    Image.fromarray(np.zeros((60, 60), np.uint8)).save(tmp_path / "second.png")
    driver = open_page(server.url)
    choose(driver, tmp_path / "first.jpg")
    assert held.wait(30)
    said = sayings(driver)
    choose(driver, tmp_path / "second.png")
    status_of(driver, "^Looking at second.png")
    go_on.set()
    status_of(driver, "^second.png: no face found. `nanoemo predict --search`")
    assert not any("first" in text for text in said()) and pixels(driver, "picture", *ORANGE) == 0


@pytest.mark.parametrize("answer", ["Promise.reject(new TypeError('no answer'))", "Promise.resolve(new Response('<html>'))"])
def test_a_program_that_has_ended(server, open_page, tmp_path, portrait_jpeg, answer):
    """Nobody answers, or another program that has taken the port."""
    (tmp_path / "portrait.jpg").write_bytes(portrait_jpeg)
    driver = open_page(server.url)
    button_of(driver, "camera")
    driver.execute_script(f"window.fetch = () => {answer}")
    choose(driver, tmp_path / "portrait.jpg")
    status_of(driver, "^portrait.jpg: The program does not answer. Is `nanoemo webcam` still running")


@pytest.mark.parametrize("width, height", [(390, 844), (1280, 800)])
def test_it_fits_a_telephone_and_a_projector(server, open_page, tmp_path, width, height):
    """No scrolling sideways, and a tall picture is seen whole."""
    Image.new("L", (300, 1000), 128).save(tmp_path / "tall.png")
    driver = open_page(server.url)
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
    driver.find_element("id", "whole").click()
    choose(driver, tmp_path / "tall.png")
    status_of(driver, "^tall.png: 1 face")
    wide, tall, bottom = driver.execute_script("""
        const picture = document.getElementById("picture").getBoundingClientRect();
        return [document.documentElement.scrollWidth, picture.height, picture.bottom];""")
    assert wide <= width and tall <= height and (bottom <= height or width < height)
