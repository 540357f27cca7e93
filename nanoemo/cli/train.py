"""`nanoemo train MODEL`: train, judge and report, in a folder of its own; or go on with a run that was
broken off."""
import argparse
import ast
import shlex
from dataclasses import asdict, replace

from nanoemo.cli.common import STOPPED, say, whole_number

EXTRAS = ("weight_decay", "class_weights", "label_smoothing", "clip_norm", "schedule", "update_batch_norm", "patience",
          "start_from", "freeze")


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a name that `nanoemo models` lists")
    add_settings(parser)
    add_rates(parser)
    add_extras(parser)
    parser.add_argument("--snapshots", action="store_true",
                        help="keep the weights after 0, 1, 2, 4, 8, ... epochs, for `nanoemo show activations`")
    folders = parser.add_mutually_exclusive_group()
    folders.add_argument("--out", metavar="DIR", help="a new folder for the run (default runs/MODEL-N)")
    folders.add_argument("--resume", metavar="DIR", help="go on with the run in this folder and its settings")
    parser.add_argument("--save-every", type=_seconds, default=60.0, metavar="SECONDS",
                        help="save within an epoch this often (default 60)")


def add_settings(parser, without_data="faces or voices made by formula"):
    """Data, device and what a paper's recipe says; without_data: what is taken where no --data is given."""
    parser.add_argument("--data", metavar="PATH", help="FER2013, CK+, JAFFE, or a folder for each class with pictures: "
                                                       "a CSV file, a folder or a zip; for a model that listens EMO-DB, "
                                                       "SAVEE, CREMA-D, RAVDESS or a folder for each class, several "
                                                       f"joined by + (default: {without_data})")
    group = parser.add_argument_group("settings (by default those of the model's paper)")
    group.add_argument("--epochs", type=int, metavar="N", help="times through the training set")
    group.add_argument("--batch-size", type=int, metavar="N", help="images or clips per step")
    group.add_argument("--optimizer", metavar="NAME", help="sgd, momentum, nesterov, rmsprop, adam or adamw")
    group.add_argument("--subtract-mean", action=argparse.BooleanOptionalAction, default=None,
                       help="take the mean training image from every image (default: as in the paper)")
    group.add_argument("--features", metavar="NAME", help="what a model reads of clips of voices: vector162, mfcc or log_mel")
    group.add_argument("--augment", metavar="LIST", help="random changes to the training images, any of flip, vflip, "
                                                         "rotate=10, zoom=0.1, shift=0.1, brightness=0.2, contrast=0.2, "
                                                         "noise=5, cutout=12, mixup=0.2, cutmix=1, joined by commas; or "
                                                         "copies of the training clips, such as noise,stretch+pitch; "
                                                         "none for none")
    group.add_argument("--split-by", metavar="HOW", help="divide a data set that comes undivided: random, sequence, "
                                                          "subject (default where it is known), subject=KA to test "
                                                          "on that one, or, a mistake made on purpose, copies: at random "
                                                          "after clips were copied")
    group.add_argument("--image-shape", metavar="SHAPE", help="height x width that your own pictures are resized to, as 64x64, "
                                                              "or 64x64x3 in colour (default: as in the paper, 48x48 gray)")
    group.add_argument("--limit", type=int, metavar="N", help="use at most N images or clips of each split")
    group.add_argument("--seed", type=whole_number(0), metavar="N", help="seed of everything random (default 0)")
    group.add_argument("--option", type=_option, action="append", metavar="NAME=VALUE",
                       help="an option of the model's own, such as cnn=cnn1 (docs: its file in nanoemo/models); may be repeated")
    group.add_argument("--stages", action=argparse.BooleanOptionalAction, default=None,
                       help="train part by part, --epochs each, or all at once (default: as in the paper)")
    group.add_argument("--fine-tuning", type=float, metavar="X",
                       help="share of the learning rate that fine-tuning stages use (default 0.1)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default cpu)")


