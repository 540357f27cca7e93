"""`nanoemo evaluate RUN`: judge the best weights of a run, on its own data or on other data of the same
kind."""
from dataclasses import replace
from pathlib import Path

SPLITS = ("train", "validation", "test")


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--data", metavar="PATH", help="the data set (default: the one it was trained on)")
    parser.add_argument("--limit", type=int, metavar="N", help="use at most N images of each split")
    parser.add_argument("--split", choices=SPLITS, action="append", metavar="NAME",
                        help="train, validation or test; may be repeated (default validation and test)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute")


def run(args):
    from nanoemo.files import read_json
    from nanoemo.training import Experiment, RunFolder, Settings
    from nanoemo.training.metrics import format_report

    folder = RunFolder.open(args.run)
    if not folder.best_path.exists():
        raise ValueError(f"{folder.path}: no epoch of it is finished, so there are no weights to judge; "
                         f"go on with it: nanoemo train --resume {folder.path}")
    config = folder.config()
    settings = Settings.from_config(config, folder.config_path)
    if args.data is not None:
        # How the run's own data was divided, say subject=KA, means nothing to other data.
        same = settings.data is not None and Path(args.data).resolve() == Path(settings.data).resolve()
        settings = replace(settings, data=args.data, split_by=settings.split_by if same else "", limit=None)
    changed = {"limit": args.limit, "device": args.device}
    settings = replace(settings, **{name: value for name, value in changed.items() if value is not None})
    experiment = Experiment(settings)
    now = experiment.about_data
    for what in ("classes", "image_shape"):
        if now[what] != config["data"][what]:
            raise ValueError(f"{folder.path} was trained on {what} {config['data'][what]}, but "
                             f"{settings.data or 'drawn faces'} has {now[what]}")
    same_data = now["fingerprint"] == config["data"]["fingerprint"]
    other = f"on-{now['name'].replace(' ', '-')}-{now['fingerprint'][:8]}"
    place = folder.path if same_data else folder.path / other
    if not same_data:
        experiment.title = f"{settings.model}, trained on {config['data']['name']}, on {now['name']}"
    splits = args.split or ("validation", "test")
    with folder:
        place.mkdir(exist_ok=True)
        experiment.judge(folder, splits, place)
    for split in splits:
        print(f"\n{experiment.title}, {split} set")
        print(format_report(read_json(place / split / "classification_report.json")))
    print(f"\ntables and figures: {place}")
    return 0
