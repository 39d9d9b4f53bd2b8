"""``python -m bench predict``: masks and pictures of new images, by a stored network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from bench.cli.terminal import Force, Results, complain, experiments, out, say
from bench.errors import UserError
from bench.store.files import Unwritable

Name = Annotated[str, typer.Argument(metavar="NAME", help="An experiment that was run.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the images.")]
Arm = Annotated[str | None, typer.Option(help="Label of the arm, as reports have it.")]
Seed = Annotated[int | None, typer.Option(help="Seed of the trial.")]
Key = Annotated[str | None, typer.Option(metavar="KEY", help="Of the trial.")]
Output = Annotated[Path, typer.Option(help="Folder for masks/ and overlays/.")]
Tta = Annotated[
    str | None, typer.Option(help="none, or rotations: average predictions [as the trial was set].")
]
Device = Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")]


def predict(
    name: Name,
    folder: Folder,
    arm: Arm = None,
    seed: Seed = None,
    trial: Key = None,
    output: Output = Path("predictions"),
    tta: Tta = None,
    results: Results = Path("results"),
    device: Device = "auto",
    force: Force = False,
) -> int:
    """Predict every image of a folder with the stored weights of a trial.

    Masks are PNG files of labels that look coloured; overlays show them over the images. An image
    that cannot be read is named, the others are predicted, and the exit status is 1.
    """
    store = experiments(results, [name])[0]
    from bench.execution import predict_folder

    files = predict_folder.images_in(folder, output, force=force)
    network = predict_folder.load(store, arm=arm, seed=seed, key=trial, tta=tta, device=device)
    failed = 0
    for path in track(files, "images", console=out, disable=not out.is_terminal, transient=True):
        try:
            predict_folder.predict(network, path, output)
        except Unwritable:
            raise
        except UserError as error:
            complain(str(error))
            failed += 1
    masks, overlays = output / predict_folder.MASKS, output / predict_folder.OVERLAYS
    done = f"{len(files) - failed} of {len(files)} images predicted"
    say(f"{done}: masks in {masks}, overlays in {overlays}")
    say(f"labels: {', '.join(f'{i} {name}' for i, name in enumerate(network.classes))}")
    return 1 if failed else 0
