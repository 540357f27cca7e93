"""Features of every clip of a set: made in parallel, each kept on disk as soon as it is made.

A clip's features are found again by a hash of its samples, of what is to be made of them and of the change made to it
before, so a second run reads them, a run that was broken off goes on where it stopped, and two sets that share clips
share features. They lie in the folder `features` of the cache (`nanoemo.data.cache.cache_folder`), one file a clip.
"""
import contextlib
import hashlib
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Callable, NamedTuple

import numpy as np

from nanoemo.bar import with_bar
from nanoemo.data.cache import cache_folder
from nanoemo.data.changes import changed
from nanoemo.data.clipset import ClipSet
from nanoemo.data.featureset import FeatureSet
from nanoemo.features import speech
from nanoemo.files import write_file

__all__ = ["OF_CLIPS", "Kind", "extract", "of_wave", "require_librosa"]

VERSION = 1          # goes into every file's name: raise it when what is made of a clip changes
PATIENCE = 5         # seconds of loading librosa before a word of it
LOADING = "librosa is being loaded; the first time its functions are compiled, which takes half a minute"


class Kind(NamedTuple):
    """What can be made of a clip. `axes`: those of the features (N, ...) along which a standardisation is shared."""
    make: Callable
    shape: tuple
    axes: tuple


OF_CLIPS = {"vector162": Kind(speech.vector162, (162, 1), (0,)),
            "mfcc": Kind(speech.mfcc_frames, (128, 40, 1), (0, 1)),
            "log_mel": Kind(speech.log_mel, (128, 128, 1), (0, 1))}


def extract(clips, kind, seed=0):
    """The features of a ClipSet as a FeatureSet, in the same order.

    kind: name in `OF_CLIPS`
    seed: of the changes; the random numbers of one are a function of the seed, the change and the clip's samples alone

    It shows a bar on a terminal. Raises ImportError where librosa is not installed, ValueError for an unknown kind and
    for a clip whose features are not finite, TypeError for what is no ClipSet.

    >>> from nanoemo.data import drawn_voices
    >>> extract(drawn_voices(2), "vector162").features.shape
    (2, 162, 1)
    """
    if not isinstance(clips, ClipSet):
        raise TypeError(f"extract: expected a ClipSet, as nanoemo.data.read_clips gives it, got {type(clips).__name__}; of "
                        "images nanoemo.features.hog_features makes features")
    _check_kind("extract", kind)
    require_librosa()
    folder = cache_folder() / "features"
    features = np.empty((len(clips), *OF_CLIPS[kind].shape), np.float32)
    missing = []
    for index, key in enumerate(_keys(clips, seed)):
        path = folder / f"{kind}{VERSION}-{key}"
        kept = _load(path, features[index].shape)
        if kept is None:
            missing.append((index, int(key, 16), path))
        else:
            features[index] = kept
    with _quiet():
        for index, made, problem in _make_all(clips, kind, missing):
            features[index] = made
            if problem:
                warnings.warn(f"features cannot be kept in {folder} ({problem.strerror or problem}), so they are made anew each "
                              "time; set NANOEMO_CACHE to a folder that can be written", stacklevel=2)
    return FeatureSet(features, clips.labels, clips.class_names, clips.name, clips.drawn, clips.note, clips.groups)


def of_wave(wave, kind):
    """The features of one wave, float32 (samples,) at `nanoemo.data.clipset.RATE`; neither kept nor looked up.

    kind: name in `OF_CLIPS`; ValueError for another

    >>> of_wave(np.sin(np.arange(22050, dtype=np.float32)), "mfcc").shape
    (128, 40, 1)
    """
    _check_kind("of_wave", kind)
    with _quiet():
        return OF_CLIPS[kind].make(wave)


def _check_kind(where, kind):
    if kind not in OF_CLIPS:
        raise ValueError(f"{where}: kind is {kind!r}; expected one of {', '.join(OF_CLIPS)}")


@contextlib.contextmanager
def _quiet():
    """Without librosa's warnings of a frame longer than a short clip, and of the tuning of silence.

    Around all threads at once: they share the filters of warnings, so its end in one would have the others warn.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_fft=|Trying to estimate tuning", UserWarning)
        yield


def require_librosa():
    """Load librosa now, and once; ImportError, which says what to install, where it is not there.

    It takes a second; the first time, when its functions are compiled, half a minute, and then a line on stderr says so. Threads
    that load it at the same time get in each other's way.
    """
    note = threading.Timer(PATIENCE, print, [LOADING], {"file": sys.stderr, "flush": True})
    note.daemon = True                      # Ctrl-C does not wait for it
    note.start()
    try:
        import librosa.effects
        import librosa.feature
        librosa.feature.mfcc                # what librosa is made of is loaded when it is first asked for
    except ImportError as error:
        raise ImportError(f"features of voices need librosa ({error}); pip install 'nanoemo[speech]'") from error
    finally:
        note.cancel()


def _keys(clips, seed):
    """A hash of each clip's samples, its change, and the seed of that."""
    for index in range(len(clips)):
        start, stop = clips.spans[index]
        change = str(clips.changes[index])
        about = f"{change}|{seed if change else ''}|"
        yield hashlib.blake2b(about.encode() + clips.samples[start:stop].tobytes(), digest_size=16).hexdigest()


def _make_all(clips, kind, missing):
    """Yield (index, features, None or the OSError that kept them from being kept) of each clip, in the order they are done.

    missing: (index, seed of the clip's change, path to keep the features at) of each
    """
    def make(index, seed, path):
        made = OF_CLIPS[kind].make(changed(clips.wave(index), str(clips.changes[index]), np.random.default_rng(seed)))
        if not np.isfinite(made).all():
            raise ValueError(f"{clips.name}: clip {index} has features that are not finite numbers")
        return index, made, _save(path, made)

    pool = ThreadPoolExecutor()                                    # NumPy lets other threads run while it computes
    try:
        done = as_completed([pool.submit(make, *of_clip) for of_clip in missing])
        for future in with_bar(done, f"features of {clips.name}", len(missing)):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _load(path, shape):
    """Features kept in a file, None where there are none or they are damaged."""
    try:
        kept = np.frombuffer(path.read_bytes(), np.float32)
        return kept.reshape(shape) if np.isfinite(kept).all() else None
    except (OSError, ValueError):
        return None


def _save(path, features):
    """Write them to a file; the OSError where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, features.tobytes())
    except OSError as error:
        return error
