"""The page of `nanoemo webcam` for a run that listens: its answers, and the page in a headless browser with a fake microphone."""
import io
import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from local_page import button_of, device_is_off, pixels, request, serious, serving, status_of, watch_device

from nanoemo.data.clipset import RATE
from nanoemo.recognition import FacesPage, Listener, VoicesPage, page_of

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: recordings cannot be read")

ORANGE, GREY = (0xD5, 0x5E, 0x00), (0xBB, 0xBB, 0xBB)       # the most probable class on the timeline, and silence


@pytest.fixture(scope="module")
def server(voice_run):
    with serving(VoicesPage(Listener(voice_run))) as server:
        yield server


@pytest.fixture(scope="module")
def speech(voices):
    """Made voices, one after the other: a wave of 10 seconds."""
    clips = voices["test"]
    return np.resize(np.concatenate([clips.wave(index) for index in range(len(clips))]), 10 * RATE)


def audio(wave, form="wav", rate=RATE, **options):
    """The bytes of an audio file."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=form, **options)
    return file.getvalue()


def listen(server, content, option=""):
    """(status, answer) to a recording."""
    status, _, body = request(server, "POST", f"/listen{option}", content, Origin=server.url.rstrip("/"))
    return status, json.loads(body)


# ---- the server


def test_page_may_use_the_microphone_and_nothing_else(server):
    for path in ("/", *(f"/{name}" for name in VoicesPage.FILES)):
        status, headers, body = request(server, "GET", path)
        assert status == 200 and not re.search(rb"https?://|//\w+\.|@import|url\(", body)
        assert headers["Permissions-Policy"] == "camera=(), microphone=(self), geolocation=()"
        assert "script-src 'self'; style-src 'self'; connect-src 'self'" in headers["Content-Security-Policy"]
    about = json.loads(request(server, "GET", "/about")[2])
    assert about["title"] == "series.cnn1, trained on made voices" and about["drawn"]
    assert request(server, "GET", "/faces.js")[0] == 404


def test_hears_what_predict_hears(server, voice_run, speech, tmp_path):
    for wave, form, count in ((speech[:2 * RATE], "wav", 1), (np.resize(speech, 12 * RATE), "flac", 10)):
        content = audio(np.stack([wave] * 2, axis=1), form)
        (tmp_path / "clip").write_bytes(content)
        status, answer = listen(server, content)
        assert status == 200 and len(answer["windows"]) == count and answer["seconds"] == len(wave) / RATE
        assert answer == Listener(voice_run)(tmp_path / "clip").as_json()


def test_silence_is_no_emotion(server, speech):
    """A room that is quiet is silence before the microphone, but a recording may be quiet throughout."""
    room = np.random.default_rng(0).normal(0, 0.003, 3 * RATE)
    assert listen(server, audio(np.zeros(3 * RATE)), "?microphone") == (200, {"silent": True, "seconds": 3})
    assert listen(server, audio(room), "?microphone") == (200, {"silent": True, "seconds": 3})
    assert "label" in listen(server, audio(room))[1]
    assert "label" in listen(server, audio(speech[:RATE], rate=48000), "?microphone")[1]
    assert "label" in listen(server, audio(0.1 * speech[:RATE] / np.abs(speech[:RATE]).max()), "?microphone")[1]
    assert listen(server, audio(np.zeros(11 * RATE))) == (200, {"silent": True, "seconds": 11})


def test_what_cannot_be_heard_is_one_sentence(server, speech):
    whole, flac = audio(speech), audio(speech, "flac")
    no_numbers = audio(np.full(RATE, np.nan), subtype="FLOAT")
    too_long = audio(np.resize(speech, 1_200_800), rate=2000, subtype="PCM_U8")
    for content, reason in ((b"", "empty"), (b"Dear Sir", "not readable as audio"), (whole[:5000], "cut short"),
                            (flac[:9000], "cut short|not readable"), (audio(np.ones(1)), "shorter than 0.1 s"),
                            (no_numbers, "no numbers"), (too_long, "600.4 s long, but this page hears up to 600 s")):
        status, answer = listen(server, content)
        assert status == 422 and re.search(reason, answer["error"]) and "\n" not in answer["error"]


def test_requests_that_are_refused(server):
    assert request(server, "POST", "/listen", Content_Length=str(VoicesPage.MOST_BYTES + 1))[0] == 413
    assert request(server, "POST", "/listen", iter([b"x"]), Transfer_Encoding="chunked")[0] == 411
    assert request(server, "POST", "/listen", b"x", Host="evil.example")[0] == 421
    assert request(server, "POST", "/listen", b"x", Origin="http://evil.example")[0] == 403
    assert request(server, "POST", "/recognize", b"x")[0] == 404


def test_run_decides_on_the_page(tiny_run, voice_run):
    assert isinstance(page_of(tiny_run), FacesPage) and isinstance(page_of(voice_run), VoicesPage)


def test_command_serves_it(voice_run):
    """Nothing is said of librosa either, however long this machine takes to load it."""
    patient = ("from nanoemo.features import extraction; extraction.PATIENCE = 600; "
               "from nanoemo.cli import main; raise SystemExit(main())")
    process = subprocess.Popen([sys.executable, "-c", patient, "webcam", str(voice_run), "--port", "0"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "series.cnn1, trained on made voices: open http://127.0.0.1:" in process.stdout.readline()
    assert "recordings do not leave it" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "ended" in out and err == ""


# ---- the page, in a browser


def test_microphone_in_the_browser(server, open_page, speech, tmp_path, monkeypatch):
    """A voice, here one that is too loud, gets bars and a timeline, a pause is shown as silence, stopping turns the microphone
    off. The pause is long: where an answer takes four seconds, one of five would lie between two answers each time."""
    (tmp_path / "talk.wav").write_bytes(audio(np.concatenate([speech[:3 * RATE], np.zeros(13 * RATE)])))
    sent, answer = [], server.page.answer

    def hear(content, options):
        sent.append(content)
        found = answer(content, options)
        return {**found, "clipped": 1} if "label" in found else found

    monkeypatch.setattr(server.page, "answer", hear)
    driver = open_page(server.url, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                       f"--use-file-for-fake-audio-capture={tmp_path / 'talk.wav'}")
    status_of(driver, "^Start the microphone")
    assert status_of(driver, "Made voices are nobody's", "model")            # told by the program, after the page has been shown
    watch_device(driver)
    button = button_of(driver, "microphone")
    button.click()
    status_of(driver, "^Listening: [a-z]+, too loud$")
    status_of(driver, r"^the last 3 s, every \d+\.\d s$", "beside")
    settings = driver.execute_script("return given.getAudioTracks()[0].getSettings()")
    assert [settings[name] for name in ("echoCancellation", "noiseSuppression", "autoGainControl")] == [False, True, True]
    names = driver.execute_script(
        "return [...document.querySelectorAll('.answer meter')].map((meter) => meter.getAttribute('aria-label'))")
    assert names == list(server.page.trained.classes)
    status_of(driver, "^Listening: silence$")
    assert driver.find_element("css selector", ".answer h2").text == "silence"
    assert pixels(driver, "timeline", *ORANGE) > 100 and pixels(driver, "timeline", *GREY) > 100
    button.click()
    assert status_of(driver, "microphone is off") and device_is_off(driver)
    assert serious(driver) == []
    lengths = []
    for content in sent:
        with soundfile.SoundFile(io.BytesIO(content)) as piece:
            assert (piece.format, piece.subtype, piece.channels) == ("WAV", "PCM_16", 1)
            lengths.append(piece.frames / piece.samplerate)
            assert 44 + 2 * piece.frames == len(content)
    assert lengths[0] >= 0.9 and lengths[-1] == 3 == max(lengths)


def test_what_was_not_heard_is_not_drawn(server, open_page):
    """Each answer is of 3 seconds at most, however long the one before has taken."""
    driver = open_page(server.url, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    driver.execute_script("""
        const ask = window.fetch, patience = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
        window.fetch = async (...question) => [await ask(...question), await patience(6)][0];""")
    button_of(driver, "microphone").click()
    status_of(driver, r"every ([6-9]|\d\d+)\.\d s$", "beside")
    coloured, = driver.execute_script("""
        const canvas = document.getElementById("timeline"), { width, height } = canvas;
        const dots = canvas.getContext("2d").getImageData(0, 0, width, height).data;
        const isBar = (i) => ["213,94,0", "0,114,178", "187,187,187"].includes(`${dots[i]},${dots[i + 1]},${dots[i + 2]}`);
        let columns = 0;
        for (let x = 130; x < width - 36; x++) {
            let bars = 0;
            for (let y = 0; y < height - 80; y++) bars += isBar(4 * (y * width + x));
            columns += bars > 0;
        }
        return [columns];""")
    a_second = (1000 - 130 - 36) / 60
    assert 3 * a_second < coloured < 6.5 * a_second             # of the first answer, after a second or a little more, and 3 s


def test_the_last_seconds_come_in_their_order(server, open_page):
    driver = open_page(server.url)
    pieces = driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        let Recorder;
        Object.assign(window, { sampleRate: 256, AudioWorkletProcessor: class { port = {}; },
                                registerProcessor: (_, made) => Recorder = made });
        import("/recorder.js").then(() => {
            const recorder = new Recorder({ processorOptions: { seconds: 2 } }), pieces = [];
            for (let block = 0; block < 7; block++) {
                const channel = Float32Array.from({ length: 128 }, (_, index) => 128 * block + index);
                recorder.process([[channel, channel.map((value) => value + 2)]]);
                pieces.push([...recorder.last()]);
            }
            done(pieces);
        });""")
    for block, piece in enumerate(pieces):
        end = 128 * (block + 1)
        assert piece == [sample + 1 for sample in range(max(0, end - 512), end)]


