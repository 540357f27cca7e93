"""A face network and a voice network judged together in every way there is, and what is written about it.

The ways: `face` and `voice` alone, `weighted` and `learned` (`nanoemo.training.fusion`), `joint` (`nanoemo.training.joint`);
all are judged on the same test pairs.
"""
from typing import NamedTuple

from nanoemo import viz
from nanoemo.files import write_json
from nanoemo.training import fusion, joint, metrics
from nanoemo.training.ensemble import Member

__all__ = ["Fused", "judge", "write"]


class Fused(NamedTuple):
    """What came out.

    classes: those that both know; pairs: {split: how many were made}; weight: of the face in `weighted`; layer: of `joint`
    found: {way: `Predictions` for the test pairs}
    """
    face: Member
    voice: Member
    seed: int
    classes: tuple
    pairs: dict
    weight: float
    layer: joint.Joint
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
    weight, found = fusion.judge(validation, test)
    layer, found["joint"] = joint.judge(features, len(classes), seed)
    pairs = {"train": layer.drawn, "validation": len(validation.truth), "test": len(test.truth)}
    return Fused(face, voice, seed, classes, pairs, weight, layer, found)


def write(fused, folder):
    """Write fusion.json, and accuracy.png, a table of the accuracy of each class, into `folder` (a `RunFolder`)."""
    accuracies, classes = fused.accuracies, fused.classes
    about = {name: {"run": member.path, "data": member.experiment.about_data}
             for name, member in (("face", fused.face), ("voice", fused.voice))}
    write_json(folder.path / "fusion.json", {
        **about, "note": fused.note, "seed": fused.seed, "classes": list(classes), "pairs": fused.pairs,
        "weight_of_face": fused.weight, "joint": {"features": len(fused.layer.weight), "epoch": fused.layer.epoch},
        "test": {way: {"accuracy": accuracies[way], "loss": answer.loss} for way, answer in fused.found.items()}})
    table = {way: [*metrics.per_class_accuracy(metrics.confusion_matrix(answer.truth, answer.predicted, len(classes))),
                   accuracies[way]] for way, answer in fused.found.items()}
    viz.save(viz.class_table(table, [*classes, "all"], f"{fused.pairs['test']} made test pairs, accuracy (%)"),
             folder.path / "accuracy.png")
