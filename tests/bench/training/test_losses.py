"""Every named loss under one contract, smp's against smp's own call, and the documented numbers."""

import math
import re
import subprocess
import sys

import pytest
import segmentation_models_pytorch as smp
import torch
from pydantic import ValidationError

from bench.components.built_in import BUILT_IN
from bench.experiment import code_digest
from bench.training.losses import build, check
from bench.training.step import TrainSettings

VOID = 255
SMP = {
    "smp:jaccard": (smp.losses.JaccardLoss, {"smooth": 1.5}),
    "smp:lovasz": (smp.losses.LovaszLoss, {}),
    "smp:focal": (smp.losses.FocalLoss, {"gamma": 3.0, "alpha": 0.25}),
    "smp:tversky": (
        smp.losses.TverskyLoss,
        {"alpha": 0.3, "beta": 0.7, "gamma": 1.5, "smooth": 2.0},
    ),
}
every_loss = pytest.mark.parametrize("name", BUILT_IN["loss"])


def case(seed=0, *, n=2, classes=4, void=0.3, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    shape = (n, 5, 7)
    logits = scale * torch.randn(n, classes, 5, 7, generator=generator)
    target = torch.randint(0, classes, shape, generator=generator)
    target[torch.rand(shape, generator=generator) < void] = VOID
    return logits, target


def value_and_gradient(loss, logits, target):
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, target)
    value.backward()
    return value.detach(), logits.grad


# ---------------------------------------------------------------------- the contract


@every_loss
@pytest.mark.parametrize("extreme", [-1e30, 7.0, 3e38])
def test_ignored_pixels_change_nothing(name, extreme):
    logits, target = case()
    ignored = target == VOID
    loss = build(name, {})
    value, gradient = value_and_gradient(loss, logits, target)
    changed = logits.clone()
    changed[:, 1] = changed[:, 1].masked_fill(ignored, extreme)
    changed[:, 3] = changed[:, 3].masked_fill(ignored, -extreme)
    again, other = value_and_gradient(loss, changed, target)
    assert torch.equal(again, value)
    assert torch.equal(other, gradient)
    assert gradient.movedim(1, 3)[ignored].abs().max() == 0
    assert gradient.movedim(1, 3)[~ignored].abs().max() > 0


@every_loss
def test_void_is_the_same_as_no_pixel(name):
    logits, target = case(void=0.0)
    loss = build(name, {})
    padded = torch.nn.functional.pad(logits, [1, 2, 3, 0], value=9.0)
    labels = torch.nn.functional.pad(target, [1, 2, 3, 0], value=VOID)
    more = torch.cat([padded, torch.ones_like(padded[:1])])  # and an image of void only
    labels = torch.cat([labels, torch.full_like(labels[:1], VOID)])
    torch.testing.assert_close(loss(more, labels), loss(logits, target))


@every_loss
@pytest.mark.parametrize("n", [0, 2])
def test_all_ignored_is_zero(name, n):
    logits, target = case(n=n)
    value, gradient = value_and_gradient(build(name, {}), logits, torch.full_like(target, VOID))
    assert value == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


@every_loss
def test_autocast_and_half_precision_compute_in_float32(name):
    logits, target = case()
    loss = build(name, {})

    def under_autocast(x, t):
        with torch.autocast("cpu", torch.bfloat16):
            return loss(x, t)

    low = logits.bfloat16()
    expected, gradient = value_and_gradient(loss, low.float(), target)
    for function, given in ((loss, low), (under_autocast, low), (under_autocast, low.float())):
        value, result = value_and_gradient(function, given, target)
        assert value.dtype == torch.float32
        assert torch.equal(value, expected)
        assert torch.equal(result, gradient.to(given.dtype))


@every_loss
def test_misuse_is_refused(name):
    logits, target = case()
    loss = build(name, {})
    with pytest.raises(ValueError, match=r"target \(N, H, W\), not"):
        loss(logits, target.unsqueeze(1))
    with pytest.raises(ValueError, match="target must be int64"):
        loss(logits, target.to(torch.uint8))
    with pytest.raises(ValueError, match="target holds 9, which is none of 4 classes"):
        loss(logits, target.masked_fill(target == 0, 9))


@every_loss
def test_the_right_answer_is_the_best(name):
    _, target = case()
    truth = torch.nn.functional.one_hot(target % VOID, 4).movedim(3, 1).float()
    centred = 60 * truth - 30  # smp's focal loss looks at each logit on its own
    value, gradient = value_and_gradient(build(name, {}), centred, target)
    assert value < 1e-6
    assert gradient.isfinite().all()
    assert build(name, {})(-centred, target) > 0.9


# ------------------------------------------------------------ against smp's own call


@pytest.mark.parametrize("name", SMP)
@pytest.mark.parametrize("absent", [False, True])
def test_without_void_it_is_what_smp_computes(name, absent):
    theirs, options = SMP[name]
    logits, target = case(void=0.0)
    if absent:
        target[target == 2] = 1
    for chosen in ({}, options):
        expected, wanted = value_and_gradient(theirs("multiclass", **chosen), logits, target)
        value, gradient = value_and_gradient(build(name, chosen), logits, target)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, wanted)
        if options:
            assert build(name, options)(logits, target) != build(name, {})(logits, target)


