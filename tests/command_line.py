"""What tests of the command line share."""
from nanoemo.cli import main


def error_of(capsys, *args):
    """The one line on standard error of a command that must fail with status 2."""
    capsys.readouterr()
    status = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert status == 2, err or out
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err
    assert err.startswith(f"nanoemo {args[0]}: error: ")
    return err
