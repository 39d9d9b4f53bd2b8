"""``python -m bench export``: a trained network as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli.terminal import Force, Results, check_free, say
from bench.errors import UserError, nearest
from bench.store.files import write_whole
from bench.store.folder import Store

if TYPE_CHECKING:
    from bench.store.load_model import Trained
    from bench.store.onnx_export import Exported

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A checkpoint of a U-Net, or an experiment's name.")
]
Output = Annotated[Path, typer.Option(help="File to write.")]
Arm = Annotated[str | None, typer.Option(help="Label of the arm, as reports have it.")]
Seed = Annotated[int | None, typer.Option(help="Seed of the trial.")]
Key = Annotated[str | None, typer.Option(metavar="KEY", help="Of the trial.")]
Padding = Annotated[
    Literal["same", "valid"] | None,
    typer.Option(help="Of the convolutions of a checkpoint, which does not tell [same]."),
]


def export(
    source: Source,
    output: Output = Path("model.onnx"),
    arm: Arm = None,
    seed: Seed = None,
    trial: Key = None,
    results: Results = Path("results"),
    padding: Padding = None,
    force: Force = False,
) -> int:
    """Write a trained network as ONNX, and check it in onnxruntime."""
    from bench.store import load_file, load_model, onnx_export

    if Path(source).resolve() == output.resolve():
        raise UserError(f"{output}: is what is to be exported")
    check_free(output, force=force)
    onnx_export.check_installed()
    if Path(source).is_file():
        if (arm, seed, trial) != (None, None, None):
            raise UserError(f"{source} is a file; --arm, --seed and --trial are of experiments")
        if padding is None:
            say("taken for a network that pads its convolutions; if not, say --padding valid")
        found = load_file.of_file(Path(source), padding=padding or "same")
    else:
        known = sorted(path.parent.name for path in results.glob("*/plan.json"))
        if source not in known:
            hint = nearest(source, known)
            raise UserError(f"{source}: no file, and no experiment in {results}{hint}")
        if padding is not None:
            raise UserError(f"--padding: {source} is an experiment, whose trials say it themselves")
        found = load_model.of_trial(Store(results / source), arm=arm, seed=seed, key=trial)
    exported = onnx_export.to_onnx(found)
    write_whole(output, exported.content)
    _tell(output, found, exported)
    return 0


def _tell(output: Path, found: Trained, exported: Exported) -> None:
    """Say what images an exported network takes, what it gives, and that this was checked."""
    say(f"network: {output} ({len(exported.content) / 1e6:.1f} MB)")
    scaled = found.about.get("input", "scaled as in training")
    step = "" if found.step == 1 else f" in steps of {found.step}"
    less = f"; logits are {found.margin} pixels smaller" if found.margin else ""
    sides = f"height and width from {found.smallest} pixels{step}{less}"
    say(f"input: N×{found.in_channels}×H×W float32, {scaled}; {sides}")
    batches = " and ".join("×".join(map(str, shape)) for shape in exported.checked)
    say(
        f"onnxruntime and torch differ by at most {exported.difference:.1e} on random images "
        f"({batches}); logits spread over {exported.spread:.2g}"
    )
