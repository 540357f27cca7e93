"""`nanoemo leave-one-out MODEL`: train once for every person of a data set, and test on that one."""
import numpy as np

from nanoemo.cli.common import STOPPED, say
from nanoemo.cli.train import add_extras, add_rates, add_settings, asked_settings, refuse_settings


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a name that `nanoemo models` lists")
    add_settings(parser, without_data="none; what is made by formula has no persons")
    add_rates(parser)
    add_extras(parser)
    folders = parser.add_mutually_exclusive_group()
    folders.add_argument("--out", metavar="DIR", help="a new folder (default runs/leave-one-out-MODEL-N)")
    folders.add_argument("--resume", metavar="DIR", help="go on with what was begun in this folder, with its settings")


def run(args):
    from nanoemo.training import LeaveOneOut, RunFolder, catch_interrupt
    from nanoemo.training.progress import counted

    if args.resume:
        refuse_settings(args)
        folder = RunFolder(args.resume)
        people = LeaveOneOut.resume(folder)
    else:
        settings = asked_settings(args)
        if settings.data is None:
            raise ValueError("leave-one-out needs a data set that says who each example is of, such as CK+, JAFFE or SAVEE; give "
                             "--data PATH")
        people = LeaveOneOut(settings)
        folder = RunFolder.create(args.out, f"leave-one-out-{people.settings.model}")
    settings = people.settings
    with folder, catch_interrupt() as stop:
        say(f"{settings.model}: {len(people.subjects)} people, a run of "
            f"{counted(settings.epochs, 'epoch')} for each; folder: {folder.path}")
        rows = people.run(folder, stop, say)
    if rows is None:
        say(f"stopped, and all is saved; to go on: {folder.to_resume('leave-one-out')}")
        return STOPPED
    _show(rows)
    say(f"tables and figures: {folder.path}")
    return 0


def _show(rows):
    shares = 100 * np.array([row["accuracy"] for row in rows])
    examples = np.array([row["examples"] for row in rows])
    width = max(len(row["subject"]) for row in rows)
    say("")
    for row, share in zip(rows, shares):
        say(f"{row['subject']:>{width}}  {share:6.2f} %  of {row['examples']}")
    say(f"each person a stranger to the network: {shares.mean():.2f} ± {shares.std():.2f} % (mean and spread of "
        f"{len(rows)}); {shares @ examples / examples.sum():.2f} % of all {examples.sum()}")
