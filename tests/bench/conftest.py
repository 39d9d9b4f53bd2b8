"""A made-up store: as the runner leaves one, with numbers that follow from names and seeds."""

import functools
import itertools
import zlib

import cv2
import numpy as np
import pytest

from bench.evaluation.counts import Evidence, confusion_json, soft_json
from bench.store.folder import Store
from bench.store.records import Record

# fmt: off
MSRC = {
    "building": (128, 0, 0), "grass": (0, 128, 0), "tree": (128, 128, 0), "cow": (0, 0, 128),
    "sheep": (0, 128, 128), "sky": (128, 128, 128), "aeroplane": (192, 0, 0),
    "water": (64, 128, 0), "face": (192, 128, 0), "car": (64, 0, 128), "bicycle": (192, 0, 128),
    "flower": (64, 128, 128), "sign": (192, 128, 128), "bird": (0, 64, 0), "book": (128, 64, 0),
    "chair": (0, 192, 0), "road": (128, 64, 128), "cat": (0, 192, 128), "dog": (128, 192, 128),
    "body": (64, 64, 0), "boat": (192, 64, 0),
}
# fmt: on
SIZES = [(72, 108), (108, 72), (72, 108), (72, 96)]


LOSS = {"train.loss": ["ce", "dice"]}
SIX = {"train.loss": ["ce", "dice", "dice+ce"], "model.upsampling": ["bilinear", "transposed"]}
MANY = {**SIX, "train.augmentation": ["none", "paper"], "train.crop_size": [128, 208]}
NAUGHTY = ["<script>alert(1)</script>", "a|b", "_x_", "$a$ `c` \\", "*b*\n# 1. x", "w" * 90]

# What a report has to cope with.
EXAMPLES = {
    "two arms": {},
    "one arm": {"factors": {}, "seeds": (0,), "classes": 2, "images": 1},
    "one seed": {"seeds": (4,)},
    "seven arms": {
        "factors": SIX,
        "include": ({"model.name": "smp_unet"},),
        "classes": 21,
        "images": 4,
        "counted": 5,
        "ranked": 2,
        "failures": {(1, 2): "oom", (2, 0): "diverged", **{(3, s): "not run" for s in range(3)}},
        "dropped": {4: 7},
    },
    "24 arms": {"factors": MANY, "classes": 21, "seeds": (0, 1), "failures": {(5, 0): "failed"}},
    "four arms": {
        "factors": {"train.loss": ["ce", "dice"], "train.crop_size": [96, 128]},
        "seeds": (0,),
        "classes": 3,
        "images": 1,
    },
    "one at a time": {"factors": SIX, "design": "one_at_a_time"},
    "a margin": {
        "factors": {"train.loss": ["ce", "dice", "dice+ce"]},
        "equivalence": 0.02,
        # dice is never more than 0.1 points away, and dice+ce not at all.
        "values": {
            (a, s): 0.5 + 0.01 * s + (a == 1) * 0.001 * (s - 1) for a in range(3) for s in range(3)
        },
    },
    "no baseline": {"baseline": {}},
    "nothing run": {"failures": {(a, s): "not run" for a in range(2) for s in range(3)}},
    "all failed": {"failures": {(a, s): "failed" for a in range(2) for s in range(3)}},
    "no history, no panels": {"history": False, "images": 0},
    "naughty names": {
        "name": "a|b <script>alert(1)</script>",
        "question": "# Is *this*\n| safe | <b>?",
        "factors": {"train.loss": NAUGHTY},
        "seeds": (0, 1),
        "failures": {(1, 0): "failed"},
        "rename": {"grass": "<b>|</b>", "tree": "$\\alpha$", "cow": "_cow_", "sky": "1. a"},
    },
}


@pytest.fixture
def make_store(tmp_path):
    """Return a function that writes a store into this test's own folder."""

    def make(folder="results/experiment", **options):
        return quickly_built(tmp_path / folder, **options)

    return make


@pytest.fixture(name="made_up_counts")
def _made_up_counts():
    return made_up_counts


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """Return a function: name of an example → its store, which is not to be changed."""

    @functools.cache
    def get(name):
        folder = tmp_path_factory.mktemp("example") / "experiment"
        return quickly_built(folder, **EXAMPLES[name])

    return get


