"""Checkpoints: weights come back, and nothing else gets in."""

import os
import pickle
import zipfile

import pytest
import safetensors.torch
import torch

from bench.errors import UserError
from bench.training import checkpoints
from bench.training.weights import load_into
from unet import UNet

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# fmt: off
FORMS = {
    "safetensors": lambda f: safetensors.torch.save_file(WEIGHTS, f),
    "a state dict": lambda f: torch.save(WEIGHTS, f),
    "one of the old kind": lambda f: torch.save(WEIGHTS, f, _use_new_zipfile_serialization=False),
    "inside a trainer's": lambda f: torch.save({"epoch": 3, "state_dict": WEIGHTS}, f),
    "with something beside": lambda f: torch.save({**WEIGHTS, "mask_values": [0, 1]}, f),
}
# fmt: on


@pytest.mark.parametrize("kind", FORMS)
def test_weights_come_back_whatever_the_file_is_called(kind, tmp_path):
    FORMS[kind](tmp_path / "weights")
    assert same(checkpoints.load(tmp_path / "weights").weights, WEIGHTS)


# fmt: off
MASK_VALUES = {"grey": [0, 128, 255], "colours": [[0, 0, 0], [255, 0, 255]], "shares": [0.0, 0.25], "none": None}
NO_MASK_VALUES = {"words": ["a", "b"], "a mixture": [[0, 0, 0], 1], "empty": [], "a tensor": torch.zeros(2), "a number": 3}
# fmt: on


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
@pytest.mark.parametrize("kind", MASK_VALUES)
def test_what_is_written_comes_back(kind, suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(checkpoints.encode(checkpoints.Checkpoint(WEIGHTS, MASK_VALUES[kind]), path))
    found = checkpoints.load(path)
    assert same(found.weights, WEIGHTS)
    assert found.mask_values == MASK_VALUES[kind]


@pytest.mark.parametrize("kind", NO_MASK_VALUES)
def test_other_mask_values_are_left_out(kind, tmp_path):
    torch.save({**WEIGHTS, "mask_values": NO_MASK_VALUES[kind]}, tmp_path / "weights.pth")
    assert checkpoints.load(tmp_path / "weights.pth").mask_values is None


def test_a_pth_file_is_what_the_family_reads(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(checkpoints.encode(checkpoints.Checkpoint(WEIGHTS, [0, 255]), path))
    state = torch.load(path, weights_only=True)
    assert state.pop("mask_values", [0, 1]) == [0, 255]
    assert same(state, WEIGHTS)


def test_another_format_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"weights.onnx: its name must end in .safetensors"):
        checkpoints.encode(checkpoints.Checkpoint(WEIGHTS), tmp_path / "weights.onnx")


class Program:
    """What unpickling would run."""

    def __init__(self, folder):
        self.command = f"touch {folder}/executed"

    def __reduce__(self):
        return os.system, (self.command,)


def pickled(file, protocol=2):
    file.write_bytes(pickle.dumps({"a": Program(file.parent)}, protocol=protocol))


def cycle(file):
    inner = {"model": {}}
    inner["model"]["state_dict"] = inner
    torch.save(inner, file)


def damaged(file, save, keep=0.6):
    save(file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])


def flipped(file, save):
    save(file)
    content = bytearray(file.read_bytes())
    content[9] ^= 0xFF
    file.write_bytes(content)


def bomb(file):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("archive/data/0", bytes(50_000_000))


def lying(file):
    """A header that promises more than there is."""
    header = b'{"a":{"dtype":"F32","shape":[9999999999],"data_offsets":[0,39999999996]}}'
    file.write_bytes(len(header).to_bytes(8, "little") + header)


# fmt: off
HOSTILE = {
    "a program": pickled,
    "a program of an old protocol": lambda f: pickled(f, 0),
    "a program of a new protocol": lambda f: pickled(f, 4),
    "a program saved by torch": lambda f: torch.save({"a": Program(f.parent)}, f),
    "a program in the old format": lambda f: torch.save([Program(f.parent)], f, _use_new_zipfile_serialization=False),
    "a whole model": lambda f: torch.save(UNet(3, 2, base_channels=4, depth=1), f),
    "half of safetensors": lambda f: damaged(f, FORMS["safetensors"]),
    "half of a state dict": lambda f: damaged(f, FORMS["a state dict"]),
    "half of an old one": lambda f: damaged(f, FORMS["one of the old kind"]),
    "safetensors with a wrong header": lambda f: flipped(f, FORMS["safetensors"]),
    "a header that lies": lying,
    "a bomb": bomb,
    "text": lambda f: f.write_text("These are no weights.\n" * 50),
    "nothing": lambda f: f.touch(),
    "a folder": lambda f: f.mkdir(),
    "no file": lambda f: None,
    "no mapping": lambda f: torch.save([torch.zeros(3)], f),
    "no tensors": lambda f: torch.save({"a": 1}, f),
    "weights within themselves": cycle,
}
# fmt: on


