"""Stores of any experiment, derived from real trials: every record has all that a real one has.

Arms, seeds and keys are other ones, and scores are moved to where a test needs them. A value can
only take the place of one that the real record has: ``changed`` refuses any other key.
"""

import copy
import functools
import itertools
import zlib

import numpy as np

from bench.evaluation.counts import ImageCounts, confusion_json, soft_json
from bench.execution import scoring
from bench.store.folder import Store
from bench.store.plans import Plan
from bench.store.records import Record
from bench.store.results import Memory, ThroughputResult, Validity, WarmUp
from tests.bench import real_trials
from tests.bench.real_trials import ABSENT


def changed(real, **values):
    """Return a real mapping with other values; KeyError names what it does not have."""
    unknown = values.keys() - real.keys()
    if unknown:
        raise KeyError(f"no real record has {', '.join(sorted(unknown))}")
    return {**real, **values}


@functools.cache
def templates(folder, measure, classes):
    """Return (record, details) of real trials as JSON: some with a result, and one without."""
    if measure == "throughput":
        store = real_trials.timed(folder)
    else:
        store = real_trials.scored(folder, classes)
    stores = (store, real_trials.diverged(folder))
    done, failed = ([_json(each, r) for r in each.records()] for each in stores)
    return store, done, failed[0]


def _json(store, record):
    return record.model_dump(mode="json"), details_json(store, record.key)


def details_json(store, key):
    """Return the details of a trial as ``commit`` takes them."""
    return store.details(key).model_dump(mode="json", exclude_unset=True)


def build(
    real,
    folder,
    *,
    name="loss_ablation",
    question="Which loss?",
    measure="accuracy",
    metric=None,
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
    pairing="seed",
    looks=(),
    stopped=None,
    without=(),
    prefix="k",
    settings=None,
):
    """Write a results folder.

    Args:
        real: the folder of the real trials.
        measure: ``accuracy`` or ``throughput``.
        factors: factor → levels; default one factor with two levels.
        failures: (arm number, seed) → status; ``not run`` leaves the record out.
        values: (arm number, seed) → mean IoU or images a second, in place of one of our own.
        classes: how many of MSRC's there are; each number is measured once a run.
        history: whether there are epochs.
        dropped: arm number → number of images left out of training.
        rename: class name → another one.
        counted: of how many images counts are made up that fit the score; 0 for the real ones.
        images: of how many the same pictures are kept in every trial.
        looks: numbers of seeds at which comparisons are decided.
        stopped: arm number → with how many of the seeds it is planned, where not with all.
        ranked: of how many more a trial keeps pictures, its worst first.
        without: names of details that are left out, as older versions did.
        prefix: of the keys of all trials.
        settings: arm number → dotted setting → its value.
    """
    factors = {"train.loss": ["ce", "dice"]} if factors is None else factors
    if baseline is None:
        baseline = {factor: levels[0] for factor, levels in factors.items()}
    arms = [*_arms(factors, baseline, design), *include]
    source, done, failed = templates(real, measure, classes)
    plan = source.read_plan().model_dump(mode="json")
    trials = [
        changed(
            plan["trials"][0],
            key=f"{prefix}{number:04d}s{seed}",
            arm=arm,
            label=" · ".join(map(str, arm.values())) or name,
            seed=seed,
        )
        for place, seed in enumerate(seeds)
        for number, arm in enumerate(arms)
        if place < (stopped or {}).get(number, len(seeds))
    ]
    store = Store(folder)
    planned = changed(
        plan,
        name=name,
        question=question,
        metric=metric or plan["metric"],
        design=design,
        factors=factors,
        baseline=baseline,
        equivalence=equivalence,
        pairing=pairing,
        seeds=list(range(looks[-1])) if looks else list(seeds),
        looks=list(looks),
        command=f"python -m bench run experiments/{name}.yaml",
        trials=trials,
    )
    store.write_plan(Plan.model_validate(planned))
    for trial in trials:
        number, seed = int(trial["key"].removeprefix(prefix)[:4]), trial["seed"]
        status = (failures or {}).get((number, seed), "done")
        if status == "not run":
            continue
        rng = np.random.default_rng([number, seed])
        value = (values or {}).get((number, seed))
        template = done[(number + seed) % len(done)]
        head = _head(template[0], trial, name, number, (settings or {}).get(number, {}))
        if status not in ("done", "invalid"):
            record, details = _failed(head, failed, status, epochs)
            details = details if measure == "accuracy" else {}  # what was timed has no epochs
        elif measure == "throughput":
            record, details = _timed(head, template, status, value, rng)
        else:
            value = _score(trial["label"], rng) if value is None else value
            found = _details(template[1], value, rng, epochs if history else 0, classes, counted)
            wanted = {"rename": rename or {}, "images": images, "ranked": ranked}
            wanted["dropped"] = (dropped or {}).get(number, 0)
            details, own = found
            result = _scored(template[0]["result"], own, epochs=epochs, **wanted)
            result["counts"]["evaluated_images"] = len(details["confusion"]["images"])
            record = changed(head, result=result, status=status, reason=_reason(status))
            record["settings"]["train"] = changed(record["settings"]["train"], epochs=epochs)
            _copy_pictures(source, store, result["examples"])
        kept = {key: part for key, part in details.items() if key not in without}
        store.commit(Record.model_validate(record), kept)
    return store


