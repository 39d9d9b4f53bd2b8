"""A trained network → ONNX, checked against the network before anybody gets it.

The graph takes batches of any number of images and every height and width that the network takes.
torch's exporter may fix a size without a word where the code branches on it, so the check runs
sizes other than the one that was exported.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.onnx.errors import OnnxExporterError

from bench.errors import UserError
from bench.store.load_model import Trained

TOLERANCE = 1e-4  # of the spread of the logits
INPUT, OUTPUT = "images", "logits"
_LIMIT = 2**31 - 2**24  # bytes: what a protocol buffer holds, less 16 MiB for the graph
# (images, steps above the smallest height, and width); the first is exported, the others checked
_EXPORTED, *_CHECKED = (2, 1, 2), (1, 0, 3), (3, 2, 1)


@dataclass(frozen=True)
class Exported:
    """An ONNX file, and how far onnxruntime was from torch on random images."""

    content: bytes
    difference: float  # the largest between two logits
    spread: float  # the least distance from the smallest to the largest logit of a batch
    checked: tuple[tuple[int, ...], ...]  # (N, C, H, W) of the batches


def check_installed() -> None:
    """Raise a UserError if a library is missing, before anything is done."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"export: {name} is missing; pip install 'unet-bench[export]'")


def to_onnx(trained: Trained, *, seed: int = 0) -> Exported:
    """Export a network, and compare what onnxruntime makes of it with what torch does.

    ``seed`` is of the random images, uniform in [-1, 1]. UserError if it cannot be exported, or
    logits differ by more than TOLERANCE.
    """
    check_installed()
    import onnx

    values = [*trained.network.parameters(), *trained.network.buffers()]
    if sum(value.nbytes for value in values) > _LIMIT:
        raise UserError("export: the network is larger than the 2 GiB that an ONNX file holds")
    model = _described(_graph(trained), trained)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return _checked(content, trained, np.random.default_rng(seed))


def _graph(trained: Trained) -> Any:
    """Return the network as an `onnx.ModelProto`."""
    images = torch.zeros(_shape(trained, *_EXPORTED))
    sides = {2: _side("height", trained), 3: _side("width", trained)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's parts about each other
            program = torch.onnx.export(
                trained.network,
                (images,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch"), **sides},),
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
    except OnnxExporterError as error:
        raise UserError(f"export: torch makes no ONNX of this network ({_first(error)})") from error
    if program is None:
        raise UserError("export: torch makes no ONNX of this network")
    return program.model_proto


def _side(name: str, trained: Trained) -> Any:
    """Return the heights or widths that a network takes, for torch's exporter."""
    if trained.step == 1:
        return torch.export.Dim(name, min=trained.smallest)
    side = trained.step * torch.export.Dim(f"{name}_steps", min=trained.smallest // trained.step)
    offset = trained.smallest % trained.step
    return side + offset if offset else side


def _described(model: Any, trained: Trained) -> Any:
    """Write what one has to know into the metadata, and take out where the code lay here."""
    import onnx

    graph = model.graph
    named = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for part in itertools.chain([graph], *named):
        del part.metadata_props[:]  # the exporter's notes, with paths of this machine in them
    height, width = graph.output[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = f"{OUTPUT}_height", f"{OUTPUT}_width"
    sizes = {"smallest": trained.smallest, "step": trained.step, "margin": trained.margin}
    about = {**trained.about, **{name: str(value) for name, value in sizes.items()}}
    onnx.helper.set_model_props(model, about)
    return model


def _checked(content: bytes, trained: Trained, rng: np.random.Generator) -> Exported:
    """Compare logits, and return the file with the largest difference."""
    shapes = tuple(_shape(trained, *sizes) for sizes in _CHECKED)
    session, difference, spread = _session(content), 0.0, math.inf
    for shape in shapes:
        images = rng.uniform(-1, 1, shape).astype(np.float32)
        with torch.inference_mode():
            expected = trained.network(torch.from_numpy(images)).numpy()
        found = _run(session, images)
        if found.shape != expected.shape:
            raise UserError(f"export: logits are {found.shape}, in torch {expected.shape}")
        away, wide = float(np.abs(found - expected).max()), float(np.ptp(expected))
        if not away <= TOLERANCE * wide:  # also where one of them is no number
            raise UserError(
                f"export: logits of the ONNX file differ from torch's by up to {away:.2g}, more "
                f"than {TOLERANCE:g} of their spread of {wide:.2g}; nothing is written"
            )
        difference, spread = max(difference, away), min(spread, wide)
    return Exported(content, difference, spread, shapes)


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the log would say it again
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _run(session: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        return np.asarray(session.run([OUTPUT], {INPUT: images})[0])
    except Exception as error:  # its exceptions have no base of their own
        raise UserError(f"export: onnxruntime does not run it ({_first(error)})") from error


def _shape(trained: Trained, count: int, rows: int, columns: int) -> tuple[int, int, int, int]:
    """Return a batch's (N, C, H, W), ``rows`` and ``columns`` steps above the smallest image.

    Where every side is taken, a step is one less than the smallest: such sides stay odd all the
    way down.
    """
    step = max(trained.smallest - 1, 1) if trained.step == 1 else trained.step
    height, width = (trained.smallest + n * step for n in (rows, columns))
    return count, trained.in_channels, height, width


def _first(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0][:200]