@pytest.mark.parametrize("kind", HOSTILE)
def test_anything_else_is_one_line_and_executes_nothing(kind, tmp_path):
    file = tmp_path / "weights.pt"
    HOSTILE[kind](file)
    with pytest.raises(UserError) as error:
        checkpoints.load(file)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(file)) + 300
    assert not (tmp_path / "executed").exists()


def test_the_program_would_have_run(tmp_path):
    pickled(tmp_path / "weights.pt")
    pickle.loads((tmp_path / "weights.pt").read_bytes())
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("kind", ["safetensors", "a state dict", "one of the old kind"])
def test_damaged_bytes_raise_nothing_else(kind, tmp_path):
    file = tmp_path / "weights"
    FORMS[kind](file)
    whole = file.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        content = bytearray(whole)
        content[place] ^= 0x55
        file.write_bytes(content)
        said = ""
        try:
            checkpoints.load(file)
        except UserError as error:
            said = str(error)
        assert "\n" not in said


def network():
    torch.manual_seed(0)
    return UNet(3, 2, base_channels=4, depth=1)


def test_a_model_takes_the_weights_of_its_like():
    weights = {name: value + 1 for name, value in network().state_dict().items()}
    model = network()
    load_into(model, weights, source="x")
    assert same(model.state_dict(), weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("outc.conv.weight"), "w.pt: has no 'outc.conv.weight'; did you mean"),
        (lambda w: w.update({"outc.conv.wait": torch.zeros(1)}), "'outc.conv.wait' is no weight"),
        (
            lambda w: w.update({"outc.conv.bias": torch.zeros(3)}),
            "'outc.conv.bias' has the shape (3,), this model's (2,)",
        ),
        (
            lambda w: w.update({"outc.conv.bias": torch.zeros(2, dtype=torch.complex64)}),
            "'outc.conv.bias' is torch.complex64, this model's torch.float32",
        ),
    ],
)
def test_weights_of_another_model_are_explained_and_leave_the_model_alone(change, message):
    model = network()
    weights = {name: value + 1 for name, value in model.state_dict().items()}
    change(weights)
    with pytest.raises(UserError) as error:
        load_into(model, weights, source="w.pt")
    assert message in str(error.value)
    assert same(model.state_dict(), network().state_dict())


def test_a_unet_is_built_from_a_file(tmp_path):
    weights = network().state_dict()
    torch.save({f"module.{name}": value for name, value in weights.items()}, tmp_path / "w.pt")
    checkpoint = checkpoints.load(tmp_path / "w.pt")
    model = checkpoints.build_unet(checkpoint, padding="same", source="w.pt")
    assert same(model.state_dict(), weights)
    del checkpoint.weights["module.outc.conv.weight"]
    with pytest.raises(UserError, match=r"w.pt: has no 'outc.conv.weight'"):
        checkpoints.build_unet(checkpoint, padding="same", source="w.pt")


def test_weights_that_contain_themselves_are_said_to(tmp_path):
    cycle(tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w.pt: 'state_dict' in it contains itself"):
        checkpoints.load(tmp_path / "w.pt")


def test_a_small_file_that_asks_for_gigabytes_is_refused(tmp_path):
    with torch.device("meta"):
        shapes = UNet(3, 2, base_channels=512).state_dict()
    zero = {torch.float32: torch.zeros(()), torch.int64: torch.tensor(0)}
    weights = {name: zero[value.dtype].expand(value.shape) for name, value in shapes.items()}
    torch.save(weights, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").stat().st_size < 50_000
    assert sum(value.nbytes for value in weights.values()) > 1e9
    checkpoint = checkpoints.load(tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w.pt: 'inc.double_conv.0.weight' takes 55296 bytes, whi"):
        checkpoints.build_unet(checkpoint, padding="same", source="w.pt")
