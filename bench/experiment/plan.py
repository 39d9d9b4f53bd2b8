"""An experiment → its trials: arms × seeds, each with a key made of all that decides it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import metrics
from bench.components.names import is_path
from bench.data import border_weights, folds, normalisation
from bench.data.dataset import Dataset, DatasetSettings
from bench.data.files.pairs import first_of
from bench.data.tune_split import TUNE
from bench.errors import UserError, nearest
from bench.evaluation import own_metrics
from bench.evaluation.predict import VIEWS
from bench.experiment import (
    code_digest,
    contract,
    crossover,
    data_digest,
    design,
    label_checks,
    network_checks,
)
from bench.experiment.config import Experiment
from bench.experiment.levels import named, names
from bench.experiment.reconcile import Stale
from bench.experiment.trial import Arm, Trial
from bench.machine import environment
from bench.measurements import MEASUREMENTS
from bench.store.plans import Plan, PlannedTrial, Tuning
from bench.training import losses, models

Provenance = Mapping[str, str]


def plan(experiment: Experiment, root: Path, *, device: str | None = None) -> list[Trial]:
    """List the trials of an experiment, every arm with the first seed before the second.

    ``root`` is the folder that holds the datasets, and ``device`` says what times are of, where a
    measurement depends on it. UserError if an arm is impossible, two arms are the same, or data is
    missing.
    """
    return of_arms(experiment, design.arms(experiment), experiment.all_seeds, root, device=device)


def of_arms(
    experiment: Experiment,
    arms: list[Arm],
    seeds: Sequence[int],
    root: Path,
    *,
    device: str | None = None,
) -> list[Trial]:
    """List the trials of some arms, every arm with the first seed before the second.

    UserError as of ``plan``.
    """
    network_checks.check_read(experiment.name, [arm.settings.model for arm in arms])
    opened: dict[tuple[DatasetSettings, bool], Dataset] = {}
    for arm in arms:
        if _images(arm) not in opened:
            opened[_images(arm)] = arm.settings.dataset(root)
    datasets = [opened[_images(arm)] for arm in arms]
    for model, channels in dict.fromkeys(
        (arm.settings.model, data.in_channels) for arm, data in zip(arms, datasets, strict=True)
    ):
        models.architecture(model).check(channels)
    _check_metric(experiment, arms, opened.values())
    label_checks.check_data(experiment.labels, experiment.name, opened.values())
    tried: set[str] = set()
    for arm, dataset in zip(arms, datasets, strict=True):
        _check_arm(experiment, arm, dataset)
        contract.check(arm.settings, experiment.measure, dataset, tried)
    made_of: dict[str, tuple[Arm, Provenance]] = {}
    for arm, provenance in zip(arms, _provenances(experiment, arms, datasets, device), strict=True):
        digest = _digest(experiment.measure, arm, provenance)
        if digest in made_of:
            raise UserError(
                f"{experiment.name}: arms {made_of[digest][0].label!r} and {arm.label!r} are the "
                "same trial (what differs changes no result); leave one out with exclude"
            )
        made_of[digest] = arm, provenance
    return [
        Trial(_key(digest, seed), arm, seed, provenance)
        for seed in seeds
        for digest, (arm, provenance) in made_of.items()
    ]


def same_training(measure: str, trial: Trial, root: Path) -> list[str]:
    """Return the keys of trials that train the same network and differ in how it is scored.

    They are this trial, on every split of its dataset and with every kind of averaged predictions.
    """
    settings, keys = trial.arm.settings, []
    dataset = settings.dataset(root)
    splits = (TUNE,) if settings.evaluate.split == TUNE else tuple(dataset.splits)
    for split, tta in itertools.product(splits, VIEWS):
        evaluate = settings.evaluate.model_copy(update={"split": split, "tta": tta})
        other = settings.model_copy(update={"evaluate": evaluate})
        arm = replace(trial.arm, settings=other, effective=other.effective(measure))
        data = data_digest.of_dataset(dataset, other.splits(measure))
        keys.append(_key(_digest(measure, arm, {**trial.provenance, "data": data}), trial.seed))
    return keys


def measuring_order(experiment: Experiment, trials: Sequence[Trial]) -> list[Trial]:
    """Return trials in the order in which to measure them, the same for the same plan.

    Scores of networks depend on their seed and not on when they are trained, so these keep the
    plan's order. What is timed goes round by round, in the rows of a Williams square, so that an
    arm that heats the machine does so to each of the others equally often. Which arm and row is
    which is drawn from the name and the keys of the first round, so that it is another draw for
    another experiment, and trials keep their places if a run is resumed or rounds are added.
    """
    if not MEASUREMENTS[experiment.measure].shuffled:
        return list(trials)
    rounds: dict[int, list[Trial]] = {}  # by seed
    for trial in trials:
        rounds.setdefault(trial.seed, []).append(trial)
    rows: dict[int, Iterator[tuple[int, ...]]] = {}  # by number of arms: some rounds may have fewer
    order: list[Trial] = []
    for own in rounds.values():
        if len(own) not in rows:
            text = " ".join([experiment.name, *(trial.key for trial in own)])
            digest = list(hashlib.sha256(text.encode()).digest())
            rows[len(own)] = crossover.rounds(len(own), np.random.default_rng(digest))
        order += [own[index] for index in next(rows[len(own)])]
    return order


def describe(
    experiment: Experiment,
    trials: Sequence[Trial],
    command: str,
    accepted: Mapping[str, Stale] | None = None,
    *,
    folder: Path,
    tuning: Tuning | None = None,
    more: int = 0,
) -> Plan:
    """Return what is stored of a plan in a folder: what a report has to know beside the records.

    Of ``accepted``, key of a trial → the record of another version that is taken for it.
    """
    own = {"factors", "baseline", "seeds"}
    copied = Plan.model_fields.keys() & Experiment.model_fields.keys() - own
    return Plan(
        **{name: getattr(experiment, name) for name in copied},
        factors=names(experiment.factors),
        named_levels=named(experiment.factors),
        baseline=design.baseline(experiment),
        seeds=experiment.all_seeds,
        looks=experiment.looks,
        more=more,
        command=command,
        folder=_folder_of_components(experiment, trials, folder),
        lower_is_better=is_path(experiment.metric)
        and not own_metrics.higher_is_better(experiment.metric),
        trials=tuple(_described(trial, (accepted or {}).get(trial.key)) for trial in trials),
        tuning=tuning and _with_accepted(tuning, accepted or {}),
        block=experiment.block,
    )


def _folder_of_components(
    experiment: Experiment, trials: Sequence[Trial], folder: Path
) -> str | None:
    """Return where a user's own components are, as seen from a folder; None if none is used."""
    settings = {id(trial.arm): trial.arm.settings for trial in trials}.values()
    used = (one for arm in settings for one in arm.components(experiment.measure))
    if all(one.is_ours for one in used):
        return None
    return os.path.relpath(experiment.folder, folder.resolve()).replace(os.sep, "/")