def test_microphone_that_is_not_allowed_or_not_there(server, open_page):
    driver = open_page(server.url, "--deny-permission-prompts")
    button_of(driver, "microphone").click()
    assert re.search("choose a recording|Allow it", status_of(driver, "No microphone|does not allow|cannot be used"))


def test_uploaded_recording(server, open_page, speech, tmp_path):
    (tmp_path / "talk.flac").write_bytes(audio(np.concatenate([speech[:7 * RATE], np.zeros(5 * RATE)]), "flac"))
    (tmp_path / "silent.wav").write_bytes(audio(np.zeros(RATE)))
    (tmp_path / "soft.wav").write_bytes(audio(0.5 * speech[:2 * RATE]))
    (tmp_path / "letter.wav").write_bytes(b"Dear Sir")
    driver = open_page(server.url)
    status_of(driver, "^Start the microphone")
    chooser = driver.find_element("id", "file")
    chooser.send_keys(str(tmp_path / "talk.flac"))
    status_of(driver, r"^talk.flac: 12.0 s, \d of 10 windows clipped: on average [a-z]+ \d+ %$")       # angry is too loud
    assert pixels(driver, "timeline", *ORANGE) > 100 and pixels(driver, "timeline", *GREY) > 100
    chooser.send_keys(str(tmp_path / "silent.wav"))
    status_of(driver, r"^silent.wav: 1.0 s: silence$")
    assert pixels(driver, "timeline", *ORANGE) == 0
    chooser.send_keys(str(tmp_path / "soft.wav"))
    status_of(driver, r"^soft.wav: 2.0 s: [a-z]+ \d+ %$")
    chooser.send_keys(str(tmp_path / "letter.wav"))
    status_of(driver, r"^letter.wav: not readable as audio")
    assert pixels(driver, "timeline", *GREY) < 50              # in the edges of letters
    with open(tmp_path / "huge.wav", "wb") as file:
        file.truncate(VoicesPage.MOST_BYTES + 1_000_000)
    chooser.send_keys(str(tmp_path / "huge.wav"))
    status_of(driver, r"^huge.wav: 121 MB; up to 120 MB are read$")
