"""Weights in files: what is written comes back; what is damaged is refused; nothing is half-written."""
import json

import numpy as np
import pytest

from nanoemo import load_metadata, load_state, models, nn, save_state

SUFFIXES = (".safetensors", ".npz")
STATE = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3), "count": np.array(7)}


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    return tmp_path / f"weights{request.param}"


def test_arrays_and_metadata_come_back(path):
    save_state(STATE, path, {"model": "njoku.cnn", "note": "größer"})
    state = load_state(path)
    assert sorted(state) == sorted(STATE)
    for name, array in STATE.items():
        assert state[name].dtype == array.dtype and state[name].shape == array.shape
        np.testing.assert_array_equal(state[name], array)
    assert load_metadata(path) == {"model": "njoku.cnn", "note": "größer"}


def test_metadata_may_be_absent(path):
    save_state(STATE, path)
    assert load_metadata(path) == {}


def test_a_model_comes_back_bit_by_bit(path):
    model, other = (models.build("alizadeh.deep", input_shape=(16, 16, 1)) for _ in range(2))
    save_state(model.state_dict(), path)
    other.load_state_dict(load_state(path))
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)


def test_arrays_that_are_not_contiguous_come_back_right(path):
    array = np.arange(12.0).reshape(3, 4).T
    save_state({"a": array}, path)
    np.testing.assert_array_equal(load_state(path)["a"], array)


def test_loaded_arrays_can_be_written_to(path):
    save_state(STATE, path)
    load_state(path)["weight"][0] = 1


def test_only_the_file_itself_is_left(path):
    save_state(STATE, path)
    save_state(STATE, path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("cut", [0, 1, 10, 200, -1])
def test_a_file_that_is_cut_short_is_refused(path, cut):
    save_state({"a": np.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="weights.*cannot be read as .*: cut short, damaged or another"):
        load_state(path)


def test_another_kind_of_file_is_refused(path):
    path.write_text("emotion,pixels,Usage\n")
    with pytest.raises(ValueError, match="another kind of file") as error:
        load_state(path)
    assert "pickle" not in str(error.value)


def test_a_file_of_the_other_format_is_refused(path):
    other = path.with_suffix(SUFFIXES[path.suffix == SUFFIXES[0]])
    save_state(STATE, other)
    path.write_bytes(other.read_bytes())
    with pytest.raises(ValueError, match=f"cannot be read as {path.suffix}"):
        load_state(path)


def test_pickled_objects_are_never_loaded(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.array([{"code": 1}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read as .npz"):
        load_state(path)


def test_a_file_that_is_not_there_is_named(path):
    with pytest.raises(FileNotFoundError, match="weights.*there is no such file"):
        load_state(path)


@pytest.mark.parametrize("call", [lambda p: save_state(STATE, p), load_state], ids=["save", "load"])
def test_an_unknown_suffix_is_refused(tmp_path, call):
    with pytest.raises(ValueError, match=r"unknown suffix '.pkl'; weights are kept as .safetensors or .npz"):
        call(tmp_path / "weights.pkl")


@pytest.mark.parametrize("state, metadata, message", [
    ({"a": np.array(["text"])}, None, "a must be an array of numbers"),
    ({"a": np.array([{}], dtype=object)}, None, "a must be an array of numbers"),
    ({"a": np.ones(1)}, {"epoch": 3}, "metadata must be text, got 'epoch': 3"),
])
def test_what_cannot_be_kept_is_refused_and_nothing_is_written(path, state, metadata, message):
    with pytest.raises(TypeError, match=message):
        save_state(state, path, metadata)
    assert not path.exists()


@pytest.mark.parametrize("name, error, message", [
    ("file", ValueError, "'file' cannot be the name of an array, the file formats need it; choose another"),
    ("allow_pickle", ValueError, "'allow_pickle' cannot be"), ("__metadata__", ValueError, "'__metadata__' cannot be"),
    (1, TypeError, "names must be text, got 1")])
def test_names_that_no_file_can_hold_are_refused(path, name, error, message):
    with pytest.raises(error, match=f"save_state: {message}"):
        save_state({"fine": np.ones(2), name: np.ones(2)}, path)
    assert not path.exists()


def test_a_dtype_that_numpy_does_not_have_is_named(torch, tmp_path):
    from safetensors.torch import save_file
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.ones(2, dtype=torch.bfloat16)}, path)
    with pytest.raises(ValueError, match="safetensors: holds numbers of dtype BF16, .*; convert them to float32") as error:
        load_state(path)
    assert "damaged" not in str(error.value)


def test_arguments_exchanged_are_told(path):
    with pytest.raises(TypeError, match="expected a state first, .* then the path; got PosixPath first"):
        save_state(path, {})


def test_a_disk_that_is_full_leaves_the_older_file(path, monkeypatch):
    save_state(STATE, path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_state({"a": np.ones(3)}, path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_other_frameworks_read_the_safetensors_file(torch, tmp_path):
    from safetensors.torch import load_file
    layer = nn.Linear(3, 2)
    save_state(layer.state_dict(), tmp_path / "layer.safetensors", {"paper": json.dumps({"year": 2024})})
    tensors = load_file(tmp_path / "layer.safetensors")
    np.testing.assert_array_equal(tensors["weight"].numpy(), layer.weight.numpy())