def add_rates(parser):
    """Where they are one number each."""
    rates = parser.add_argument_group("learning rate and regularisation (by default the paper's)")
    rates.add_argument("--lr", type=float, metavar="X", help="learning rate")
    rates.add_argument("--weight-decay", type=float, metavar="X", help="L2 regularisation")


def add_extras(parser):
    """What the papers' recipes do without."""
    group = parser.add_argument_group("extras (docs/extras.md; by default none)")
    group.add_argument("--class-weights", metavar="W", help="balanced, or by name: disgust=4,happy=0.5")
    group.add_argument("--label-smoothing", type=float, metavar="X", help="share of each label dealt out to all classes")
    group.add_argument("--clip-norm", type=float, metavar="X", help="upper limit of the gradients' joint length")
    group.add_argument("--schedule", metavar="S", help="of the learning rate: cosine, step=10, exponential=0.95, plateau=5, "
                                                       "warmup=5 or warmup=5,cosine")
    group.add_argument("--update-batch-norm", action="store_true", default=None,
                       help="measure batch norm's statistics anew after each epoch, without dropout")
    group.add_argument("--patience", type=int, metavar="N", help="end after N epochs without a better one")
    group.add_argument("--from", dest="start_from", metavar="RUN", help="start from the best weights of another run")
    group.add_argument("--freeze", metavar="LAYERS", help="layers that do not learn: names or kinds of the summary's table, "
                                                          "such as 0,1 or Conv2d or 'extractor*'")


