"""What a user's own component has to do: each way not to do it is named before a run."""

import pytest

from bench.data.dataset import IGNORE_INDEX
from bench.errors import UserError
from bench.experiment import config, plan

HEAD = """
import torch, random
import numpy as np
import albumentations as A
from torch import nn
from bench.data.dataset import Dataset, Split, assemble, fingerprint, split_in_memory

VOID = 255

class Convolution(nn.Module):
    size_multiple = 1
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.c = nn.Conv2d(in_channels, num_classes, 1)
    def forward(self, images):
        return self.c(images)

def masked(logits, target):
    counted = (target != VOID)
    p = logits.softmax(1).gather(1, target.where(counted, 0).unsqueeze(1)).squeeze(1)
    return (1 - p)[counted].sum() / counted.sum().clamp(min=1)

def more(mask, **others):
    return mask + 90

def dark(image, **others):
    return (image * random.random()).astype(np.uint8)

def pictures(root, fingerprinted=True, label=1, names="ab"):
    rng = np.random.default_rng(0)
    pairs = {n: (rng.integers(0, 256, (20, 24, 3), dtype=np.uint8),
                 np.full((20, 24), label, np.uint8)) for n in names}
    split = split_in_memory(pairs, "content" if fingerprinted else "")
    return assemble("pictures", {"a": (0, 0, 0), "b": (9, 9, 9)}, {"train": split, "val": split})
"""
EXPERIMENT = """
name: own
data: {name: scenes, size: 48, train: 2, val: 1, test: 1}
model: {base_channels: 2, depth: 1}
train: {crop_size: 16, epochs: 1, threads: 1}
"""


@pytest.fixture
def planned(tmp_path):
    """Return a function: code, overrides → the plan of an experiment with own components."""

    def planned(code, *overrides):
        (tmp_path / "own.py").write_text(HEAD + code)
        path = tmp_path / "own.yaml"
        path.write_text(EXPERIMENT)
        return plan.plan(config.load(path, overrides), tmp_path)

    return planned


GOOD = {
    "network": ("", "model.name=./own.py:Convolution"),
    "loss": ("def Loss(): return masked\n", "train.loss=./own.py:Loss"),
    "augmentation": ("def aug(): return [A.HorizontalFlip(p=0.5)]\n", "train.augmentation=./own.py:aug"),
    "one transform": ("def aug(): return A.VerticalFlip(p=1)\n", "train.augmentation=./own.py:aug"),
    "nothing": ("def aug(): return []\n", "train.augmentation=./own.py:aug"),
    "metric": (
        "def m(prediction, truth): return float((prediction == truth)[truth != VOID].mean())\n",
        "metric=./own.py:m",
    ),
    "error": (
        """
def m(prediction, truth): return float((prediction != truth)[truth != VOID].sum())
m.higher_is_better = False
""",
        "metric=./own.py:m",
    ),
    "dataset": ("", "data={name: './own.py:pictures'}"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "override"), GOOD.values(), ids=GOOD)
def test_what_keeps_the_contract_is_planned(planned, code, override):
    assert len(planned(code, override)) == 3


def test_an_edited_file_is_not_planned_with_what_was_imported(planned):
    code, override = GOOD["loss"]
    planned(code, override)
    with pytest.raises(UserError, match=r"own\.py was edited after this process had imported it"):
        planned(f"{code}\nVERSION = 2\n", override)


