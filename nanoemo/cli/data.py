"""`nanoemo data inspect PATH`: what a data set holds, and a sheet of examples to look at."""
from pathlib import Path


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    inspect = actions.add_parser("inspect", help="count classes, find duplicates, draw a contact sheet")
    inspect.add_argument("path", metavar="PATH", nargs="?", help="a data set (default: the faces drawn by formula)")
    inspect.add_argument("--split-by", default="", metavar="HOW", help="as for `nanoemo train`")
    inspect.add_argument("--seed", type=int, default=0, metavar="N", help="of the division and the examples (default 0)")
    inspect.add_argument("--out", metavar="DIR", help="folder for contact_sheet.png, which shows faces of the data set, "
                                                      "and inspection.json (default runs/inspect-NAME)")


def run(args):
    from nanoemo import data
    from nanoemo.data import inspection

    splits = data.load(args.path, seed=args.seed, split_by=args.split_by)
    facts = inspection.inspect(splits)
    print(inspection.describe(facts))
    _write(Path(args.out or f"runs/inspect-{facts['name'].replace(' ', '-')}"), splits, facts, args.seed)
    return 0


def _write(folder, splits, facts, seed):
    import numpy as np

    from nanoemo import viz
    from nanoemo.files import write_file, write_json

    folder.mkdir(parents=True, exist_ok=True)
    images, labels = (np.concatenate([getattr(part, kind) for part in splits.values()]) for kind in ("images", "labels"))
    sheet = viz.contact_sheet(images, labels, list(facts["classes"]), title=facts["name"], seed=seed)
    write_file(folder / "contact_sheet.png", viz.to_png(sheet))
    write_json(folder / "inspection.json", facts)
    print(f"\nwritten to {folder}: contact_sheet.png, inspection.json")
