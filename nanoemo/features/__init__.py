"""Features made of images and voices by formula, not learnt. They deal in NumPy arrays and know nothing of tensors."""
from nanoemo.features.extraction import OF_CLIPS, extract, of_wave, require_librosa
from nanoemo.features.hog import hog_features
from nanoemo.features.speech import log_mel, mfcc_frames, vector162

__all__ = ["BY_NAME", "OF_CLIPS", "extract", "hog_features", "log_mel", "mfcc_frames", "of_wave", "require_librosa",
           "vector162"]

BY_NAME = {"hog": hog_features}       # of images: what a model's recipe may ask for beside them
