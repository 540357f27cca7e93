"""What tests of the local page need: one that is served, requests to it, and a browser that shows it."""
import contextlib
import http.client
import io
import re
import shutil
import threading
import time

import pytest

from nanoemo.recognition import Server


@contextlib.contextmanager
def serving(page):
    with Server(page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def portrait(size):
    """The bytes of a JPEG file: an astronaut, her face at (0.44, 0.23) of the picture, 0.19 of it wide."""
    from PIL import Image
    from skimage.data import astronaut

    file = io.BytesIO()
    Image.fromarray(astronaut()).resize((size, size)).save(file, "jpeg", quality=95)
    return file.getvalue()


def request(server, method, path, body=None, **headers):
    """(status, headers, body) of the answer."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def chromium(profile, *arguments):
    """A selenium driver of headless Chromium; without one the test is skipped."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: the page is not tested")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not (browser and chromedriver):
        pytest.skip("chromium or chromedriver is not installed: the page is not tested")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--disable-dev-shm-usage", "--window-size=1280,900", f"--user-data-dir={profile}", *arguments):
        options.add_argument(argument)
    return webdriver.Chrome(options, webdriver.ChromeService(chromedriver))


def status_of(driver, pattern, element="status", seconds=60):
    """The page's status line, or the text of another element, once it fits `pattern`."""
    end = time.monotonic() + seconds
    while not re.search(pattern, text := driver.find_element("id", element).text):
        assert time.monotonic() < end, f"waited for {pattern!r}, the page says {text!r}"
        time.sleep(0.1)
    return text


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def sayings(driver):
    """A function that returns all that the status line has said since."""
    driver.execute_script("""
        window.said = [];
        const line = document.getElementById("status");
        new MutationObserver(() => said.push(line.textContent)).observe(line, { childList: true });""")
    return lambda: driver.execute_script("return said")


def button_of(driver, name, seconds=60):
    """The button that turns the camera or the microphone on, once the page has enabled it."""
    button = driver.find_element("id", name)
    end = time.monotonic() + seconds
    while not button.is_enabled():
        assert time.monotonic() < end, f"waited for the button {name} to be enabled"
        time.sleep(0.05)
    return button


def pixels(driver, canvas, red, green, blue):
    """How many pixels of the canvas of that id have that colour."""
    return driver.execute_script("""
        const [canvas, ...colour] = [document.getElementById(arguments[0]), ...[...arguments].slice(1)];
        const dots = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let found = 0;
        for (let i = 0; i < dots.length; i += 4) found += colour.every((value, channel) => dots[i + channel] === value);
        return found;""", canvas, red, green, blue)


def watch_device(driver):
    """Lets `device_is_off` see the camera or the microphone that the page is given."""
    driver.execute_script("""
        const devices = navigator.mediaDevices, get = devices.getUserMedia.bind(devices);
        devices.getUserMedia = async (constraints) => window.given = await get(constraints);""")


def device_is_off(driver):
    return driver.execute_script("return given.getTracks().every((track) => track.readyState === 'ended')")


def serious(driver):
    return [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