def _arms(factors, baseline, design):
    if design == "full_factorial":
        return [
            dict(zip(factors, levels, strict=True))
            for levels in itertools.product(*factors.values())
        ]
    others = [
        {**baseline, factor: level}
        for factor, levels in factors.items()
        for level in levels
        if level != baseline[factor]
    ]
    return [dict(baseline), *others]


def _head(real, trial, name, number, settings):
    """Return a real record as that of another trial, measured on a machine that is not ours."""
    record = changed(
        copy.deepcopy(real),
        **{key: trial[key] for key in ("key", "arm", "label", "seed")},
        experiment=name,
        started="2026-01-02T03:04:05Z",
        seconds=10.0 + number + trial["seed"] / 4,
        environment=changed(
            real["environment"],
            device="cpu",
            device_name="A CPU",
            python="3.11.7",
            torch="2.15.0",
            threads=2,
        ),
        provenance=changed(real["provenance"], code="a1b2c3", data="d4e5f6"),
    )
    for setting, level in {**settings, **trial["arm"]}.items():
        section, _, key = setting.partition(".")
        if key in record["settings"].get(section, {}):
            record["settings"][section][key] = level
    return record


def _reason(status):
    return None if status == "done" else "out of luck in epoch 3"


def _failed(head, failed, status, epochs):
    """Return what is left of a trial that ended as another real one without a result did."""
    real, details = failed
    record = changed(head, status=status, reason=_reason(status), result=real["result"])
    if "history" in details:
        details = changed(details, history=details["history"][: epochs // 2])
    return record, details


def _score(label, rng):
    noise = zlib.crc32(label.encode()) / 2**32
    return 0.35 + 0.3 * noise + 0.02 * rng.standard_normal()


def _scored(real, own, *, rename, images, ranked, dropped, epochs):
    """Return a real result with the scores of other counts."""
    names = [rename.get(each, each) for each in real["classes"]]
    metrics = changed(real["metrics"], **own)
    counts = changed(
        real["counts"],
        train_images=real["counts"]["train_images"] - dropped,
        dropped_images=dropped,
        parameters=123456,
        epochs=epochs,
    )
    return changed(
        real,
        classes=names,
        chosen_epoch=epochs,
        metrics=metrics,
        counts=counts,
        examples=_examples(real["examples"], images, ranked),
        checkpoint=None,
    )


def _examples(real, images, ranked):
    by_why = {why: [one for one in real if one["why"] == why] for why in ("worst", "best")}
    chosen = [one for one in real if one["why"] == "chosen"][:images]
    extremes = [by_why[("worst", "best")[i % 2]][i // 2] for i in range(ranked)]
    kept = [changed(one, name=_image(i)) for i, one in enumerate([*chosen, *extremes])]
    for i, one in enumerate(kept[len(chosen) :]):
        one["iou"] = 0.1 + 0.8 * (i % 2)
    return kept


def _image(number):
    return f"{number + 1}_{number + 20}_s"


def _copy_pictures(source, store, examples):
    for example in examples:
        for kind in ("image", "truth", "prediction"):
            if not (store.folder / example[kind]).is_file():
                store.put(source.blob(example[kind]), ".png")


def _details(real, value, rng, epochs, classes, counted):
    rows = [
        changed(
            copy.deepcopy(real["history"][epoch % 2]),
            epoch=epoch,
            train_loss=0.2 + 2 * np.exp(-epoch / 3) + 0.05 * rng.random(),
            learning_rate=0.01,
            seconds=1.0,
            metrics=changed(
                real["history"][epoch % 2]["metrics"],
                mean_iou=value * (1 - np.exp(-epoch / 2)),
                pixel_accuracy=0.8,
                classes_averaged=7,
                study_iou=0.1 + 0.7 * (epoch > epochs / 2),
                study_iou_absent=0.05 + 0.6 * (epoch > epochs / 2),
            ),
        )
        for epoch in range(1, epochs + 1)
    ]
    details = changed(copy.deepcopy(real), history=rows)
    if counted:
        made_up = made_up_counts(classes, counted, value, rng)
        whole = matrix_of(by_class(classes, value, rng))
        # Of every cell, each image has another part.
        parts = np.moveaxis(rng.dirichlet(np.full(counted, 4), whole.shape), -1, 0)
        matrices = (parts * whole).astype(np.int64)
        matrices[-1] += whole - matrices.sum(0)
        made_up |= counts_json(made_up["confusion"]["images"], matrices)
        shapes = itertools.cycle(real["per_image"].values())
        made_up["per_image"] = dict(zip(made_up["confusion"]["images"], shapes, strict=False))
    else:
        images = real["confusion"]["images"]
        matrix = matrix_of(by_class(classes, value, rng))
        made_up = counts_json(images, np.array([matrix] * len(images)))
    details = changed(details, **made_up)
    own = scores_of(details, classes)
    return details, {**own, "mean_iou": value}


def by_class(classes, mean, rng):
    """Return the IoU of each class, of some mean; None of one that is nowhere."""
    label = [each for each in range(classes) if each != ABSENT]
    away = 0.25 * rng.standard_normal(len(label))
    away -= away.mean()
    furthest = min(mean, np.hypot(1, 1 - mean) - 1)  # as far as `matrix_of` can go
    iou = dict(zip(label, mean + away * min(1, furthest / max(1e-9, abs(away).max())), strict=True))
    return [iou.get(each) for each in range(classes)]


def matrix_of(iou):
    """Return a (C, C) confusion matrix in which classes have some IoU, to about ten digits.

    What is true does not depend on it: each class has as many pixels, and those that are wrong
    have the next class. Of w wrong pixels of a class and v of the one before, of n in all:
    IoU = (n - w) / (n + v), an equation for each class.
    """
    pixels = 10**10
    there = [label for label, value in enumerate(iou) if value is not None]
    found = np.array([iou[label] for label in there])
    before = np.roll(np.eye(len(there)), -1, axis=0).T
    equations = np.eye(len(there)) + found[:, None] * before
    wrong, *_ = np.linalg.lstsq(equations, pixels * (1 - found))
    matrix = np.zeros((len(iou), len(iou)), np.int64)
    following = there[1:] + there[:1]
    matrix[there, following] = np.rint(wrong)
    matrix[there, there] += pixels - matrix[there, following]
    assert matrix.min() >= 0
    return matrix


def scores_of(details, classes):
    """Return the scores that the measuring code makes of counts."""
    shape = (len(details["confusion"]["images"]), classes, classes)
    matrices = np.zeros(shape, np.int64)
    for matrix, entries in zip(matrices, details["confusion"]["entries"], strict=True):
        for truth, prediction, pixels in entries:
            matrix[truth, prediction] = pixels
    sums = np.zeros(shape[:2])
    found = scoring.scores(ImageCounts(tuple(range(shape[0])), matrices, sums, sums))
    boundary = np.zeros((2, classes))
    for image in details["per_image"].values():
        for label, *counts in image["boundary"]:
            boundary[:, label] += counts
    inside, whole = boundary.tolist()
    shares = [i / w if w else None for i, w in zip(inside, whole, strict=True)]
    defined = [share for share in shares if share is not None]
    mean = sum(defined) / len(defined) if defined else None
    return {**found, "boundary_iou": shares, "mean_boundary_iou": mean}


def _timed(head, template, status, speed, rng):
    """Return a timed step that takes as long as a number of images a second says."""
    real, details = template
    if speed is None:
        speed = 100 * _score(head["label"], rng)
    timing, batch = real["result"], head["settings"]["train"]["batch_size"]
    slower = (1e3 * batch / speed) / timing["milliseconds"]
    times = ("milliseconds", "milliseconds_low", "milliseconds_high")
    share = timing["roofline_share"] / slower
    moved = {"images_per_second": speed, "roofline_share": share}
    result = changed(
        timing,
        **moved,
        **{name: timing[name] * slower for name in times},
        parts_ms={name: part * slower for name, part in timing["parts_ms"].items()},
        metrics=changed(timing["metrics"], **moved, milliseconds=1e3 * batch / speed),
        counts=changed(timing["counts"], batch_size=batch),
        validity=changed(
            timing["validity"],
            valid=status == "done",
            reasons=[] if status == "done" else [_reason(status)],
        ),
    )
    times = {name: [each * slower for each in details[name]] for name in ("wall_ms", "warm_up_ms")}
    return changed(head, result=result, status=status, reason=_reason(status)), {
        **details,
        **times,
    }


def timing():
    """What is stored of a pass that was timed."""
    return ThroughputResult(
        work="inference",
        images_per_second=2000.0,
        milliseconds=1.0,
        milliseconds_low=1.0,
        milliseconds_high=1.0,
        first_call_seconds=1.0,
        warm_up=WarmUp(settled=True, windows=1, calls_in_window=1),
        memory=Memory(),
        validity=Validity(valid=True),
        states={},
        metrics={"images_per_second": 2000.0, "milliseconds": 1.0},
        counts={"batch_size": 2},
    )


def made_up_counts(classes, images, value, rng):
    """Return what details hold of the predictions of some images: about `value` of them right."""
    matrices = np.zeros((images, classes, classes), np.int64)
    for number, matrix in enumerate(matrices):
        truth = np.random.default_rng(number)  # the same whatever is predicted
        present = truth.permutation(classes)[: min(classes, 4)]
        for label, pixels in zip(present, truth.integers(500, 9000, len(present)), strict=True):
            matrix[label] = rng.multinomial(
                int(pixels * (1 - value)), rng.dirichlet(np.full(classes, 0.2))
            )
            matrix[label, label] += pixels - matrix[label].sum()
    found = counts_json(tuple(map(_image, range(images))), matrices)
    return {**found, "train_pixels": (1000 * np.arange(classes, 0, -1)).tolist()}


def counts_json(names, matrices):
    """Return what details hold of (N, C, C) confusion matrices, with soft sums that fit them."""
    truth = matrices.sum(2).astype(float)
    predicted = 0.9 * matrices.sum(1) + 0.1 * truth.sum(1, keepdims=True) / matrices.shape[1]
    intersection = np.minimum(0.9 * np.diagonal(matrices, axis1=1, axis2=2), predicted)
    found = ImageCounts(tuple(names), matrices, intersection, predicted)
    return {"confusion": confusion_json(found), "soft": soft_json(found)}
