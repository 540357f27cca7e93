"""Data sets, loaders and transforms. All of it deals in NumPy arrays and knows nothing of tensors."""
from nanoemo.data.augment import augmented_samples, parse_augment
from nanoemo.data.catalogue import load, parse_image_shape
from nanoemo.data.changes import parse_changes, with_copies
from nanoemo.data.classnames import match, match_splits
from nanoemo.data.clips import COPIES_FIRST, combine, load_clips, read_clips
from nanoemo.data.clipset import ClipSet
from nanoemo.data.detection import Face, crop_face, find_faces
from nanoemo.data.division import divide, leave_one_out, unseen
from nanoemo.data.faces import drawn_faces
from nanoemo.data.featureset import FeatureSet, Standardise
from nanoemo.data.folds import k_folds
from nanoemo.data.geometry import RandomHorizontalFlip, RandomRotation, RandomShift, RandomVerticalFlip, RandomZoom
from nanoemo.data.imageset import ImageSet
from nanoemo.data.loader import DataLoader
from nanoemo.data.mixing import CutMix, MixOneOf, MixUp, one_hot
from nanoemo.data.photo import read_photo
from nanoemo.data.pixels import CutOut, RandomBrightness, RandomContrast, RandomNoise
from nanoemo.data.source import DataError
from nanoemo.data.transforms import Compose, Scale, SubtractMean, WithFeatures
from nanoemo.data.voices import drawn_voices

__all__ = ["ClipSet", "Compose", "CutMix", "CutOut", "DataError", "DataLoader", "Face", "FeatureSet", "ImageSet", "MixOneOf",
           "MixUp", "RandomBrightness", "RandomContrast", "RandomHorizontalFlip", "RandomNoise", "RandomRotation", "RandomShift",
           "RandomVerticalFlip", "RandomZoom", "Scale", "Standardise", "SubtractMean", "WithFeatures", "augmented_samples",
           "combine", "crop_face", "divide", "drawn_faces", "drawn_voices", "find_faces", "k_folds", "leave_one_out", "load",
           "load_clips", "match", "match_splits", "one_hot", "parse_augment", "parse_changes", "parse_image_shape", "read_clips",
           "read_photo", "unseen", "with_copies", "COPIES_FIRST"]