@pytest.fixture(scope="session", params=EXAMPLES)
def every_store(request, example):
    """The stores of all examples, one after the other."""
    return example(request.param)


def quickly_built(folder, **options):
    """Write a store that need not outlive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        return build_store(folder, **options)


def build_store(
    folder,
    *,
    name="loss_ablation",
    question="Which loss?",
    factors=None,
    baseline=None,
    include=(),
    seeds=(0, 1, 2),
    failures=None,
    classes=8,
    epochs=6,
    design="full_factorial",
    images=2,
    values=None,
    history=True,
    dropped=None,
    rename=None,
    counted=0,
    ranked=0,
    equivalence=None,
):
    """Write a results folder.

    Args:
        factors: factor → levels; default one factor with two levels.
        failures: (arm number, seed) → status; ``not run`` leaves the record out.
        values: (arm number, seed) → mean IoU, in place of a made-up one.
        dropped: arm number → number of images left out of training.
        rename: class name → another one.
        equivalence: the plan's δ; a plan of an older version has no such key.
        counted: of how many images the counts are stored that the audit needs; 0 for next to none.
        ranked: of how many more images a trial keeps pictures, its worst first.
    """
    factors = LOSS if factors is None else factors
    if baseline is None:
        baseline = {factor: levels[0] for factor, levels in factors.items()}
    store = Store(folder)
    arms = [*_arms(factors, baseline, design), *include]
    trials = [
        {
            "key": f"k{number:04d}s{seed}",
            "arm": arm,
            "label": " · ".join(map(str, arm.values())) or name,
            "seed": seed,
        }
        for seed in seeds
        for number, arm in enumerate(arms)
    ]
    store.write_plan(
        {
            "name": name,
            "question": question,
            "measure": "accuracy",
            "metric": "mean_iou",
            "design": design,
            "factors": factors,
            "baseline": baseline,
            **({"equivalence": equivalence} if equivalence else {}),
            "seeds": list(seeds),
            "command": f"python -m bench run experiments/{name}.yaml",
            "trials": trials,
        }
    )
    for trial in trials:
        number, seed = int(trial["key"][1:5]), trial["seed"]
        status = (failures or {}).get((number, seed), "done")
        if status == "not run":
            continue
        names = [(rename or {}).get(c, c) for c in itertools.islice(MSRC, classes)]
        rng = np.random.default_rng([number, seed])
        value = (values or {}).get((number, seed))
        if value is None:
            value = 0.35 + 0.3 * _noise(trial["label"]) + 0.02 * rng.standard_normal()
        result = {}
        if status == "done":
            result = _result(store, names, value, rng, images, (dropped or {}).get(number, 0))
            result["panels"] += [
                _panel(store, images + i, len(names), value)
                | {"why": ("worst", "best")[i % 2], "iou": 0.1 + 0.8 * (i % 2)}
                for i in range(ranked)
            ]
        rows = _history(value, epochs, rng) if history else []
        if status != "done":
            rows = rows[: epochs // 2]
        store.commit(
            Record(
                key=trial["key"],
                experiment=name,
                measure="accuracy",
                status=status,
                reason=None if status == "done" else "out of luck in epoch 3",
                arm=trial["arm"],
                label=trial["label"],
                seed=seed,
                settings={
                    "data": {"name": "scenes"},
                    "train": {"loss": "ce", "epochs": epochs, "schedule": {"name": "step"}},
                    "evaluate": {"split": "val", "keep": "last"},
                },
                provenance={"code": "a1b2c3", "data": "d4e5f6"},
                environment={
                    "device": "cpu",
                    "device_name": "A CPU",
                    "python": "3.11.7",
                    "torch": "2.15.0",
                    "threads": 2,
                },
                started="2026-01-02T03:04:05Z",
                seconds=10.0 + number + seed / 4,
                result=result,
            ),
            {"history": rows, **made_up_counts(classes, counted, value, rng)},
        )
    return store


def made_up_counts(classes, images, value, rng):
    """Return what details hold of the predictions of some images: about `value` of them right."""
    if not images:
        return {"confusion": {"images": ["a"], "entries": [[[0, 0, 5]]]}}
    matrices = np.zeros((images, classes, classes), np.int64)
    for number, matrix in enumerate(matrices):
        truth = np.random.default_rng(number)  # the same whatever is predicted
        present = truth.permutation(classes)[: min(classes, 4)]
        for label, pixels in zip(present, truth.integers(500, 9000, len(present)), strict=True):
            matrix[label] = rng.multinomial(
                int(pixels * (1 - value)), rng.dirichlet(np.full(classes, 0.2))
            )
            matrix[label, label] += pixels - matrix[label].sum()
    truth = matrices.sum(2).astype(float)
    mass = 0.9 * matrices.sum(1) + 0.1 * truth.sum(1, keepdims=True) / classes
    hits = np.minimum(0.9 * np.diagonal(matrices, axis1=1, axis2=2), mass)
    names = tuple(f"{number + 1}_{number + 20}_s" for number in range(images))
    found = Evidence(names, matrices, hits, mass, truth)
    return {
        "confusion": confusion_json(found),
        "soft": soft_json(found),
        "train_pixels": (1000 * np.arange(classes, 0, -1)).tolist(),
    }


def _arms(factors, baseline, design):
    if design == "full_factorial":
        return [
            dict(zip(factors, levels, strict=True))
            for levels in itertools.product(*factors.values())
        ]
    changed = [
        {**baseline, factor: level}
        for factor, levels in factors.items()
        for level in levels
        if level != baseline[factor]
    ]
    return [dict(baseline), *changed]


def _noise(text):
    return zlib.crc32(text.encode()) / 2**32


def _history(value, epochs, rng):
    return [
        {
            "epoch": epoch,
            "train_loss": 0.2 + 2 * np.exp(-epoch / 3) + 0.05 * rng.random(),
            "learning_rate": 0.01,
            "seconds": 1.0,
            "metrics": {
                "mean_iou": value * (1 - np.exp(-epoch / 2)),
                "pixel_accuracy": 0.8,
                "classes_averaged": 7,
                "study_iou": 0.1 + 0.7 * (epoch > epochs / 2),
                "study_iou_absent": 0.05 + 0.6 * (epoch > epochs / 2),
            },
        }
        for epoch in range(1, epochs + 1)
    ]


def _result(store, names, value, rng, images, dropped):
    iou = np.clip(value + 0.25 * rng.standard_normal(len(names)), 0, 1)
    iou += value - iou.mean()
    per_class = [float(v) for v in np.clip(iou, 0, 1)]
    if len(names) > 5:
        per_class[5] = None  # neither occurs nor was predicted
    return {
        "classes": names,
        "palette": [list(colour) for colour in itertools.islice(MSRC.values(), len(names))],
        "split": "val",
        "chosen_epoch": 6,
        "metrics": {
            "mean_iou": value,
            "classes_averaged": sum(v is not None for v in per_class),
            "pixel_accuracy": 0.5 + value / 2,
            "mean_class_accuracy": value + 0.1,
            "frequency_weighted_iou": value + 0.05,
            **dict.fromkeys(("iou", "dice", "precision", "recall"), per_class),
        },
        "counts": {
            "train_images": 40 - dropped,
            "dropped_images": dropped,
            "evaluated_images": 12,
            "parameters": 123456,
            "steps": 120,
        },
        "panels": [_panel(store, i, len(names), value) for i in range(images)],
    }


def _panel(store, number, classes, value):
    """A photograph of sorts: textured regions, their labels with a void border, a prediction."""
    rng = np.random.default_rng(number)
    height, width = SIZES[number % len(SIZES)]
    centres = rng.random((5, 2)) * (height, width)
    present = rng.permutation(classes)[:5]
    grid = np.stack(np.mgrid[:height, :width], -1)
    distance = np.linalg.norm(grid[:, :, None] - centres, axis=-1)
    truth = present[distance.argmin(-1) % len(present)].astype(np.uint8)
    near = np.sort(distance, -1)
    prediction = np.where(cv2.blur(rng.random((height, width)), (9, 9)) < value, truth, present[0])
    colours = rng.integers(40, 216, (256, 3))
    image = colours[truth] + 25 * rng.standard_normal((height, width, 1)) + grid[..., :1] / 2
    truth[near[..., 1] - near[..., 0] < 3] = 255
    pictures = {"image": image.clip(0, 255), "truth": truth, "prediction": prediction}
    stored = {
        kind: store.put(cv2.imencode(".png", p.astype(np.uint8))[1].tobytes(), ".png")
        for kind, p in pictures.items()
    }
    return {"name": f"{number + 1}_{number + 20}_s", **stored}