def _described(trial: Trial, accepted: Stale | None) -> PlannedTrial:
    return PlannedTrial(
        key=accepted.record.key if accepted else trial.key,
        arm=trial.arm.levels,
        label=trial.arm.label,
        seed=trial.seed,
        stale=accepted.differs if accepted else (),
    )


def _with_accepted(tuning: Tuning, accepted: Mapping[str, Stale]) -> Tuning:
    """Name the records that are taken for trials of tuning, and for those at the default."""
    keys = {key: {"key": one.record.key} for key, one in accepted.items()}
    trials = tuple(one.model_copy(update=keys.get(one.key, {})) for one in tuning.trials)
    defaults = tuple(one.model_copy(update=keys.get(one.key, {})) for one in tuning.defaults)
    return tuning.model_copy(update={"trials": trials, "defaults": defaults})


def _check_metric(experiment: Experiment, arms: list[Arm], datasets: Iterable[Dataset]) -> None:
    """Refuse a metric that a dataset does not have, or that arms cannot be compared by."""
    name, where = experiment.metric, f"{experiment.name}: metric:"
    metric, (_, of_class) = metrics.find(name), metrics.split(name)
    sizes = sorted({arm.settings.train.batch_size for arm in arms})
    if metric.of == "batch" and len(sizes) > 1:
        raise UserError(
            f"{where} {name} is of a whole batch, and arms have batches of "
            f"{', '.join(map(str, sizes))}; images_per_second compares them"
        )
    for dataset in datasets:
        if is_path(name):
            continue
        if of_class is not None and of_class not in dataset.classes:
            hint = nearest(of_class, dataset.classes)
            raise UserError(f"{where} {dataset.name} has no class {of_class!r}{hint}")
        own = dataset.scores.metrics if dataset.scores is not None else ()
        if metric.of == "dataset" and metric.name not in own:
            raise UserError(f"{where} {dataset.name} has no {metric.name}")


