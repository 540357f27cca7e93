"""Reading photographs, finding faces in them and cutting them out."""
import io

import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures

from nanoemo.data import DataError, Face, crop_face, find_faces, read_photo
from nanoemo.data.photo import gray, shrunk

PORTRAIT = Image.fromarray(pictures.astronaut())
FACE = (224, 117)           # its centre in the portrait


def file_of(picture, form="png", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    file.seek(0)
    return file


# ---- reading


@pytest.mark.parametrize("mode, form", [("RGB", "jpeg"), ("L", "png"), ("RGBA", "png"), ("LA", "png"), ("P", "gif"),
                                        ("CMYK", "jpeg"), ("YCbCr", "jpeg"), ("RGB", "webp"), ("RGB", "tiff"), ("RGB", "bmp")])
def test_every_kind_of_picture_becomes_rgb(mode, form):
    photo = read_photo(file_of(PORTRAIT.convert(mode), form))
    assert photo.shape == (512, 512, 3) and photo.dtype == np.uint8
    assert np.abs(photo.mean(axis=2) - np.asarray(PORTRAIT.convert("L"), float)).mean() < 12


@pytest.mark.parametrize("call, message", [
    (lambda: find_faces("photo.jpg"), r"find_faces: picture: expected a NumPy array, got str; nanoemo.data.read_photo\(path\)"),
    (lambda: crop_face(3, 4), "crop_face: picture: expected a NumPy array, got int"),
    (lambda: crop_face(np.zeros((9, 9, 3), np.uint8), 4), "expected a Face, as find_faces gives them, got int"),
])
def test_what_is_no_picture_or_no_face(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("orientation, turned", [
    (1, None), (2, Image.Transpose.FLIP_LEFT_RIGHT), (3, Image.Transpose.ROTATE_180), (4, Image.Transpose.FLIP_TOP_BOTTOM),
    (5, Image.Transpose.TRANSPOSE), (6, Image.Transpose.ROTATE_90), (7, Image.Transpose.TRANSVERSE),
    (8, Image.Transpose.ROTATE_270)])
def test_turned_as_its_exif_data_say(orientation, turned):
    upright = PORTRAIT.crop((0, 0, 512, 300))
    stored = upright if turned is None else upright.transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (read_photo(file_of(stored, exif=exif)) == np.asarray(upright)).all()


def test_16_bits_are_brought_to_8_and_not_cut_off():
    tones = np.asarray(PORTRAIT.convert("L"))
    photo = read_photo(file_of(Image.fromarray(tones.astype(np.uint16) * 257)))
    assert (photo == tones[..., None]).all()


def test_what_is_transparent_is_white():
    picture = PORTRAIT.convert("RGBA")
    picture.putalpha(Image.new("L", picture.size, 0))
    assert (read_photo(file_of(picture)) == 255).all()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("content, message", [
    (b"", "not a readable image"), (b"hello", "not a readable image"), (file_of(PORTRAIT, "jpeg").read()[:9000], "cut short"),
    (file_of(PORTRAIT, "png").read()[:9000], "cut short"),
    (file_of(Image.new("1", (10_000, 8_001))).read(), "10000 × 8001 pixels; up to 80,000,000"),
    (file_of(Image.new("1", (20_000, 20_000))).read(), "up to 80,000,000 pixels"),
    (file_of(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "tiff").read(), "from 0.5 .* save it with 8 or 16")])
def test_what_is_no_photograph(content, message):
    with pytest.raises(DataError, match=f"^mine.jpg: .*{message}"):
        read_photo(io.BytesIO(content), "mine.jpg")


def dds_of_no_known_format():
    content = bytearray(file_of(Image.new("L", (4, 4)), "dds").read())
    content[80:84] = bytes(4)                   # the flags of its pixel format
    return bytes(content)


def test_what_a_decoder_does_not_know_is_an_error_of_the_data():
    with pytest.raises(DataError, match="^mine.dds: not a readable image .*damaged or cut short"):
        read_photo(io.BytesIO(dds_of_no_known_format()), "mine.dds")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["avif", "bmp", "dds", "gif", "ico", "im", "jpeg", "jpeg2000", "pcx", "png", "ppm", "sgi", "tga",
                                  "tiff", "webp"])
def test_of_a_damaged_picture_nothing_else_comes_out(form, rng):
    """Bytes changed at random, most of them in the header, and half of the files cut short as well."""
    try:
        whole = file_of(PORTRAIT.resize((40, 30)), form).read()
    except (KeyError, OSError):                 # of Pillow's libraries some may not be there
        pytest.skip(f"this Pillow writes no {form}")
    for _ in range(60):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, min(len(whole), rng.choice([64, 400, 10_000])), rng.integers(1, 6))
        damaged[places] = rng.integers(0, 256, len(places))
        content = damaged.tobytes()[:rng.choice([len(whole), rng.integers(len(whole))])]
        try:
            assert read_photo(io.BytesIO(content), "mine").dtype == np.uint8
        except DataError as error:
            assert str(error).startswith("mine: ")


