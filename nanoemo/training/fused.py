"""A face network and a voice network judged together in every way there is, and what is written about it.

The ways: `face` and `voice` alone, `weighted` and `learned` (`nanoemo.training.fusion`), `joint` (`nanoemo.training.joint`);
all are judged on the same test pairs. What was learned is kept (`nanoemo.training.ways`), to be applied to a photograph and a
recording (`nanoemo.recognition.together`).
"""
from typing import NamedTuple

from nanoemo import viz
from nanoemo.files import write_json
from nanoemo.training import fusion, joint, metrics, ways
from nanoemo.training.ensemble import Member, predictions
from nanoemo.training.versions import versions

__all__ = ["Fused", "judge", "write"]


class Fused(NamedTuple):
    """What came out.

    pairs: {split: how many were made}; ways: what was learned; found: {way: `Predictions` for the test pairs}
    """
    face: Member
    voice: Member
    seed: int
    pairs: dict
    ways: ways.Ways
    found: dict

    @property
    def note(self):
        """What the pairs are, in words."""
        faces, voices = (member.experiment.about_data["name"] for member in (self.face, self.voice))
        return (f"the pairs are made: a face of {faces} and a voice of {voices} of the same class, drawn at random; no person is "
                "seen and heard at once")

    @property
    def accuracies(self):
        """{way: share of the test pairs that it is right about}."""
        return {way: metrics.accuracy(answer.truth, answer.predicted) for way, answer in self.found.items()}


def judge(face, voice, seed=0):
    """Judge two `Member`s together, one that was trained on faces and one on voices; returns `Fused`.

    seed: of the pairs that are made
    Raises ValueError where they have fewer than two classes in common, no pair can be made, or one has no dense last layer.
    """
    classes = fusion.common_of(face, voice)
    answers, features = joint.senses(face, voice)
    validation, test = (fusion.pairs_of(answers, split, seed) for split in ("validation", "test"))
    learned = ways.Ways(classes, fusion.learn(validation), joint.layer_of(features, len(classes), seed))
    rows = learned(test, fusion.pairs_of(features, "test", seed))
    pairs = {"train": learned.layer.drawn, "validation": len(validation.truth), "test": len(test.truth)}
    return Fused(face, voice, seed, pairs, learned, {way: predictions(answer, test.truth) for way, answer in rows.items()})


def write(fused, folder):
    """Write what was learned, fusion.json, and accuracy.png, a table of the accuracy of each class, into `folder`
    (a `RunFolder`)."""
    accuracies, learned = fused.accuracies, fused.ways
    classes, layer = learned.classes, learned.layer
    kept = ways.keep(learned, folder, fused.face.path, fused.voice.path)
    about = {name: {**kept.pop(name), "data": member.experiment.about_data}
             for name, member in (("face", fused.face), ("voice", fused.voice))}
    table = {way: [*metrics.per_class_accuracy(metrics.confusion_matrix(answer.truth, answer.predicted, len(classes))),
                   accuracies[way]] for way, answer in fused.found.items()}
    viz.save(viz.class_table(table, [*classes, "all"], f"{fused.pairs['test']} made test pairs, accuracy (%)"),
             folder.path / "accuracy.png")
    write_json(folder.path / "fusion.json", {           # last: it is what makes the folder that of a fusion
        **about, **kept, "note": fused.note, "seed": fused.seed, "classes": list(classes), "pairs": fused.pairs,
        "weight_of_face": learned.late.weight, "joint": {"features": len(layer.weight), "epoch": layer.epoch},
        "test": {way: {"accuracy": accuracies[way], "loss": answer.loss} for way, answer in fused.found.items()},
        "versions": versions()})
