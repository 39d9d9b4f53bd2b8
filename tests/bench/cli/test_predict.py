"""``predict``: masks and overlays of a folder of images."""

import json

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from bench.store.folder import Store
from tests.bench.made_stores import details_json
from unet import UNet


@pytest.fixture
def photographs(finished):
    """Two PNG files in the folder ``new``, and their names; no side has to be padded."""
    (finished / "new").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        image = rng.integers(0, 256, (48, 32, 3), dtype=np.uint8)
        Image.fromarray(image).save(finished / "new" / f"{name}.png")
    return "a", "b"


CE = ("--arm", "ce", "--seed", "0")


@pytest.fixture
def network(finished):
    """A network that predicts several classes, in place of the one of that trial."""
    store = Store(finished / "results/small")
    record = next(one for one in store.records() if (one.label, one.seed) == ("ce", 0))
    torch.manual_seed(0)
    model = UNet(3, len(record.result.classes), base_channels=4, depth=2)
    for _ in range(50):  # until batch norm knows its inputs
        model(torch.randn(4, 3, 48, 32))
    torch.nn.init.zeros_(model.outc.conv.bias)
    name = store.put(safetensors.torch.save(model.state_dict()), ".safetensors")
    result = record.result.model_copy(update={"checkpoint": name})
    store.commit(record.model_copy(update={"result": result}), details_json(store, record.key))
    return model.eval(), record.result.palette


def test_masks_are_what_the_network_predicts(finished, photographs, network, bench):
    status, out, err = bench("predict", "small", "new", *CE)
    assert (status, err) == (0, "")
    assert out.startswith("2 of 2 images predicted: masks in predictions/masks, overlays in ")
    model, palette = network
    for name in photographs:
        image = np.array(Image.open(finished / f"new/{name}.png"))
        inputs = torch.from_numpy(image / np.float32(127.5) - 1).permute(2, 0, 1)[None]
        expected = model(inputs)[0].argmax(0).numpy()
        mask = Image.open(finished / f"predictions/masks/{name}.png")
        assert mask.mode == "P"
        assert (np.array(mask) == expected).all()
        assert len(np.unique(expected)) > 1
        table = np.array(mask.getpalette()).reshape(-1, 3)
        assert table[: len(palette)].tolist() == [list(colour) for colour in palette]
        overlay = np.array(Image.open(finished / f"predictions/overlays/{name}.png"))
        assert np.abs(overlay - (image / 2 + table[expected] / 2)).max() <= 1


def test_a_broken_image_is_named_and_the_others_are_predicted(finished, photographs, bench):
    whole = (finished / "new" / f"{photographs[0]}.png").read_bytes()
    (finished / "new/broken.png").write_bytes(whole[: len(whole) // 2])
    (finished / "new/notes.txt").write_text("no image")
    status, out, err = bench("predict", "small", "new", *CE, "--output", "out")
    assert status == 1
    assert err.startswith("error: new/broken.png: cannot be read")
    assert err.count("\n") == 1
    assert out.startswith("2 of 3 images predicted")
    written = sorted(path.name for path in (finished / "out/masks").iterdir())
    assert written == [f"{name}.png" for name in sorted(photographs)]


def test_nothing_is_written_over_unless_it_is_said(finished, photographs, bench):
    assert bench("predict", "small", "new", *CE)[0] == 0
    first = finished / f"predictions/masks/{min(photographs)}.png"
    first.write_bytes(b"mine")
    status, _, err = bench("predict", "small", "new", *CE)
    assert status == 2
    assert err == (
        f"error: predictions/masks/{min(photographs)}.png and 3 more: exist already; --force "
        "replaces what is there\n"
    )
    assert first.read_bytes() == b"mine"
    assert bench("predict", "small", "new", *CE, "--force")[0] == 0
    assert first.read_bytes() != b"mine"


def test_averaged_predictions_can_be_asked_for(finished, photographs, network, bench):
    assert bench("predict", "small", "new", *CE, "--output", "one")[0] == 0
    assert bench("predict", "small", "new", *CE, "--output", "two", "--tta", "rotations")[0] == 0
    masks = [np.array(Image.open(f"{one}/masks/{photographs[0]}.png")) for one in ("one", "two")]
    assert (masks[0] != masks[1]).any()


MISTAKES = {
    "name": (["smal", "new"], "results: no experiment 'smal'; did you mean 'small'?"),
    "folder": (["small", "now"], "now: is no folder of images"),
    "empty": (["small", "results"], "results: holds no images (.bmp,"),
    "arm": (["small", "new", "--arm", "dise"], "small: no arm 'dise'; did you mean 'dice'?"),
    "several": (["small", "new"], "small: say which trial with --arm: ce, dice"),
    "tta": (["small", "new", *CE, "--tta", "rotation"], "--tta: unknown tta 'rotation'; did you"),
    "output": (["small", "new", *CE, "--output", "new"], "--output: new is where the images are"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(what, finished, photographs, bench):
    arguments, message = MISTAKES[what]
    before = sorted(finished.rglob("*"))
    status, out, err = bench("predict", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(finished.rglob("*")) == before


def test_images_whose_masks_would_have_one_name_are_refused(finished, photographs, bench):
    image = cv2.imread(f"new/{photographs[0]}.png")
    cv2.imwrite(f"new/{photographs[0]}.jpg", image)
    err = bench("predict", "small", "new", *CE)[2]
    assert f"{photographs[0]}.jpg and {photographs[0]}.png would have the same mask" in err
    assert not (finished / "predictions").exists()


def test_weights_that_were_not_kept_are_named(finished, photographs, bench):
    for file in (finished / "results/small/trials").glob("*.json"):
        assert json.loads(file.read_text())["result"]["checkpoint"] is not None
    for blob in (finished / "results/small/blobs").glob("*.safetensors"):
        blob.unlink()
    status, _, err = bench("predict", "small", "new", *CE)
    assert (status, err.count("\n")) == (2, 1)
    assert ".safetensors: cannot be read" in err