def test_a_picture_that_is_a_program_is_not_run(monkeypatch):
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *given, **named: pytest.fail("Ghostscript was asked for"))
    with pytest.raises(DataError, match="mine: EPS, which is a program"):
        read_photo(file_of(PORTRAIT.resize((40, 30)), "EPS"), "mine")


# ---- finding


def turned(degrees):
    """The portrait turned clockwise, and where its face is then."""
    radians = np.deg2rad(degrees)
    picture = PORTRAIT.rotate(-degrees, Image.Resampling.BILINEAR, expand=True)
    x, y = FACE[0] - 256, FACE[1] - 256
    centre = np.array(picture.size) / 2
    return np.asarray(picture), (centre[0] + x * np.cos(radians) - y * np.sin(radians),
                                 centre[1] + x * np.sin(radians) + y * np.cos(radians))


@pytest.mark.parametrize("degrees", [-30, -20, 0, 20, 30])
def test_finds_the_face_and_its_tilt(degrees):
    picture, (x, y) = turned(degrees)
    face, = find_faces(picture)
    assert np.hypot(face.x - x, face.y - y) < 8
    assert 90 < face.side < 110 and abs(face.tilt - degrees) < 10


def test_finds_many_faces_the_largest_first():
    picture = np.concatenate([np.asarray(PORTRAIT.resize((320, 320))), np.asarray(PORTRAIT.resize((256, 320))),
                              np.asarray(PORTRAIT.resize((320, 320)))[:, ::-1]], axis=1)
    faces = find_faces(picture, longest=900)
    assert len(faces) == 3 and [face.side for face in faces] == sorted((face.side for face in faces), reverse=True)


def test_same_faces_each_time_and_at_any_size():
    small = np.asarray(PORTRAIT.resize((256, 256)))
    large = np.asarray(PORTRAIT.resize((3000, 3000)))
    assert find_faces(small) == find_faces(small)
    for picture in (small, large):
        face, = find_faces(picture)
        scale = len(picture) / 512
        assert abs(face.x / scale - FACE[0]) < 8 and abs(face.side / scale - 98) < 10


@pytest.mark.parametrize("name", ["brick", "grass", "coins", "page", "coffee", "rocket"])
def test_no_face_where_there_is_none(name):
    picture = getattr(pictures, name)()
    assert find_faces(np.array(Image.fromarray(picture).convert("RGB"))) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (23, 24), (24, 24), (300, 400)])
def test_blank_and_tiny_pictures(shape):
    assert find_faces(np.full((*shape, 3), 128, np.uint8)) == []


@pytest.mark.parametrize("picture", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8),
                                     np.zeros((9, 9, 4), np.uint8)])
def test_what_is_no_picture(picture):
    with pytest.raises(ValueError, match="expected a picture of dtype uint8"):
        find_faces(picture)


# ---- cutting out


def test_cut_out_upright():
    """The face cut out of the turned portrait is the face cut out of the portrait."""
    straight = crop_face(gray(np.asarray(PORTRAIT)), Face(*FACE, 100, 0)).astype(float)
    for degrees in (-25, 40, 90):
        picture, (x, y) = turned(degrees)
        again = crop_face(gray(picture), Face(x, y, 100, degrees)).astype(float)
        assert np.abs(again - straight).mean() < 4
        assert np.abs(again[::-1] - straight).mean() > 20


@pytest.mark.parametrize("side, size", [(48, 48), (480, 48), (24, 48), (2000, 48), (100, 1)])
def test_cut_out_at_any_size(side, size):
    """A ramp stays the ramp, a large square is averaged, and beyond the picture its edge is repeated."""
    ramp = np.tile(np.linspace(0, 255, 512).astype(np.uint8)[None, :, None], (512, 1, 3))
    crop = crop_face(ramp, Face(256, 256, side, 0), size)
    expected = np.clip(256 + ((np.arange(size) + 0.5) / size - 0.5) * side, 0, 511) / 511 * 255
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    assert np.abs(crop[0, :, 0] - expected).max() < 4


def test_large_faces_are_averaged_not_sampled():
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 1), dtype=np.uint8)
    assert crop_face(noise, Face(256, 256, 480, 0)).std() < 15          # 74 before


def test_a_face_as_fer2013_shows_it(data_dir):
    """The window of the cascade is the image, at the median: so a face is cut out without a margin."""
    from nanoemo.data import load

    faces = []
    for image in load(data_dir / "fer2013.csv")["train"].images[::1400]:
        padded = np.pad(image, ((24, 24), (24, 24), (0, 0)), mode="edge").repeat(3, axis=2)
        faces += find_faces(np.asarray(Image.fromarray(padded).resize((288, 288), Image.Resampling.BICUBIC)))
    assert len(faces) > 10
    x, y, side, *_ = np.median(faces, axis=0) / 3
    assert abs(x - 48) < 2 and abs(y - 48) < 2 and abs(side - 47) < 3


def test_shrunk():
    for shape, longest, expected in [((10, 20, 3), 640, (10, 20, 3)), ((3000, 1, 3), 100, (100, 1, 3))]:
        small, scale = shrunk(np.zeros(shape, np.uint8), longest)
        assert small.shape == expected and scale == min(1, longest / max(shape))