def _check_arm(experiment: Experiment, arm: Arm, dataset: Dataset) -> None:
    """Refuse border weights of cells, and splits, that the dataset does not have."""
    train, evaluate = arm.settings.train, arm.settings.evaluate
    if losses.takes_weights(train.loss):
        border_weights.check(dataset, train.border_weights)
    normalisation.check(train.normalisation, dataset)
    losses.check_classes(train.loss, train.loss_options, dataset.classes)
    patience = f"{experiment.name}: train.patience:"
    if not MEASUREMENTS[experiment.measure].trains:
        if train.patience is not None:
            raise UserError(f"{patience} nothing is trained if {experiment.measure} is measured")
        return
    if train.patience is not None and evaluate.split != TUNE and "val" not in dataset.splits:
        raise UserError(
            f"{patience} {dataset.name} has no val split here, so there is no score to stop by; "
            f"it has {', '.join(dataset.splits)}"
        )
    watched = ["val"] if evaluate.keep == "best" and evaluate.split != TUNE else []
    for split in (evaluate.split, *watched):
        if split not in dataset.splits:
            raise UserError(
                f"{experiment.name}: evaluate: {dataset.name} has no {split} split here; "
                f"it has {', '.join(dataset.splits)}"
            )
    _check_groups(experiment, dataset.splits[evaluate.split].names)


def _check_groups(experiment: Experiment, names: Sequence[str]) -> None:
    """Refuse groups that some images are not in."""
    pattern = experiment.image_groups
    without = [name for name in names if pattern is not None and not folds.fitting(pattern, name)]
    if without:
        raise UserError(
            f"{experiment.name}: image_groups: {pattern!r} finds no group for {first_of(without)}"
        )


def _provenances(
    experiment: Experiment, arms: list[Arm], datasets: Sequence[Dataset], device: str | None
) -> list[Provenance]:
    """Return the digests of each arm; the images of each dataset are digested once."""
    measure = experiment.measure
    used = [(_images(arm), arm.settings.splits(measure)) for arm in arms]
    images = {
        (images, splits): data_digest.of_dataset(dataset, splits)
        for (images, splits), dataset in dict(zip(used, datasets, strict=True)).items()
    }
    components = [arm.settings.components(measure) for arm in arms]
    code = {one: code_digest.of_components(one) for one in dict.fromkeys(components)}
    shared = {"code": code_digest.of_measurement(measure), "versions": environment.versions()}
    shared |= {} if device is None else {"device": device}
    return [
        {
            "data": images[read],
            "components": code[parts],
            **shared,
            **arm.settings.model.encoder_digest(),
        }
        for arm, read, parts in zip(arms, used, components, strict=True)
    ]


def _images(arm: Arm) -> tuple[DatasetSettings, bool]:
    """Return what tells the images of arms apart."""
    return arm.settings.data, arm.settings.evaluate.split == TUNE


def _digest(measure: str, arm: Arm, provenance: Provenance) -> str:
    """Digest everything that decides a result but the seed."""
    decides = {"measure": measure, "settings": arm.effective, **provenance}
    canonical = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _key(digest: str, seed: int) -> str:
    return hashlib.sha256(f"{digest} {seed}".encode()).hexdigest()[:20]
