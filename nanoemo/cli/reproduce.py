"""`nanoemo reproduce PAPER`: run a paper's experiments again and write a page that compares the figures."""
from pathlib import Path

from nanoemo.cli.common import STOPPED, say, whole_number

SPEECH = {"series": "series-speech", "chater": "chater-audio"}         # what a paper did with voices, as a paper of its own


def add_arguments(parser):
    parser.add_argument("paper", metavar="PAPER", help="series, chater, chater-audio, alizadeh, marrugat or njoku")
    parser.add_argument("--speech", action="store_true", help="for papers with images and voices (series, chater): the "
                                                                "experiments with voices")
    parser.add_argument("--data", metavar="PATH", help="the paper's data set (default: faces or voices made "
                                                         "by formula, with --quick)")
    parser.add_argument("--quick", action="store_true", help="two epochs on 700 images or 35 clips: shows that all of it "
                                                               "runs")
    parser.add_argument("--only", metavar="TRIAL", action="append", help="one of the paper's trials; may be repeated "
                                                                          "(default: all)")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the paper's number")
    parser.add_argument("--seed", type=whole_number(0), metavar="N", help="seed of everything random (default 0)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default cpu)")
    parser.add_argument("--out", metavar="DIR", help="where the page and the runs go, and where what is done is kept "
                                                     "(default reproduction/PAPER, with --quick reproduction/PAPER-quick)")


def run(args):
    from nanoemo.data import DataError
    from nanoemo.reproduction import noun, paper, trial_settings, write_page
    from nanoemo.reproduction.results import done_before, keep_and_load, result_path, run_path
    from nanoemo.training import carry_out, catch_interrupt
    from nanoemo.training.progress import counted
    from nanoemo.training.run_data import load_divided

    name = SPEECH.get(args.paper) if args.speech else args.paper
    if name is None:
        raise ValueError(f"--speech goes with {' or '.join(SPEECH)}, not with {args.paper}")
    chosen = paper(name)
    if args.data is None and not args.quick:
        raise ValueError(f"reproducing {name} needs its data set, {chosen.data}: give --data PATH, or --quick to see "
                         f"it run on {noun(chosen.trials[0])} made by formula")
    folder = Path(args.out or f"reproduction/{name}{'-quick' if args.quick else ''}")
    _check_is_its_own(folder)
    plan = {}
    for trial in _chosen_trials(chosen, args.only):
        settings = trial_settings(trial, args.data, args.quick, epochs=args.epochs, seed=args.seed, device=args.device)
        plan.setdefault(str(settings), (trial, settings))       # what is made by formula comes divided, in one way only
    with catch_interrupt() as stop:
        try:
            for settings in {settings.split_by: settings for _, settings in plan.values()}.values():
                load_divided(settings)                          # not to learn hours later that the last trial cannot be
        except DataError as error:
            raise DataError(f"the trials of {name} are on {chosen.data}, and cannot be made with this --data: {error}") from None
        for trial in chosen.trials:
            keep_and_load(folder, trial)                        # nor that the page cannot be written
        done = [trial for trial, settings in plan.values() if done_before(folder, trial, settings)]
        for trial, settings in plan.values():
            say(f"\n{trial.name}: {settings.model}, {counted(settings.epochs, 'epoch')}")
            if trial in done:
                say(f"{result_path(folder, trial)}: done before; without this file it is trained anew")
            elif not carry_out(settings, run_path(folder, trial), stop, say):
                say("stopped, and all is saved; the same command goes on")
                return STOPPED
            page = write_page(folder, chosen, _command(args))
    say(f"\npage: {page}")
    return 0


def _check_is_its_own(folder):
    """Raise ValueError for a folder with something in it that no reproduction has written: a README.md would be lost."""
    from nanoemo.reproduction.page import WRITTEN_BY

    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, but the page needs a folder; give another --out")
    page, names = folder / "README.md", {file.name for file in folder.glob("[!.]*")}
    if page.exists():
        if WRITTEN_BY not in page.read_text(encoding="utf-8", errors="replace"):
            raise ValueError(f"{page} was not written by nanoemo reproduce, and would be lost; give another folder with --out")
    elif names and "runs" not in names:
        raise ValueError(f"{folder} is not empty, and holds no reproduction; give another folder with --out")


def _chosen_trials(paper, names):
    known = {trial.name: trial for trial in paper.trials}
    for name in names or ():
        if name not in known:
            raise ValueError(f"--only {name!r}: the trials are {', '.join(map(repr, known))}")
    return [known[name] for name in names or known]


def _command(args):
    """What was typed, without where things lie on this machine."""
    words = ["nanoemo reproduce", args.paper]
    if args.data:
        words.append("--data " + "+".join(Path(part).name for part in args.data.split("+")))     # sets joined by "+", or CK+48
    words += [f"--{name}" for name in ("speech", "quick") if getattr(args, name)]
    words += [f"--{name} {getattr(args, name)}" for name in ("epochs", "seed", "device") if getattr(args, name) is not None]
    return " ".join(words)
