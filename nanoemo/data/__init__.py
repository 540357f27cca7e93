"""Data sets, loaders and transforms. All of it deals in NumPy arrays and knows nothing of tensors."""
from nanoemo.data.catalogue import load
from nanoemo.data.division import divide, leave_one_out, unseen
from nanoemo.data.faces import drawn_faces
from nanoemo.data.imageset import ImageSet
from nanoemo.data.loader import DataLoader
from nanoemo.data.source import DataError
from nanoemo.data.transforms import (Compose, RandomHorizontalFlip, RandomRotation, RandomShift, RandomZoom,
                                     Scale, SubtractMean, WithFeatures, parse_augment)

__all__ = ["Compose", "DataError", "DataLoader", "ImageSet", "RandomHorizontalFlip", "RandomRotation",
           "RandomShift", "RandomZoom", "Scale", "SubtractMean", "WithFeatures", "divide", "drawn_faces",
           "leave_one_out", "load", "parse_augment", "unseen"]
