"""Features made of images by formula, not learnt. They deal in NumPy arrays and know nothing of tensors."""
from nanoemo.features.hog import hog_features

__all__ = ["BY_NAME", "hog_features"]

BY_NAME = {"hog": hog_features}       # what a model's recipe may ask for
