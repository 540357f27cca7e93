"""`nanoemo evaluate RUN`: judge the best weights of a run, on its own data or on other data of the same
kind."""
from nanoemo.cli.common import SPLITS


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--data", metavar="PATH", help="the data set (default: the one it was trained on)")
    parser.add_argument("--limit", type=int, metavar="N", help="use at most N images or clips of each split")
    parser.add_argument("--split", choices=SPLITS, action="append", metavar="NAME",
                        help="train, validation or test; may be repeated (default validation and test)")
    parser.add_argument("--update-batch-norm", action="store_true",
                        help="measure batch norm's statistics anew on the training set, without dropout, before judging")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default: where the run did)")


def run(args):
    from nanoemo.files import read_json
    from nanoemo.training import Experiment, RunFolder
    from nanoemo.training.metrics import format_report

    folder = RunFolder.open(args.run)
    experiment = Experiment.of_run(folder, args.data, limit=args.limit, device=args.device)
    now = experiment.about_data
    same_data = now["fingerprint"] == folder.config()["data"]["fingerprint"]
    other = f"on-{now['name'].replace(' ', '-')}-{now['fingerprint'][:8]}"
    place = folder.path if same_data else folder.path / other
    if args.update_batch_norm:
        place /= "batch-norm-updated"
    splits = args.split or ("validation", "test")
    with folder:
        place.mkdir(parents=True, exist_ok=True)
        experiment.judge(folder, splits, place, update=args.update_batch_norm)
    for split in splits:
        print(f"\n{experiment.title}, {split} set")
        print(format_report(read_json(place / split / "classification_report.json")))
    print(f"\ntables and figures: {place}")
    return 0
