"""Features of a recorded voice, by librosa: what a clip sounds like, as numbers.

A clip x is cut into frames of 2048 samples (93 ms), one every 512 (23 ms). Of each frame:

    zero-crossing rate      share of neighbours x[n-1], x[n] of different sign: noise and hiss have many       equation 4
    RMS                     √(Σ x[n]² / N), N samples: loudness                                                equation 5
    power spectrum          S[f] = |Σ x[n] w[n] exp(-2πi f n / N)|², w a Hann window
    chroma                  S summed over all octaves of each of the 12 semitones, the largest scaled to 1
    mel spectrogram         S summed over 128 triangular bands, evenly spaced on the mel scale, as hearing is
    MFCC                    discrete cosine transform of the mel spectrogram in decibels: c[0] is loudness, the first
                            few the shape of the spectrum, and so of the mouth

Chater, section 3.3.2. The paper's equation 4 adds |sign x[n] − sign x[n-1]|, which is 2 at a crossing: twice the share.
It gives neither the frames nor the sample rate; these are librosa's defaults, at `nanoemo.data.clipset.RATE`.
"""
import functools

import numpy as np

from nanoemo.data.clipset import RATE

__all__ = ["VECTOR_PARTS", "chroma", "fit_length", "log_mel", "mel_spectrogram", "mfcc", "mfcc_frames", "power_spectrum",
           "rms", "vector162", "zero_crossing_rate"]

FRAME, HOP = 2048, 512              # samples
BANDS = 128                         # of the mel scale
FRAMES = 128                        # of a clip cut to one length: 2.97 s
COEFFICIENTS = 40                   # cepstral, of each of these frames
VECTOR_PARTS = {"zero-crossing rate": 1, "chroma": 12, "MFCC": 20, "RMS": 1, "mel spectrogram": BANDS}


def zero_crossing_rate(wave):
    """(frames,): the share of samples that have another sign than the one before."""
    import librosa

    return librosa.feature.zero_crossing_rate(wave, frame_length=FRAME, hop_length=HOP)[0]


def rms(wave):
    """(frames,): the root of the mean square."""
    import librosa

    return librosa.feature.rms(y=wave, frame_length=FRAME, hop_length=HOP)[0]


def power_spectrum(wave):
    """(1025, frames): |STFT|², from 0 Hz to half the sample rate.

    >>> t = np.arange(RATE, dtype=np.float32) / RATE
    >>> power = power_spectrum(np.sin(2 * np.pi * 440 * t))
    >>> power.shape, round(int(power[:, 20].argmax()) * RATE / FRAME)       # the loudest frequency, to 11 Hz
    ((1025, 44), 441)
    """
    import librosa

    return np.square(np.abs(librosa.stft(wave, n_fft=FRAME, hop_length=HOP)))


def chroma(power):
    """(12, frames) from `power_spectrum`: C, C sharp, … B, each frame's largest 1."""
    import librosa

    return librosa.feature.chroma_stft(S=power, sr=RATE, n_fft=FRAME, hop_length=HOP)


def mel_spectrogram(power):
    """(128, frames) from `power_spectrum`."""
    return _mel_bands() @ power


@functools.cache
def _mel_bands():
    """(128, 1025): the weight of each frequency in each band. librosa would compute it anew for each clip."""
    import librosa

    return librosa.filters.mel(sr=RATE, n_fft=FRAME, n_mels=BANDS)


def mfcc(mel, coefficients):
    """(coefficients, frames) from `mel_spectrogram`; decibels down to 80 below the clip's loudest."""
    import librosa

    return librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=coefficients)


# ---- what the networks read -------------------------------------------------------------------------------


def vector162(wave):
    """The chater paper's 162 numbers (162, 1). It names the features; that each is a mean over frames, in the order of
    `VECTOR_PARTS`, is our reading.

    >>> vector162(np.sin(np.arange(RATE, dtype=np.float32))).shape
    (162, 1)
    """
    power = power_spectrum(one_channel(wave))
    mel = mel_spectrogram(power)
    parts = zero_crossing_rate(wave)[None], chroma(power), mfcc(mel, 20), rms(wave)[None], mel
    return np.concatenate([part.mean(axis=1) for part in parts]).astype(np.float32)[:, None]


def mfcc_frames(wave):
    """Mel-frequency cepstral coefficients (128, 40, 1) of the middle 3 s, for the series paper's networks.

    >>> mfcc_frames(np.sin(np.arange(RATE, dtype=np.float32))).shape
    (128, 40, 1)
    """
    mel = mel_spectrogram(power_spectrum(fit_length(one_channel(wave))))
    return mfcc(mel, COEFFICIENTS).T.astype(np.float32)[:, :, None]


def log_mel(wave):
    """The mel spectrogram of the middle 3 s as a picture (128, 128, 1): rows are frames, columns bands, in decibels.

    >>> log_mel(np.sin(np.arange(RATE, dtype=np.float32))).shape
    (128, 128, 1)
    """
    import librosa

    mel = mel_spectrogram(power_spectrum(fit_length(one_channel(wave))))
    return librosa.power_to_db(mel).T.astype(np.float32)[:, :, None]


def one_channel(wave):
    """`wave`; ValueError where it is not one channel of samples, TypeError where these are not floats.

    >>> one_channel(np.zeros((9, 2), np.float32))
    Traceback (most recent call last):
        ...
    ValueError: expected a wave of one channel, (samples,), got shape (9, 2); .mean(axis=1) mixes channels
    """
    wave = np.asarray(wave)
    if wave.ndim != 1:
        mix = f"; .mean(axis={wave.shape.index(min(wave.shape))}) mixes channels" if wave.ndim == 2 else ""
        raise ValueError(f"expected a wave of one channel, (samples,), got shape {wave.shape}{mix}")
    if wave.dtype.kind != "f":
        raise TypeError(f"expected a wave of floats from -1 to 1, got {wave.dtype}; divide whole numbers by their largest")
    return wave


def fit_length(wave):
    """`wave` at the length of 128 frames: its middle, or with silence before and after it in equal parts.

    >>> fit_length(np.ones(3, np.float32)).sum(), len(fit_length(np.ones(100_000))) == (FRAMES - 1) * HOP
    (np.float32(3.0), True)
    """
    wanted = (FRAMES - 1) * HOP
    spare = wanted - len(wave)
    if spare >= 0:
        return np.pad(wave, (spare // 2, spare - spare // 2))
    start = -spare // 2
    return wave[start:start + wanted]
