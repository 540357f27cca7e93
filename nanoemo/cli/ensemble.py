"""`nanoemo ensemble RUN RUN ...`: judge several runs together, by the mean of their probabilities or by stacking."""
from nanoemo.cli.train import say


def add_arguments(parser):
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders of two or more runs on the same data")
    parser.add_argument("--stacking", action="store_true",
                        help="learn on the validation set how to weigh the runs, instead of taking their mean")
    parser.add_argument("--out", metavar="DIR", help="a new folder for tables and figures (default runs/ensemble-N)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default: where each run did)")


def run(args):
    import numpy as np

    from nanoemo.files import write_csv, write_json
    from nanoemo.training import RunFolder, ensemble
    from nanoemo.training.evaluation import write_evaluation

    members = ensemble.load_members(args.runs, args.device)
    found = {split: [ensemble.probabilities(member, split) for member in members] for split in ("validation", "test")}
    truth = {split: pairs[0][1] for split, pairs in found.items()}
    told = {split: np.stack([probabilities for probabilities, _ in pairs]) for split, pairs in found.items()}
    method = "stacking" if args.stacking else "averaging"
    combine = ensemble.stack(told["validation"], truth["validation"]) if args.stacking else ensemble.average
    # The validation set has taught the stacking, so it cannot judge it.
    splits = ("test",) if args.stacking else ("validation", "test")

    folder = RunFolder.create(args.out, "ensemble")
    experiment = members[0].experiment
    rows = []
    with folder:
        for split in splits:
            for member, probabilities in zip(members, told[split]):
                rows.append([split, member.path, *_figures(ensemble.predictions(probabilities, truth[split]))])
            together = ensemble.predictions(combine(told[split]), truth[split])
            rows.append([split, method, *_figures(together)])
            title = f"{method} of {len(members)} networks on {experiment.about_data['name']}, {split} set"
            write_evaluation(folder.path / split, together, experiment.classes, title,
                             {"members": [member.path for member in members], "method": method})
        write_csv(folder.path / "ensemble.csv", ["split", "network", "accuracy", "loss"], rows)
        write_json(folder.path / "ensemble.json", {"method": method, "members": [member.path for member in members],
                                                   "data": experiment.about_data})
    for split, network, accuracy, loss in rows:
        say(f"{split + ' set':<15} {100 * accuracy:6.2f} %  loss {loss:.4f}  {network}")
    say(f"tables and figures: {folder.path}")
    return 0


def _figures(predictions):
    return float((predictions.truth == predictions.predicted).mean()), predictions.loss
