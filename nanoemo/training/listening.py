"""How clips of voices come to a network: divided, copied with changes, made into features."""
from dataclasses import replace

import numpy as np

from nanoemo import data, features

__all__ = ["load_clips", "load_features", "load_features_for_folds", "sizes", "standardisation"]


def load_features(settings, changes):
    """The splits of the clips that `settings` name, as `nanoemo.data.FeatureSet`s.

    changes: copies of the training part, as `nanoemo.data.parse_changes` gives them
    """
    splits = load_clips(settings, changes)
    return {name: features.extract(clips, settings.features, settings.seed) for name, clips in splits.items()}


def sizes(settings, changes):
    """How many clips `load_features` would give, by split, without making their features, which takes long."""
    return {name: len(clips) for name, clips in load_clips(settings, changes).items()}


def load_clips(settings, changes):
    """The splits of the clips that `settings` name, as `nanoemo.data.ClipSet`s, `changes` as for `load_features`."""
    return data.load_clips(settings.data, settings.limit, settings.seed, settings.split_by, changes)


def load_features_for_folds(settings, changes):
    """Training and validation set, both with copies, and in both of them the clips themselves first: for cross-validation,
    where each clip is trained on, with its copies, in all folds but one, and measured on, without them, in that one."""
    splits, made = load_clips(settings, []), {}
    for name in ("train", "validation"):
        clips = splits[name]
        own_names = np.array([f"{name} {number}" for number in range(len(clips))])      # for the two sets to be put together
        clips = replace(clips, groups={"sequence": own_names, **clips.groups})
        made[name] = features.extract(data.with_copies(clips, changes), settings.features, settings.seed)
    return made


def standardisation(settings, train):
    """The transform that brings features to the mean and spread they have in the training set."""
    return data.Standardise.fit(train.features, features.OF_CLIPS[settings.features].axes)