def test_dice_of_present_classes_is_smps_dice_divided_by_their_number():
    logits, target = case(void=0.0)
    target[target == 2] = 1
    theirs = smp.losses.DiceLoss("multiclass", smooth=0.5)(logits, target)
    ours = build("dice_present", {"smooth": 1.0})(logits, target)
    torch.testing.assert_close(ours, theirs * 4 / 3)


@pytest.mark.parametrize("name", SMP)
def test_with_void_it_is_what_smp_computes_too(name):
    """With ordinary logits in the void their own way of leaving it out agrees."""
    logits, target = case()
    theirs = SMP[name][0]("multiclass", ignore_index=VOID)
    torch.testing.assert_close(build(name, {})(logits, target), theirs(logits, target))


# ------------------------------------------------------------------ names and options


@every_loss
def test_the_library_and_smp_take_their_options(name):
    check(name, {})
    if name in SMP:
        check(name, SMP[name][1])


MISTAKES = {
    "name": ("dice_imag", {}, "unknown loss 'dice_imag'; did you mean 'dice_image'?"),
    "smp's name": ("smp:jacard", {}, "unknown loss 'smp:jacard'; did you mean 'smp:jaccard'?"),
    "option": ("dice", {"smoth": 1}, "loss 'dice' takes no option 'smoth'; did you mean 'smooth'?"),
    "no option": (
        "smp:lovasz",
        {"beta": 1},
        "loss 'smp:lovasz' takes no option 'beta'; it takes none",
    ),
    "void": ("dice", {"ignore_index": 3}, "takes no option 'ignore_index'; known: beta, smooth"),
    "value": ("dice", {"beta": -1.0}, "loss 'dice': beta and smooth must be above 0"),
    "smp's option": ("smp:lovasz", {"per_image": 1}, "takes no option 'per_image'; it takes none"),
    "alpha": ("smp:focal", {"alpha": 2.0}, "loss 'smp:focal': alpha: Input should be less than"),
    "gamma": ("smp:tversky", {"gamma": 0.5}, "gamma: Input should be greater than or equal to 1"),
    "smooth": ("smp:jaccard", {"smooth": -1}, "smooth: Input should be greater than or equal to 0"),
    "nan": ("smp:jaccard", {"smooth": math.nan}, "smooth: Input should be a finite number"),
    "infinite": ("smp:tversky", {"beta": math.inf}, "beta: Input should be a finite number"),
    "switch": ("dice", {"beta": True}, "loss 'dice': beta: Input should be a valid number"),
    "text": ("dice", {"beta": "1"}, "loss 'dice': beta: Input should be a valid number"),
}


@pytest.mark.parametrize(("name", "options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(name, options, message):
    if name in BUILT_IN["loss"]:
        with pytest.raises(ValueError, match=re.escape(message)):
            check(name, options)
    with pytest.raises(ValidationError, match=re.escape(message)):
        TrainSettings(loss=name, loss_options=options)


@pytest.mark.parametrize("name", SMP)
def test_every_option_of_smp_has_a_range(name):
    for option in SMP[name][1]:
        with pytest.raises(ValueError, match=f"loss '{name}': {option}: Input should be greater"):
            check(name, {option: -1.0})


def test_names_and_options_are_checked_without_smp():
    script = (
        "import sys; from bench.training.step import TrainSettings;"
        "TrainSettings(loss='smp:focal', loss_options={'gamma': 3});"
        "print([m for m in ('segmentation_models_pytorch', 'torchvision') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=code_digest.ROOT,
    )
    assert done.stdout.strip() == "[]"


# --------------------------------------------------------------------- docs/losses.md

SHARES = (0.1, 1e-3, 1e-7)


def absent(name, share):
    """Return the loss and the push on an absent class's logits, as docs/losses.md says.

    Two images of 50 pixels, half of each of one class, half of another. Every pixel gives the
    third class ``share``, the wrong one of the others 0.0001, and its own what is left.
    """
    target = torch.arange(50).reshape(1, 5, 10).repeat(2, 1, 1) // 25
    p = torch.full((2, 3, 5, 10), 1e-4, dtype=torch.float64)
    p[:, 2] = share
    p.scatter_(1, target.unsqueeze(1), 1 - 1e-4 - share)
    value, gradient = value_and_gradient(build(name, {}), p.log(), target)
    return value.item(), gradient[:, 2].sum().item()


@every_loss
def test_the_documented_numbers(name):
    text = (code_digest.ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{re.escape(name)}` \|((?: [-0-9.e]+ \|){{6}})$", text, re.MULTILINE)
    assert row, f"docs/losses.md has no row of six numbers for {name}"
    found = [float(cell) for cell in row[1].strip(" |").split("|")]
    expected = [number for share in SHARES for number in absent(name, share)]
    assert found == pytest.approx(expected, rel=0.06, abs=1e-9)