def _option(text):
    """("cnn", "cnn1") of "cnn=cnn1"; what looks like a number, True, False, None or a tuple is one."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as cnn=cnn1, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):       # a word
        return name, value


def _seconds(text):
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, 0 or more, got {text!r}")
    return seconds


def run(args):
    from nanoemo.training import catch_interrupt, progress

    experiment, folder = _resumed(args) if args.resume else _begun(args)
    with folder, catch_interrupt() as stop:
        if args.resume:
            say(f"resuming {folder.path}: {experiment.resume(folder)}")
        if args.snapshots:
            folder.snapshots_path.mkdir(exist_ok=True)      # where it is, they are kept, in a resumed run too: so before all else
        experiment.begin(folder)
        try:
            done = experiment.run(folder, progress(), stop, args.save_every, say)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"at once; to go on from what was saved last: {folder.to_resume()}") from None
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}; what was saved before is in order. To go on: "
                                       f"{folder.to_resume()}", error.filename) from error
    if not done:
        say(f"stopped, and all is saved; to go on: {folder.to_resume()}")
        return STOPPED
    say(f"report: {folder.report_path}")
    return 0


def _begun(args):
    """A new run: its experiment, and its folder, which is made last, when nothing else can be wrong."""
    from nanoemo.training import RunFolder, experiment_for

    settings = asked_settings(args)
    _check_snapshots(args, settings)
    experiment = experiment_for(settings)
    experiment.check()
    folder = RunFolder.create(args.out, settings.model)
    _introduce(experiment, folder, args)
    return experiment, folder


def _resumed(args):
    """The experiment and folder of an earlier run, made anew from its config.json."""
    from nanoemo.training import RunFolder, Settings, experiment_for
    from nanoemo.training.run_data import moved_data_explained

    folder = RunFolder.open(args.resume)
    settings = Settings.from_config(folder.config(), folder.config_path)
    fixed = {"model": args.model, **wanted_settings(args)}
    for name in ("epochs", "device"):
        fixed.pop(name)
    for name, value in fixed.items():
        if value is not None and value != getattr(settings, name):
            raise ValueError(f"{folder.path} was begun with {name} {getattr(settings, name)!r}, and --resume "
                             f"cannot change it to {value!r}; leave it out, or begin a new run")
    changed = {"epochs": args.epochs, "device": args.device, "data": args.data}
    settings = replace(settings, **{name: value for name, value in changed.items() if value is not None})
    _check_snapshots(args, settings)
    with moved_data_explained(folder, args.data):
        return experiment_for(settings), folder


def _check_snapshots(args, settings):
    if args.snapshots and settings.stages:
        raise ValueError("--snapshots: none are kept of a training in stages, each of which has another network; leave it out, "
                         "or train all at once with --no-stages")


def asked_settings(args, **instead):
    """The `Settings` that the command line asks for, with some `instead` of its own. ValueError where it names no model."""
    from nanoemo.training import Settings

    if args.model is None:
        raise ValueError("which model? Give its name (`nanoemo models` lists them), or --resume DIR")
    return Settings.from_recipe(args.model, args.data, **{**wanted_settings(args), **instead})


def wanted_settings(args):
    """The settings given on the command line, None for those that were not."""
    wanted = {name: getattr(args, name) for name in
              ("epochs", "batch_size", "lr", "optimizer", "subtract_mean", "features", "augment", "split_by", "image_shape",
               "limit", "seed", "stages", "fine_tuning", "device", *EXTRAS)}
    wanted["options"] = dict(args.option) if args.option else None
    if wanted["augment"] == "none":
        wanted["augment"] = ""
    return wanted


def refuse_settings(args):
    """ValueError where a model or settings are given beside --resume, which has its own."""
    wanted = {"model": args.model, "data": args.data, **wanted_settings(args)}
    given = [name.replace("_", " ") for name, value in wanted.items() if value is not None]
    if given:
        raise ValueError(f"--resume {args.resume} goes on with the settings that it was begun with; leave {', '.join(given)} out")


def train_command(settings):
    """The command that trains with `settings`: every setting in it that the paper's recipe does not give.

    >>> from nanoemo.training import Settings
    >>> train_command(Settings.from_recipe("series.architecture1", lr=0.01, stages=False, options={"cnn": "cnn1"}))
    'nanoemo train series.architecture1 --lr 0.01 --option cnn=cnn1 --no-stages'
    """
    from nanoemo.training import Settings

    usual = asdict(Settings.from_recipe(settings.model, settings.data))
    words = ["nanoemo", "train", settings.model, *(["--data", settings.data] if settings.data else [])]
    for name, value in asdict(settings).items():
        option = {"start_from": "from"}.get(name, name.replace("_", "-"))
        if value == usual[name]:
            continue
        if name == "options":
            words += [word for key, choice in value.items() for word in ("--option", f"{key}={choice}")]
        elif isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", "none" if (name, value) == ("augment", "") else str(value)]
    return shlex.join(words)


def _introduce(experiment, folder, args):
    from nanoemo import __version__, models
    from nanoemo.training.progress import counted

    settings = experiment.settings
    about = experiment.about_data
    counts = ", ".join(f"{number:,} {name}" for name, number in about["images"].items())
    say(f"nanoemo {__version__}: {experiment.title}, {experiment.model.num_parameters():,} parameters")
    say(f"{about['noun']}: {counts}; {'×'.join(map(str, about['image_shape']))}, {len(about['classes'])} classes")
    if about["note"]:
        say(about["note"])
    if settings.image_shape and len(set(about["image_shape"][:2])) > 1:
        say("these images are not square, but faces are cut out as squares: `nanoemo predict` and `webcam` cannot use this run")
    if about["drawn"]:
        paper = models.recipe(settings.model).epochs
        say(f"{about['name']}: --data PATH trains on real ones")
        if args.epochs is None and settings.epochs < paper:
            say(f"{about['name']}: {counted(settings.epochs, 'epoch')}; the paper's {paper} with --epochs {paper}")
    epochs = f"{counted(settings.epochs, 'epoch')}{' in each stage' if settings.stages else ''}"
    say(f"{settings.optimizer}, learning rate {settings.lr:g}, batches of {settings.batch_size}, "
        f"{epochs}, augmentation {settings.augment or 'none'}, seed {settings.seed}")
    extras = {name: getattr(settings, name) for name in ("options", *EXTRAS) if getattr(settings, name)}
    if extras:
        say(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in extras.items()))
    say(f"run folder: {folder.path}")
