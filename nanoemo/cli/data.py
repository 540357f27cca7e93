"""`nanoemo data inspect PATH`: what a data set holds, and a sheet of examples, or what a voice looks like."""
from pathlib import Path

from nanoemo.cli.common import whole_number


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    inspect = actions.add_parser("inspect", help="count classes, find duplicates, draw a contact sheet")
    inspect.add_argument("path", metavar="PATH", nargs="?", help="a data set (default: the faces drawn by formula)")
    inspect.add_argument("--split-by", default="", metavar="HOW", help="as for `nanoemo train`")
    inspect.add_argument("--seed", type=whole_number(0), default=0, metavar="N",
                         help="seed of the division and the examples (default 0)")
    inspect.add_argument("--out", metavar="DIR", help="folder for contact_sheet.png, which shows faces of the data set, "
                                                      "or class_counts.png (of sets joined by + also class_counts_by_set.png) "
                                                      "and voice.png for a data set of speech, and inspection.json "
                                                      "(default runs/inspect-NAME)")


def run(args):
    import warnings

    from nanoemo import data
    from nanoemo.data import clips, inspection
    from nanoemo.data.source import Undividable
    from nanoemo.files import write_file, write_json

    listens = args.path and clips.holds_recordings(args.path)
    load = data.load_clips if listens else data.load
    try:
        splits = load(args.path, seed=args.seed, split_by=args.split_by)
    except Undividable as error:
        if args.split_by:
            raise
        print(f"{error}, as it is here\n")
        splits = load(args.path, seed=args.seed, split_by="random")
    with warnings.catch_warnings(action="ignore"):      # they have been given already
        sets = clips.read_sets(args.path) if listens else None
    facts = inspection.inspect(splits, sets)
    print(inspection.describe(facts))
    figures = _clip_figures(splits, facts) if listens else _image_figures(splits, facts, args.seed)
    folder = Path(args.out or f"runs/inspect-{facts['name'].replace(' ', '-')}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in figures.items():
        write_file(folder / name, png)
    write_json(folder / "inspection.json", facts)
    print(f"\nwritten to {folder}: {', '.join(figures)}, inspection.json")
    return 0


def _image_figures(splits, facts, seed):
    import numpy as np

    from nanoemo import viz

    images, labels = (np.concatenate([getattr(part, kind) for part in splits.values()]) for kind in ("images", "labels"))
    sheet = viz.contact_sheet(images, labels, list(facts["classes"]), title=facts["name"], seed=seed)
    return {"contact_sheet.png": viz.to_png(sheet)}


def _clip_figures(splits, facts):
    from nanoemo import viz
    from nanoemo.data.clipset import RATE
    from nanoemo.features import require_librosa, speech

    require_librosa()

    def bars(kind, of):
        """Figure of the counts of facts[kind]; the bars one on the other are its columns."""
        table = facts[kind]
        columns = next(iter(table.values()))
        sets = {column: {name: row[column] for name, row in table.items()} for column in columns}
        return viz.to_png(viz.class_counts(sets, title=f"{facts['name']}: clips {of}"))

    counts = {"class_counts.png": bars("classes", "by split")}
    if facts["sets"]:
        counts["class_counts_by_set.png"] = bars("sets", "by data set")
    train = splits["train"]
    wave = train.wave(0)
    power = speech.power_spectrum(wave)
    voice = viz.voice(wave, RATE, power, speech.chroma(power), speech.mfcc(speech.mel_spectrogram(power), 20),
                      title=f"{facts['name']}: {train.class_names[train.labels[0]]}")
    return {**counts, "voice.png": viz.to_png(voice)}
