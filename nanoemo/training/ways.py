"""Every way of judging a face and a voice together, as it was learned: applied, and kept in a fusion's folder.

    fusion.safetensors    the numbers: weighted.face; learned.weight, .bias; joint.mean, .std, .weight, .bias
    fusion.json           the rest: the classes, where the two runs are, with what versions, and how good it is

Both runs stay where they are. What was learned fits their weights alone, so the JSON has a checksum (CRC-32) of each, and of
the numbers.
"""
import json
import shlex
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nanoemo.data import Standardise
from nanoemo.files import read_json
from nanoemo.serialization import load_metadata, load_state, save_state
from nanoemo.training import fusion, joint
from nanoemo.training.ensemble import Stack
from nanoemo.training.runfolder import RunFolder, RunFolderError

__all__ = ["Kept", "Ways", "is_fusion", "keep", "load"]

ABOUT, NUMBERS = "fusion.json", "fusion.safetensors"


class Ways(NamedTuple):
    """What was learned; called with `Pairs` of what two networks say and of what they find it gives {way: (M, C)}.

    classes: the C names that both know, in the order of all probabilities

    answers: probabilities (M, C) of either half, as `fusion.on_common` gives them; features: (M, F) and (M, V)
    The ways are face, voice, weighted, learned and joint.

    >>> late = fusion.Late(0.25, Stack(np.tile(np.eye(2) / 2, (2, 1)), np.zeros(2)))
    >>> layer = joint.Joint(Standardise([0, 0], [1, 1]), np.array([[0, 1], [0, 1]], "f"), np.zeros(2, "f"), epoch=1, drawn=8)
    >>> answers = fusion.Pairs(np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]]), None)
    >>> rows = Ways(("happy", "sad"), late, layer)(answers, fusion.Pairs(np.ones((1, 1), "f"), np.zeros((1, 1), "f"), None))
    >>> {way: row[0].round(2).tolist() for way, row in rows.items() if way != "joint"}
    {'face': [0.2, 0.8], 'voice': [0.6, 0.4], 'weighted': [0.5, 0.5], 'learned': [0.38, 0.62]}
    >>> rows["joint"].shape
    (1, 2)
    """
    classes: tuple
    late: fusion.Late
    layer: joint.Joint

    def __call__(self, answers, features):
        return {**self.late(answers), "joint": self.layer(features)}


class Kept(NamedTuple):
    """A fusion that was loaded: what was learned, the folders of the two runs, and what the pairs were, in words."""
    ways: Ways
    face: Path
    voice: Path
    note: str


def is_fusion(path):
    """Whether the folder at `path` is one that `nanoemo fuse` wrote."""
    return (Path(path) / ABOUT).is_file()


def keep(ways, folder, face, voice):
    """Write fusion.safetensors into `folder`; returns what fusion.json has to hold for `load`, plain data.

    face, voice: the folders of the two runs
    """
    weight, (matrix, bias), layer = ways.late.weight, ways.late.stack, ways.layer
    path = Path(folder) / NUMBERS
    save_state({"weighted.face": np.float64(weight), "learned.weight": matrix, "learned.bias": bias,
                "joint.mean": layer.standardise.mean, "joint.std": layer.standardise.std,
                "joint.weight": layer.weight, "joint.bias": layer.bias},
               path, {"fusion": json.dumps({"classes": ways.classes, "epoch": layer.epoch, "drawn": layer.drawn})})
    runs = {"face": RunFolder.open(face), "voice": RunFolder.open(voice)}
    return {"numbers": {"crc32": _checksum(path)},
            **{sense: {"run": str(run.path.resolve()), "crc32": _checksum(run.finished_best_path())}
               for sense, run in runs.items()}}


def load(folder):
    """The `Kept` fusion in a folder that `nanoemo fuse` wrote.

    Raises RunFolderError where it is none, was written before what is learned was kept, or a run that it was made of is gone or
    has other weights by now; ValueError where its files are damaged. The message says what to do.
    """
    path = Path(folder) / ABOUT
    if not is_fusion(folder):
        raise RunFolderError(f"{folder} is not the folder of a fusion: it has no {ABOUT}; `nanoemo fuse FACE_RUN VOICE_RUN` "
                             "makes one")
    about = read_json(path)
    try:
        runs = {sense: about[sense]["run"] for sense in ("face", "voice")}
        again = f"make it anew: {shlex.join(['nanoemo', 'fuse', *runs.values(), '--seed', str(about['seed'])])}"
        expected = {name: about[name]["crc32"] for name in ("numbers", *runs)} if "numbers" in about else None
        classes, note = tuple(about["classes"]), about["note"]
    except (KeyError, TypeError):
        raise RunFolderError(f"{path}: damaged, or not what `nanoemo fuse` wrote; bring it back, or fuse the two runs "
                             "anew") from None
    if expected is None:
        raise RunFolderError(f"{folder} was written by a version that did not keep what a fusion learns; {again}")
    ways = _read(Path(folder) / NUMBERS, expected["numbers"], classes, again)
    for sense, run in runs.items():
        _check_run(sense, Path(run), expected[sense], path, again)
    return Kept(ways, Path(runs["face"]), Path(runs["voice"]), note)


def _read(path, expected, classes, again):
    """The `Ways` in a file, which must be of that checksum and those classes."""
    try:
        if not path.exists():
            raise ValueError(f"{path} is gone")
        arrays, told = load_state(path), json.loads(load_metadata(path).get("fusion", "{}"))
        if _checksum(path) != expected or tuple(told.get("classes", ())) != classes:
            raise ValueError(f"{path}: damaged, or of another fusion than the {ABOUT} beside it")
    except ValueError as error:
        raise RunFolderError(f"{error}; bring it back, or {again}") from None
    late = fusion.Late(float(arrays["weighted.face"]), Stack(arrays["learned.weight"], arrays["learned.bias"]))
    standardise = Standardise(arrays["joint.mean"], arrays["joint.std"])
    layer = joint.Joint(standardise, arrays["joint.weight"], arrays["joint.bias"], told["epoch"], told["drawn"])
    return Ways(classes, late, layer)


def _check_run(sense, run, expected, about, again):
    """The run that was fused must be there, with the weights that it had."""
    try:
        best = RunFolder.open(run).finished_best_path()
    except RunFolderError:
        raise RunFolderError(f"{run}: the run on {sense}s that {about.parent} was made of is not there any more; put it back, or "
                             f'write where it is now into {about} as "run" of "{sense}"') from None
    if _checksum(best) != expected:
        raise RunFolderError(f"{run}: its weights are not those that {about.parent} was made of; {again}")


def _checksum(path):
    return zlib.crc32(Path(path).read_bytes())
