"""The command `nanoemo`: one file a command, in this folder.

A command is a module with `HELP` (a line), `add_arguments(parser)` and `run(args) -> exit status`. Its
module is imported only when it is the one asked for, and imports what is heavy inside `run`, so that
`nanoemo --help` is quick.

Exit status: 0 done; 2 the input cannot be used (one line on standard error says why); 130 stopped by Ctrl-C.
"""
import argparse
import difflib
import importlib
import os
import sys
import warnings

from nanoemo.backend import NoCudaError
from nanoemo.card_memory import CardMemoryError, out_of_memory_explained
from nanoemo.cli.common import STOPPED, no_memory

__all__ = ["main"]

COMMANDS = {
    "train": "train a model, on drawn faces or on your data",
    "evaluate": "judge a trained model on the validation and test sets",
    "search": "cross-validate settings: a grid of them, or some drawn at random",
    "leave-one-out": "train once for every person of a data set, and test on that one",
    "ensemble": "judge several trained models together",
    "fuse": "judge a model that sees and one that listens together",
    "data": "look into a data set: numbers, duplicates, examples",
    "reproduce": "run the experiments of a paper again and compare the figures",
    "predict": "read emotions in the faces of pictures, or in recordings, with a trained model",
    "webcam": "read emotions from this computer's camera or microphone, on a local page",
    "show": "draw figures of runs: curves, tables, what a network sees",
    "summary": "print a model's table of layers",
    "models": "list the models",
    "bench": "time training steps, also against PyTorch",
}

PATHS = {"data", "out", "resume", "json"}           # options that name one


def main(argv=None):
    """Run the command line `argv` (the process's own by default); returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    _open_output()
    parser, command, options = _parser(argv)
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        near = difflib.get_close_matches(unknown[0].partition("=")[0], options, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        lists = " ".join(filter(None, ("nanoemo", args.command, "--help")))
        parser.error(f"unrecognized arguments: {' '.join(unknown)}; {hint}`{lists}` says what there is")
    for name in PATHS & vars(args).keys():
        if getattr(args, name) == "":
            parser.error(f"--{name} was given an empty path; is a variable of the shell not set?")
    if command is None:
        parser.print_help()
        return 0
    batches = "--batch-size" in options
    try:
        with warnings.catch_warnings(), out_of_memory_explained(batches):
            # Overflow in a training that diverges: it ends with an error that says so, and where.
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.showwarning = _warner(args.command)
            status = command.run(args)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as stop:
        print(f"nanoemo: stopped {stop}".rstrip(), file=sys.stderr)
        return STOPPED
    except BrokenPipeError:            # the reader has gone (`nanoemo models | head -1`): nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, ImportError, MemoryError, NoCudaError) as error:
        if os.environ.get("NANOEMO_TRACEBACK") == "1":
            raise
        print(f"nanoemo {args.command}: error: {_one_line(error, batches)}", file=sys.stderr)
        return 2


def _warner(command):
    """What shows a warning: a line on standard error, each only once."""
    said = set()

    def show(message, *where):
        text = str(message)
        if text.startswith("Glyph "):                   # Matplotlib's, for each letter
            text = "a name has letters that the font of the figures does not have; they are drawn as boxes"
        if text not in said:
            said.add(text)
            print(f"nanoemo {command}: warning: {text}", file=sys.stderr)

    return show


def _open_output():
    """Nothing printed shall end a command: neither where output was closed (`>&-`), nor for a sign like × that its encoding
    does not have."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace" if name == "stderr" else "replace")


def _parser(argv):
    """The parser, and of the command that `argv` names (None if it names none) the module and the options."""
    parser = argparse.ArgumentParser(
        prog="nanoemo", description="Train the emotion-recognition networks of five papers, from scratch.",
        epilog="NANOEMO_TRACEBACK=1 shows where in the program an error was raised.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    asked = next((word for word in argv if not word.startswith("-")), None)
    near = difflib.get_close_matches(asked or "", COMMANDS, 1) if asked not in COMMANDS else ()
    if near:
        parser.error(f"there is no command {asked!r}; did you mean {near[0]}?")
    command, options = None, ()
    for name, text in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == asked:
            command = importlib.import_module(f"nanoemo.cli.{name.replace('-', '_')}")
            command.add_arguments(subparser)
            options = tuple(subparser._option_string_actions)
    return parser, command, options


class _Version(argparse.Action):
    def __call__(self, parser, *rest):
        from nanoemo import __version__

        print(f"nanoemo {__version__}")
        parser.exit()


def _one_line(error, batches):
    """What is said of an error; batches: whether their size may be chosen."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return no_memory(error) + "; a smaller --batch-size needs less" * (batches and not isinstance(error, CardMemoryError))
    return " ".join(str(error).split()) or type(error).__name__