NETWORKS = {
    "shape": ("return self.c(images)[..., 1:]", "logits must be (2, 9, 16, 16) for images (2, 3, 16, 16), not (2, 9, 16, 15)"),
    "dictionary": ("return {'out': self.c(images)}", "not dict"),
    "not finite": ("return self.c(images) / 0", "logits or gradients are not finite"),
    "random": ("return self.c(images) + torch.rand(1)", "two predictions of one image differ"),
    "no gradient": ("return self.c(images).detach().requires_grad_()", "no parameter has a gradient"),
    "fails": ("return self.d(images)", "failed when it was tried (AttributeError: "),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message"), NETWORKS.values(), ids=NETWORKS)
def test_a_network_that_does_not_is_named(planned, body, message):
    code = f"class Net(Convolution):\n    def forward(self, images):\n        {body}\n"
    with pytest.raises(UserError, match=r"^\./own\.py:Net: ") as caught:
        planned(code, "model.name=./own.py:Net")
    assert message in str(caught.value)


def test_a_network_that_is_no_module_is_named(planned):
    with pytest.raises(UserError, match=r"returned str, not a torch\.nn\.Module"):
        planned("def Net(in_channels, num_classes): return 'net'\n", "model.name=./own.py:Net")


LOSSES = {
    "no scalar": ("(1 - masked(logits, target)).expand(2)", "must return a scalar tensor, not shape (2,)"),
    "a number": ("masked(logits, target).item()", "must return a scalar tensor, not float"),
    "no gradient": ("masked(logits.detach(), target)", "has no gradient with respect to the logits"),
    "random": ("masked(logits, target) * torch.rand(())", "the same logits and labels give another"),
    "not finite": ("masked(logits, target) / 0", "its value or gradient is not finite"),
    "void counts": ("masked(logits, target.where(target != VOID, 0))", "void (label 255) change its value"),
    "all void": ("masked(logits, target) / (target != VOID).any()", "not finite where all pixels are void"),
    "knows no void": ("nn.functional.one_hot(target, 9).movedim(3, 1).mul(logits).mean()", "failed when it was tried"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "message"), LOSSES.values(), ids=LOSSES)
def test_a_loss_that_does_not_is_named(planned, value, message):
    code = f"def Loss(): return lambda logits, target: {value}\n"
    with pytest.raises(UserError, match=r"^\./own\.py:Loss: ") as caught:
        planned(code, "train.loss=./own.py:Loss")
    assert message in str(caught.value)


def test_a_loss_that_knows_no_void_will_do_where_there_is_none(planned):
    code = "def Loss(): return lambda l, t: nn.functional.cross_entropy(l, t, ignore_index=-1)\n"
    overrides = ("train.loss=./own.py:Loss", "data.void=class")
    assert len(planned(code, *overrides)) == 3
    with pytest.raises(UserError, match="failed when it was tried"):
        planned(code, overrides[0])


def test_a_loss_that_takes_ignore_index_is_given_it(planned):
    code = (
        "class Loss(nn.CrossEntropyLoss):\n"
        "    def __init__(self, *, ignore_index):\n"
        f"        assert ignore_index == {IGNORE_INDEX}\n"
        "        super().__init__(ignore_index=ignore_index, reduction='sum')\n"
    )
    assert len(planned(code, "train.loss=./own.py:Loss")) == 3


AUGMENTATIONS = {
    "no transform": ("return 3", "returned int, not a transform of albumentations or a list"),
    "other type": ("return [A.ToFloat(p=1)]", "ToFloat makes other images of 3 channels and 8 bits (float32"),
    "labels": ("return [A.Lambda(mask=more, p=1)]", "which is no class"),
    "own dice": ("return [A.Lambda(image=dark, p=1)]", "the same random state gives another image"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message"), AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_an_augmentation_that_does_not_is_named(planned, body, message):
    with pytest.raises(UserError) as caught:
        planned(f"def aug(): {body}\n", "train.augmentation=./own.py:aug")
    assert message in str(caught.value)


METRICS = {
    "no number": ("return 'good'", "must return a number, not str"),
    "void": ("return float((prediction == truth).mean() + prediction[0, 0])", "where void"),
    "direction": ("return float((prediction != truth)[truth != VOID].sum())", "set its attribute higher_is_better = False"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message"), METRICS.values(), ids=METRICS)
def test_a_metric_that_does_not_is_named(planned, body, message):
    with pytest.raises(UserError, match=r"^\./own\.py:m: ") as caught:
        planned(f"def m(prediction, truth): {body}\n", "metric=./own.py:m")
    assert message in str(caught.value)


DATASETS = {
    "nothing": ("{name: './own.py:nothing'}", "returned NoneType, not a bench.data.dataset.Dataset"),
    "fingerprint": ("{name: './own.py:pictures', options: {fingerprinted: false}}", "split train has no fingerprint"),
    "label": ("{name: './own.py:pictures', options: {label: 7}}", "label 7 in 480 pixels, but there are 2 classes"),
    "empty": ("{name: './own.py:pictures', options: {names: ''}}", "has no images in the train split"),
    "option": ("{name: './own.py:pictures', options: {lable: 7}}", "takes no option 'lable'; did you mean 'label'?"),
    "name": ("{name: './own.py:picture'}", "picture is not there; did you mean 'pictures'?"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), DATASETS.values(), ids=DATASETS)
def test_a_dataset_that_does_not_is_named(planned, data, message):
    with pytest.raises(UserError) as caught:
        planned("def nothing(root): ...\n", f"data={data}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
