"""The verbs about trained networks: ``python -m bench convert`` and ``python -m bench export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli.terminal import Results, say, warn
from bench.errors import UserError, nearest
from bench.store.files import write_whole
from bench.store.folder import Store

if TYPE_CHECKING:
    from bench.store.load_model import Trained

Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="IN", help="A U-Net's weights: safetensors, pt or pth.")
    ],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="….safetensors, or ….pth as milesial/Pytorch-UNet loads it."
        ),
    ],
    force: Force = False,
) -> int:
    """Turn a checkpoint of the milesial family into safetensors, or back; bit for bit."""
    from bench.training import checkpoints
    from unet.checkpoints import options

    _check_free(output, force=force)
    found = checkpoints.load(checkpoint)
    model = checkpoints.build_unet(found, padding="same", source=checkpoint)
    weights = dict(model.state_dict())
    converted = checkpoints.Checkpoint(weights, found.mask_values)
    write_whole(output, checkpoints.encode(converted, output))
    network = options(weights)
    say(f"weights: {output} ({', '.join(f'{name} {value}' for name, value in network.items())})")
    if output.suffix != ".safetensors" and (network["depth"], network["norm"]) != (4, "batch"):
        warn(f"{output}: milesial/Pytorch-UNet has no such network; its depth is 4, its norm batch")
    return 0


def export(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A checkpoint of a U-Net, or an experiment's name."),
    ],
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("model.onnx"),
    arm: Annotated[str | None, typer.Option(help="Label of the arm, as reports have it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the trial.")] = None,
    trial: Annotated[str | None, typer.Option(metavar="KEY", help="Of the trial.")] = None,
    results: Results = Path("results"),
    padding: Annotated[
        Literal["same", "valid"] | None,
        typer.Option(help="Of the convolutions of a checkpoint, which does not tell [same]."),
    ] = None,
    force: Force = False,
) -> int:
    """Write a trained network as ONNX, and check it in onnxruntime."""
    from bench.store import onnx_export as exporting

    if Path(source).resolve() == output.resolve():
        raise UserError(f"{output}: is what is to be exported")
    _check_free(output, force=force)
    exporting.check_installed()
    found = _trained(source, results, arm=arm, seed=seed, trial=trial, padding=padding)
    exported = exporting.to_onnx(found)
    write_whole(output, exported.content)
    batches = " and ".join("×".join(map(str, shape)) for shape in exported.checked)
    say(f"network: {output} ({len(exported.content) / 1e6:.1f} MB)")
    say(f"input: {_input(found)}")
    say(
        f"onnxruntime and torch differ by at most {exported.difference:.1e} on random images "
        f"({batches}); logits spread over {exported.spread:.2g}"
    )
    return 0


def _trained(
    source: str,
    results: Path,
    *,
    arm: str | None,
    seed: int | None,
    trial: str | None,
    padding: Literal["same", "valid"] | None,
) -> Trained:
    from bench.store import load_model

    if Path(source).is_file():
        if (arm, seed, trial) != (None, None, None):
            raise UserError(f"{source} is a file; --arm, --seed and --trial are of experiments")
        if padding is None:
            say("taken for a network that pads its convolutions; if not, say --padding valid")
        return load_model.of_file(Path(source), padding=padding or "same")
    known = sorted(path.parent.name for path in results.glob("*/plan.json"))
    if source not in known:
        hint = nearest(source, known)
        raise UserError(f"{source}: no file, and no experiment in {results}{hint}")
    if padding is not None:
        raise UserError(f"--padding: {source} is an experiment, whose trials say it themselves")
    return load_model.of_trial(Store(results / source), arm=arm, seed=seed, key=trial)


def _check_free(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise UserError(f"{path}: is there already; --force replaces it")


def _input(found: Trained) -> str:
    """Say what images an exported network takes, and what it gives."""
    step = "" if found.step == 1 else f" in steps of {found.step}"
    sides = f"height and width from {found.smallest} pixels{step}"
    less = f"; logits are {found.margin} pixels smaller" if found.margin else ""
    scaled = f", {found.about['input']}" if "input" in found.about else ", scaled as in training"
    return f"N×{found.in_channels}×H×W float32{scaled}; {sides}{less}"
