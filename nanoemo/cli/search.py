"""`nanoemo search MODEL`: cross-validate learning rate, regularisation, hidden units and other settings."""
from pathlib import Path

from nanoemo.cli.common import STOPPED, say
from nanoemo.cli.train import add_extras, add_settings, asked_settings, refuse_settings, train_command


def add_arguments(parser):
    from nanoemo.training.space import parse_values

    parser.add_argument("model", metavar="MODEL", nargs="?", help="a name that `nanoemo models` lists")
    searched = parser.add_argument_group(
        "what is searched", "VALUES is a list such as 1e-4,1e-3, or with --random a range: 1e-4:1e-2")
    for name, what in (("lr", "learning rates"), ("weight-decay", "strengths of the L2 regularisation"),
                       ("hidden", "hidden units, such as 128,256 or for two layers [256,512],[128,256]")):
        searched.add_argument(f"--{name}", type=parse_values, metavar="VALUES", help=what)
    searched.add_argument("--vary", action="append", default=[], metavar="NAME=VALUES",
                          help="any other setting or option of the model, such as dropout=0.25,0.5; may be repeated")
    searched.add_argument("--random", type=int, metavar="N", help="draw N combinations instead of trying the whole grid")
    searched.add_argument("--folds", type=int, default=5, metavar="K",
                          help="parts that are left out in turn (default 5); 1: hold-out, on the data's validation set")
    add_settings(parser)
    add_extras(parser)
    parser.add_argument("--jobs", type=int, metavar="N", help="processes; -1: one a core (default 1)")
    folders = parser.add_mutually_exclusive_group()
    folders.add_argument("--out", metavar="DIR", help="a new folder (default runs/search-MODEL-N)")
    folders.add_argument("--resume", metavar="DIR", help="go on with the search in this folder")


def run(args):
    from nanoemo.training import RunFolder
    from nanoemo.training.progress import counted
    from nanoemo.training.search import Search

    if args.jobs == 0:
        raise ValueError("--jobs is 0; expected a number of processes, or -1 for one a core")
    if args.resume:
        refuse_settings(args)
        search, folder = Search.resume(Path(args.resume)), RunFolder(args.resume)
    else:
        search = _new_search(args)
        folder = RunFolder.create(args.out, f"search-{search.settings.model}")
    with folder:
        if not args.resume:
            search.begin(folder)
        how = f"{search.folds} folds" if search.folds > 1 else "hold-out"
        say(f"{search.settings.model}: {counted(len(search.candidates), 'combination')}, {how}, "
            f"{counted(len(search.trials), 'trial')} of {counted(search.settings.epochs, 'epoch')}; folder: {folder.path}")
        try:
            rows = search.run(folder, args.jobs, say)
        except KeyboardInterrupt:
            say(f"stopped; finished trials are kept. To go on: {folder.to_resume('search')}")
            return STOPPED
    _show(search, rows)
    say(f"tables and figure: {folder.path}")
    return 0


def _new_search(args):
    from nanoemo.training.search import Search
    from nanoemo.training.space import parse_values

    space = {name: getattr(args, name) for name in ("lr", "weight_decay", "hidden") if getattr(args, name)}
    for text in args.vary:
        name, equals, values = text.partition("=")
        if not (name and values):
            raise ValueError(f"--vary {text}: expected NAME=VALUES, such as dropout=0.25,0.5")
        space[name.replace("-", "_")] = parse_values(values)
    # A trial is one training, so what a paper trains in stages is searched all at once, unless --stages asks to be refused.
    settings = asked_settings(args, lr=None, weight_decay=None, stages=bool(args.stages))
    return Search(settings, space, args.folds, args.random)


def _show(search, rows):
    for place, row in enumerate(rows[:10], 1):
        outcome = "diverged" if row["accuracy"] is None else f"{100 * row['accuracy']:.2f} ± {100 * row['spread']:.2f} %"
        say(f"{place:>3}. {outcome:>16}  {search.describe(row['candidate'])}")
    say(f"to train it: {train_command(search.settings_of(rows[0]['candidate']))}")
