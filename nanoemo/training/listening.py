"""How clips of voices come to a network: divided, copied with changes, made into features."""
from nanoemo import data, features

__all__ = ["load_features", "standardisation"]


def load_features(settings, changes):
    """The splits of the clips that `settings` name, as `nanoemo.data.FeatureSet`s.

    changes: copies of the training part, as `nanoemo.data.parse_changes` gives them
    """
    splits = data.load_clips(settings.data, settings.limit, settings.seed, settings.split_by, changes)
    return {name: features.extract(clips, settings.features, settings.seed) for name, clips in splits.items()}


def standardisation(settings, train):
    """The transform that brings features to the mean and spread they have in the training set."""
    return data.Standardise.fit(train.features, features.OF_CLIPS[settings.features].axes)
