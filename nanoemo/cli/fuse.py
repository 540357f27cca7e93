"""`nanoemo fuse FACE_RUN VOICE_RUN`: a face and a voice judged together."""
from nanoemo.cli.train import say


def add_arguments(parser):
    parser.add_argument("face_run", metavar="FACE_RUN", help="the folder of a run that was trained on faces")
    parser.add_argument("voice_run", metavar="VOICE_RUN", help="the folder of a run that was trained on voices")
    parser.add_argument("--faces", metavar="PATH", help="the data set that faces are taken from (default: the run's own)")
    parser.add_argument("--voices", metavar="PATH", help="the data set that voices are taken from (default: the run's own)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the pairs that are made (default 0)")
    parser.add_argument("--out", metavar="DIR", help="a new folder for what is written (default runs/fusion-N)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default: where each run did)")


def run(args):
    from nanoemo import viz
    from nanoemo.files import write_json
    from nanoemo.training import RunFolder, fusion, joint, metrics

    if args.seed < 0:
        raise ValueError(f"--seed is {args.seed}; expected 0 or more")
    face, voice = fusion.load_senses(args.face_run, args.voice_run, args.faces, args.voices, args.device)
    classes = fusion.common_of(face, voice)
    answers, features = joint.senses(face, voice)
    validation, test = (fusion.pairs_of(answers, split, args.seed) for split in ("validation", "test"))
    weight, found = fusion.judge(validation, test)
    layer, found["joint"] = joint.judge(features, len(classes), args.seed)

    note = (f"the pairs are made: a face of {face.experiment.about_data['name']} and a voice of "
            f"{voice.experiment.about_data['name']} of the same class, drawn at random; no person is seen and heard at once")
    accuracy = {way: metrics.accuracy(answer.truth, answer.predicted) for way, answer in found.items()}
    recalls = {way: metrics.per_class_accuracy(metrics.confusion_matrix(answer.truth, answer.predicted, len(classes)))
               for way, answer in found.items()}
    folder = RunFolder.create(args.out, "fusion")
    write_json(folder.path / "fusion.json", {
        "face": {"run": face.path, "data": face.experiment.about_data},
        "voice": {"run": voice.path, "data": voice.experiment.about_data},
        "note": note, "seed": args.seed, "classes": list(classes),
        "pairs": {"train": layer.drawn, "validation": len(validation.truth), "test": len(test.truth)},
        "weight_of_face": weight, "joint": {"features": len(layer.weight), "epoch": layer.epoch},
        "test": {way: {"accuracy": accuracy[way], "loss": answer.loss} for way, answer in found.items()}})
    table = {way: [*recalls[way], accuracy[way]] for way in found}
    viz.save(viz.class_table(table, [*classes, "all"], f"{len(test.truth)} made test pairs, accuracy (%)"),
             folder.path / "accuracy.png")

    say(f"note: {note}")
    say(f"{len(classes)} classes in common: {', '.join(classes)}")
    say(f"pairs: {len(validation.truth)} validation, {len(test.truth)} test; weight of the face {weight:.2f}")
    say(f"joint: a layer over {len(layer.weight)} features, trained on {layer.drawn} training pairs drawn anew each epoch; "
        f"the validation pairs chose epoch {layer.epoch}")
    for way, answer in found.items():
        say(f"test pairs {100 * accuracy[way]:6.2f} %  loss {answer.loss:.4f}  {way}")
    say(f"table and figure: {folder.path}")
    return 0
