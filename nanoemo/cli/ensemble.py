"""`nanoemo ensemble RUN RUN ...`: judge several runs together, by the mean of their probabilities or by stacking."""
from nanoemo.cli.common import say


def add_arguments(parser):
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders of two or more runs on the same data")
    parser.add_argument("--stacking", action="store_true",
                        help="learn on the validation set how to weigh the runs, instead of taking their mean")
    parser.add_argument("--out", metavar="DIR", help="a new folder for tables and figures (default runs/ensemble-N)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default: where each run did)")


def run(args):
    from nanoemo.training import RunFolder, ensemble

    members = ensemble.load_members(args.runs, args.device)
    judged = ensemble.judge(members, args.stacking)
    with RunFolder.create(args.out, "ensemble") as folder:
        ensemble.write(judged, members, folder)
    for split, network, accuracy, loss in judged.table:
        say(f"{split + ' set':<15} {100 * accuracy:6.2f} %  loss {loss:.4f}  {network}")
    say(f"tables and figures: {folder.path}")
    return 0
