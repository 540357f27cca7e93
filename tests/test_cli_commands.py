"""The small commands, and that help needs nothing heavy."""
import importlib
import subprocess
import sys

import pytest

import nanoemo
from nanoemo.cli import COMMANDS, main
from command_line import error_of


def run(*args):
    return subprocess.run([sys.executable, "-m", "nanoemo", *args], capture_output=True, text=True)


def test_help_names_every_command_and_imports_nothing_heavy():
    done = run("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    code = ("import sys\nfrom nanoemo.cli import main\n"
            "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
            "heavy = {'matplotlib', 'scipy', 'skimage', 'rich', 'safetensors'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name):
    done = run(name, "--help")
    assert done.returncode == 0 and f"nanoemo {name}" in done.stdout


def test_version_and_no_command(capsys):
    assert run("--version").stdout == f"nanoemo {nanoemo.__version__}\n"
    assert main([]) == 0
    assert "COMMAND" in capsys.readouterr().out


def test_help_begins_with_a_capital_and_keeps_the_others(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    assert "Time training steps, also against PyTorch." in capsys.readouterr().out


def test_a_misspelt_command_is_guessed(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["trian", "njoku.cnn"])
    assert stop.value.code == 2 and "there is no command 'trian'; did you mean train?" in capsys.readouterr().err


@pytest.mark.parametrize("argv, message", [
    (["train", "njoku.cnn", "--lrate", "0.1"], "--lrate 0.1; did you mean --lr? `nanoemo train --help` says"),
    (["models", "more"], "arguments: more; `nanoemo models --help` says"), (["--verbose"], "--verbose; `nanoemo --help` says")])
def test_an_unknown_option_is_guessed(capsys, argv, message):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["data", "inspect"], ["train", "njoku.cnn"], ["reproduce", "njoku"], ["fuse", "FACE", "VOICE"]],
                         ids=lambda argv: argv[0])
@pytest.mark.parametrize("seed", ["-1", "1.5"])
def test_a_seed_is_a_whole_number(capsys, tmp_path, monkeypatch, argv, seed):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([*argv, "--seed", seed])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and f"argument --seed: expected a whole number of at least 0, got '{seed}'" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("argv, advice", [(["models"], ""), (["bench", "njoku.cnn"], "; a smaller --batch-size needs less")])
def test_a_smaller_batch_is_advised_where_there_are_batches(capsys, monkeypatch, argv, advice):
    def fails(args):
        raise MemoryError("Unable to allocate 9.5 GiB")

    monkeypatch.setattr(importlib.import_module(f"nanoemo.cli.{argv[0]}"), "run", fails)
    assert error_of(capsys, *argv) == f"nanoemo {argv[0]}: error: not enough memory (Unable to allocate 9.5 GiB){advice}\n"


def test_models_lists_them_all(capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == nanoemo.models.names()
    assert sum("Alizadeh" in line for line in out.splitlines()) == 1, "a paper is named once, above its models"


def test_summary_is_the_papers_table(capsys):
    assert main(["summary", "njoku.cnn"]) == 0
    out = capsys.readouterr().out
    assert "2,489,095" in out and "2,097,664" in out and "learning rate 0.0001" in out


def test_a_reader_that_leaves_early_is_no_error():
    pipe = subprocess.run(f"{sys.executable} -m nanoemo models | head -1", shell=True, capture_output=True,
                          text=True)
    assert pipe.returncode == 0 and pipe.stderr == "" and pipe.stdout
