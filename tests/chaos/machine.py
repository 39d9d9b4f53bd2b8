"""A results folder to which everything happens that people and machines do to one, in any order.

Each rule lets one thing happen; after each of them every result that is stored has to be the one that
its provenance says. The stand-in's score is a function of what it really read: the bytes of a mask
and the code that its process has; so a result under the wrong fingerprint gives itself away.
"""

import collections
import hashlib
import os
import shutil
import signal
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import yaml
import zygote
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bench.execution import accuracy
from bench.experiment import code_digest, source_text
from bench.experiment.context import Measured
from bench.store.folder import Store
from bench.store.records import is_final
from bench.store.results import AccuracyResult

VERSIONS = (1, 2)
WHOLE = 2**24  # of which a score is a part
EDITED = code_digest.ROOT / "bench/training/losses.py"
NAMES = [f"{kind}/{split}" for kind in ("images", "masks") for split in ("train", "val")]
MASK = "data/own/masks/val/a.png"
PART = ("trials", "details", "blobs")


def score(loss, seed, mask, code):
    """What the stand-in measures."""
    text = f"{loss} {seed} {hashlib.sha256(mask).hexdigest()} {code}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:6], 16) / WHOLE


def masks():
    """Two versions of the mask that is edited: the same size, and other labels."""
    found = {}
    for version in VERSIONS:
        mask = np.zeros((20, 24), np.uint8)
        mask[:, : 8 * version] = 1
        found[version] = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
    return found


class Folder(zygote.Stage):
    """A stage with images of its own, and runners whose code and moments can be chosen."""

    def __init__(self, folder):
        super().__init__(folder, seeds=1)
        (self.folder / "data" / "own").mkdir(parents=True)
        for name in NAMES:
            (self.folder / "data" / "own" / name).mkdir(parents=True)
            shape = (20, 24, 3) if name.startswith("images") else (20, 24)
            cv2.imwrite(
                str(self.folder / "data" / "own" / name / "a.png"), np.zeros(shape, np.uint8)
            )
        (self.folder / "data" / "own" / "classes.yaml").write_text("names: [dark, bright]")
        described = yaml.safe_load((self.folder / "chaos.yaml").read_text())
        described["data"] = {"name": "folder", "path": "own"}
        described["evaluate"] = {"panels": 0, "extremes": 0}
        (self.folder / "chaos.yaml").write_text(yaml.safe_dump(described))
        self.masks = masks()
        self.code = 1
        self.happen = None  # in the middle of measuring, with the number of the trial
        self.write_mask(1)

    def arguments(self, *more):
        return [*super().arguments(*more), "--data", str(self.folder / "data")]

    def write_mask(self, version):
        (self.folder / MASK).write_bytes(self.masks[version])

    def patch(self, at):
        super().patch(at)
        measured, code, text = [], self.code, source_text.read(EDITED)
        code_digest._SOURCES[EDITED] = text + f"\nVERSION = {code}\n"
        really = source_text.read
        now = self.folder / "code"  # what the file says by now
        now.write_text(str(code))
        source_text.read = lambda path: (
            text + f"\nVERSION = {now.read_text()}\n" if path == EDITED else really(path)
        )

        def measure(settings, seed, context):
            measured.append(seed)
            if self.happen is not None:
                self.happen(len(measured))
            mask = (self.folder / MASK).read_bytes()
            context.checkpointer.write(b"state" * 50)
            value = score(settings.train.loss, seed, mask, code)
            part = round(value * WHOLE)
            counts, scores = zygote.predicted(part, WHOLE, classes=2, images=1)
            blob = context.put(f"{value}".encode() * 20, ".safetensors")
            result = AccuracyResult(
                classes=("a", "b"), palette=((0, 0, 0), (1, 1, 1)), split="val", chosen_epoch=1,
                metrics=scores, checkpoint=blob,
                counts={"train_images": 1, "dropped_images": 0, "parameters": 7,
                        "evaluated_images": 1},
            )  # fmt: skip
            return Measured(result, {"history": [], "confusion": counts})

        accuracy.measure = measure


