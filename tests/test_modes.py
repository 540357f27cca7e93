"""no_grad and detect_anomaly: what they switch, for how long, and what they say."""
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, detect_anomaly, is_grad_enabled, no_grad, ops


def leaf(values):
    return Tensor(values, requires_grad=True)


def test_no_grad_records_nothing_and_ends_with_the_block():
    x = leaf([1.0])
    with no_grad():
        assert not is_grad_enabled() and not (x * 2).requires_grad
    assert is_grad_enabled() and (x * 2).requires_grad


def test_no_grad_as_a_decorator_and_after_an_exception():
    @no_grad()
    def fail():
        assert not is_grad_enabled()
        raise KeyError("inside")

    with pytest.raises(KeyError):
        fail()
    assert is_grad_enabled()


def test_no_grad_can_be_nested():
    mode = no_grad()
    with mode:
        with no_grad(), mode:
            pass
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_no_grad_where_it_would_do_nothing():
    with pytest.raises(TypeError, match=r"to decorate a function write @no_grad\(\), with brackets"):
        @no_grad
        def forward():
            pass
    with pytest.raises(TypeError, match=r"@no_grad\(\): batches is a generator, .* write `with no_grad\(\):` inside it"):
        @no_grad()
        def batches():
            yield Tensor([1.0])


def test_detect_anomaly_names_the_operation_and_the_line():
    with detect_anomaly(), pytest.raises(FloatingPointError) as error:
        Tensor([1.0, 0.0]).log()                         # this line
    message = str(error.value)
    assert "log: the output of shape (2,) has 1 value that is NaN or infinite, first at index (1,)" in message
    assert "test_modes.py:" in message and "# this line" in message


def test_detect_anomaly_of_a_single_number():
    """As every loss is."""
    with detect_anomaly(), np.errstate(over="ignore"), pytest.raises(FloatingPointError) as error:
        ops.mse_loss(Tensor([[1e20]]), [[0.0]])          # too large for float32
    assert "mse_loss: the output of shape () has 1 value that is NaN or infinite, first at index () (inf)" in str(error.value)
    x = leaf(0.0)
    with detect_anomaly(), pytest.raises(FloatingPointError, match="backward of sqrt: the gradient of shape ()"):
        x.sqrt().backward()


def test_detect_anomaly_does_not_blame_who_hands_on():
    with detect_anomaly():
        assert np.isnan(Tensor([np.nan]).detach().item())


def test_detect_anomaly_names_a_backward_and_the_line_of_its_forward():
    x = leaf([0.0])
    with detect_anomaly(), pytest.raises(FloatingPointError) as error:
        y = x.sqrt()                                     # forward is finite, its slope is not
        y.backward()
    assert "backward of sqrt" in str(error.value) and "its slope is not" in str(error.value)


def test_detect_anomaly_around_backward_alone_does_not_know_the_line():
    y = Tensor([0.0], requires_grad=True).sqrt().sum()
    with detect_anomaly(), pytest.raises(FloatingPointError, match="backward of sqrt: .*; called at a place not noted, since the "
                                                                   "forward pass ran outside detect_anomaly"):
        y.backward()


def test_detect_anomaly_names_the_line_of_a_package_behind_a_link(tmp_path):
    """And of a script that lies beside the package under a name that begins like it."""
    (tmp_path / "nanoemo").symlink_to(Path(nanoemo.__file__).parent)
    (tmp_path / "kernels").symlink_to(Path(nanoemo.__file__).parents[1] / "kernels")
    script = tmp_path / "nanoemo_try.py"
    script.write_text("import nanoemo\nwith nanoemo.detect_anomaly():\n    nanoemo.Tensor([0.0]).log()\n")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert "nanoemo_try.py:3" in ended.stderr.splitlines()[-1]


def test_without_detect_anomaly_nan_is_a_result():
    assert np.isnan(Tensor([-1.0]).log().item())


NOT_FINITE = """
import numpy as np
from nanoemo import Tensor, nn, ops
values = np.ones((8, 24, 24, 16), np.float32)
values[:, 0, 0, :2] = np.inf, -np.inf
for op in (nn.Conv2d(16, 32, 3, padding="same"), nn.BatchNorm2d(16), nn.Sequential(nn.Flatten(), nn.Linear(9216, 2)), ops.softmax,
           lambda x: nn.LSTM(16, 4)(x.reshape(8, 576, 16)), lambda x: nn.Dropout(0.5)(x * 1e38),
           lambda x: x.sum(), lambda x: x - x):
    y = op(Tensor(values, requires_grad=True))
    assert not np.isfinite(y.numpy()).all()
    y.backward(np.full(y.shape, 3e38))
np.float32(3e38) * np.float32(3e38)
"""


def test_nor_does_numpy_warn_of_it_but_in_your_own_arithmetic():
    """Kernels run in threads, which np.errstate does not reach. In a process of its own, as pytest sets its own filters."""
    home = Path(nanoemo.__file__).parent.parent
    answer = subprocess.run([sys.executable, "-c", NOT_FINITE], cwd=home, capture_output=True, text=True, check=True)
    last_line = len(NOT_FINITE.splitlines())
    assert answer.stderr.startswith(f"<string>:{last_line}: RuntimeWarning: overflow"), answer.stderr
