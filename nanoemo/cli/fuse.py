"""`nanoemo fuse FACE_RUN VOICE_RUN`: a face and a voice judged together."""
import shlex

from nanoemo.cli.common import say, whole_number


def add_arguments(parser):
    parser.add_argument("face_run", metavar="FACE_RUN", help="the folder of a run that was trained on faces")
    parser.add_argument("voice_run", metavar="VOICE_RUN", help="the folder of a run that was trained on voices")
    parser.add_argument("--faces", metavar="PATH", help="the data set that faces are taken from (default: the run's own)")
    parser.add_argument("--voices", metavar="PATH", help="the data set that voices are taken from (default: the run's own)")
    parser.add_argument("--seed", type=whole_number(0), default=0, metavar="N",
                        help="seed of the pairs that are made (default 0)")
    parser.add_argument("--out", metavar="DIR", help="a new folder for what is written (default runs/fusion-N)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default: where each run did)")


def run(args):
    from nanoemo.training import RunFolder, fused, fusion

    face, voice = fusion.load_senses(args.face_run, args.voice_run, args.faces, args.voices, args.device)
    result = fused.judge(face, voice, args.seed)
    with RunFolder.create(args.out, "fusion") as folder:
        fused.write(result, folder)
    classes, late, layer = result.ways
    say(f"note: {result.note}")
    say(f"{len(classes)} classes in common: {', '.join(classes)}")
    say(f"pairs: {result.pairs['validation']} validation, {result.pairs['test']} test; weight of the face {late.weight:.2f}")
    say(f"joint: a layer over {len(layer.weight)} features, trained on {layer.drawn} training pairs drawn anew "
        f"each epoch; the validation pairs chose epoch {layer.epoch}")
    for way, accuracy in result.accuracies.items():
        say(f"test pairs {100 * accuracy:6.2f} %  loss {result.found[way].loss:.4f}  {way}")
    say(f"table, figure and what was learned: {folder.path}")
    say(f"to apply it: {shlex.join(['nanoemo', 'predict', str(folder.path), 'photo.jpg', 'clip.wav'])}")
    return 0