class Machine(RuleBasedStateMachine):
    """What may happen, and what has to hold after it."""

    counts: ClassVar = collections.Counter()
    root = Path()

    def __init__(self):
        super().__init__()
        self.counts["examples"] += 1
        self.stage = Folder(self.root / f"example{self.counts['examples']}")
        self.data = 1  # version of the mask
        self.may_be_twice = set()  # keys whose files were harmed or thrown away
        self.known = {}  # (digest of data, digest of code) → versions

    def teardown(self):
        shutil.rmtree(self.stage.folder)

    # ------------------------------------------------------------ what happens

    def finish(self, at=None, happen=None):
        self.stage.happen = happen
        status, said = self.stage.finish(at=at)
        assert "Traceback" not in said, said
        self.counts[f"runs that ended with {status}"] += 1
        return status, said

    @rule()
    def run(self):
        status, said = self.finish()
        assert status == 0, said
        current = [r for r in self.records() if is_final(r)]
        assert len(current) == self.stage.trials

    @rule(point=st.sampled_from(["trials renamed", "trials begins", "details done", "partial done",
                                 "blobs renamed", "claim taken", "claim ends", "trials created"]),
          often=st.integers(1, 3))  # fmt: skip
    def run_that_is_killed(self, point, often):
        left = [often]

        def die(here):
            left[0] -= here == point
            if left[0] == 0:
                os.killpg(os.getpgrp(), signal.SIGKILL)

        self.finish(at=die)

    @rule(number=st.integers(1, 3), back=st.booleans())
    def images_change_during_a_run(self, number, back):
        before, after = self.data, 3 - self.data

        def happen(trial):
            if trial == number:
                self.stage.write_mask(after)
            elif back and trial == number + 1:
                self.stage.write_mask(before)

        status, said = self.finish(happen=happen)
        self.data = 1 if (self.stage.folder / MASK).read_bytes() == self.stage.masks[1] else 2
        if self.data != before:
            assert status == 2, said
            assert "stale data" in said

    @rule()
    def images_are_edited(self):
        self.data = 3 - self.data
        self.stage.write_mask(self.data)

    @rule()
    def code_is_edited(self):
        self.stage.code = 3 - self.stage.code

    @rule()
    def two_run_at_once(self):
        self.stage.happen = None
        runners = [self.stage.start()[0] for _ in range(2)]
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in runners]
        assert ends == [0, 0], (self.stage.folder / "errors").read_text()
        self.counts["pairs"] += 1

    @rule(number=st.integers(1, 3))
    def the_folder_is_renamed_during_a_run(self, number):
        here, away = self.stage.store.folder, self.stage.results / "away"

        def happen(trial):
            if trial == number and not away.exists():
                here.rename(away)

        self.finish(happen=happen)
        if away.exists():
            assert not (here / "trials").exists()
            shutil.rmtree(here, ignore_errors=True)
            away.rename(here)
            self.counts["renamed"] += 1

    @rule()
    def somebody_cleans(self):
        for name in ("archive", "damaged", "partial", "report"):
            self.forgive(self.stage.store.folder / name)
            shutil.rmtree(self.stage.store.folder / name, ignore_errors=True)

    @rule(place=st.integers(0, 10**6), cut=st.booleans())
    def a_file_is_damaged(self, place, cut):
        stored = [p for part in PART for p in sorted((self.stage.store.folder / part).glob("*"))]
        if stored:
            path = stored[place % len(stored)]
            content = bytearray(path.read_bytes())
            if cut:
                del content[place % len(content) :]
            else:
                content[place % len(content)] ^= 1 << place % 8
            path.write_bytes(content)
            # A picture may belong to several trials.
            self.may_be_twice |= {path.stem} if path.parent.name != "blobs" else self.logged()
            self.counts["files damaged"] += 1

    @rule()
    def somebody_reports(self):
        if (self.stage.store.folder / "plan.json").exists():
            assert "mean_iou" in self.stage.table()
            self.counts["reports"] += 1

    # ----------------------------------------------------------- what has to hold

    def logged(self):
        return set(self.stage.log.read_text().split()) if self.stage.log.is_file() else set()

    def forgive(self, folder):
        self.may_be_twice |= {path.stem for path in folder.rglob("*.json")}

    def records(self, folder="."):
        store = Store(self.stage.store.folder / folder)
        return list(store.held(store.keys()).values())

    def archives(self):
        return [f"archive/{path.name}" for path in (self.stage.store.folder / "archive").glob("*")]

    @invariant()
    def every_result_is_what_its_provenance_says(self):
        for record in [r for one in (".", *self.archives()) for r in self.records(one)]:
            if record.result is None:
                continue
            found = record.metric("mean_iou")
            made_of = [
                (data, code)
                for data in VERSIONS
                for code in VERSIONS
                if score(record.arm["train.loss"], record.seed, self.stage.masks[data], code)
                == found
            ]
            assert len(made_of) == 1, record
            digests = record.provenance["data"], record.provenance["code"]
            assert self.known.setdefault(digests, made_of[0]) == made_of[0], record
            self.counts["results checked"] += 1
        assert len(set(self.known.values())) == len(self.known)

    @invariant()
    def no_result_is_lost_or_measured_twice(self):
        if not self.stage.log.is_file():
            return
        times = collections.Counter(self.stage.log.read_text().split())
        assert not {key for key, n in times.items() if n > 1} - self.may_be_twice
        here = {path.stem for path in self.stage.store.folder.rglob("*.json")}
        assert not set(times) - here - self.may_be_twice


def run(folder, examples):
    """Let so many examples happen; return what was counted."""
    Machine.root, Machine.counts = folder, collections.Counter()
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            phases=[Phase.generate],  # to shrink what was found takes hours of runs
            derandomize=examples < 50,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
    return dict(Machine.counts)
