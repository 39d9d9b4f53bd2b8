"""A process that has imported everything once, and forks a runner whenever one is to be ended.

Reads lines of JSON, each a command, its size and a folder; answers each with a line of what was
found, or a traceback. Runners measure with a stand-in that takes milliseconds and uses the store as
training does: it keeps a state, stores a picture that all trials share and one of its own. Wall
times are patched to zero, so that reports of equal results have equal bytes.
"""

import contextlib
import importlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import numpy as np

from bench import __main__
from bench.execution import accuracy, job
from bench.experiment import code_digest
from bench.experiment.context import Measured
from bench.machine import environment, limits
from bench.store import checks, files
from bench.store.folder import Store
from bench.store.results import AccuracyResult, Example
from bench.training import checkpointing, loop

EXPERIMENT = """
name: chaos
data: {name: scenes, train: 4, val: 2, test: 1, size: 48}
model: {base_channels: 2, depth: 1}
train: {crop_size: 32, batch_size: 2, epochs: 4, learning_rate: 1.0e-2, threads: 1}
evaluate: {panels: 1, extremes: 0, checkpoint: true}
factors: {train.loss: [ce, dice, dice+ce]}
seeds: %d
baseline: {train.loss: ce}
"""
PAUSE = 0.01  # seconds that the stand-in takes


def stand_in(settings, seed, context):
    """Measure nothing, in some milliseconds and several writes."""
    for epoch in range(2):
        time.sleep(PAUSE / 2)
        context.checkpointer.write(f"{settings.train.loss} {seed} {epoch}".encode() * 50)
        context.on_epoch({"epoch": epoch, "train_loss": 0.5})
    counts, scores = predicted(seed + len(settings.train.loss), 100, classes=3, images=100)
    own = context.put(f"{settings.train.loss} {seed}".encode() * 500, ".safetensors")
    shared = context.put(b"the same for all" * 100, ".bin")
    result = AccuracyResult(
        classes=("a", "b", "c"),
        palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)),
        split="val",
        chosen_epoch=2,
        metrics=scores,
        counts={
            "train_images": 4,
            "dropped_images": 0,
            "parameters": 7,
            "evaluated_images": 100,
        },
        checkpoint=own,
        examples=(Example(name="one", image=shared, truth=shared, prediction=shared),),
    )
    watched = {"mean_iou": scores["mean_iou"]}
    history = [{"epoch": e, "train_loss": 0.5, "metrics": watched} for e in (1, 2)]
    return Measured(result, {"history": history, "confusion": counts})


def predicted(part, whole, *, classes, images):
    """Return counts of predictions of which the IoU of each class is a fraction, and all scores."""
    matrix = np.zeros((classes, classes), np.int64)
    for label in range(classes):
        matrix[label, label] = 2 * part
        matrix[label, (label + 1) % classes] += whole - part
    entries = [[int(t), int(p), int(matrix[t, p])] for t, p in np.argwhere(matrix)]
    counts = {"images": [f"image{i}" for i in range(images)], "entries": [entries] * images}
    return counts, checks.scores(matrix * images)


class Stage:
    """A folder in which runners run, and what they are known to have stored."""

    def __init__(self, folder, *, seeds=2, real=False, results=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "chaos.yaml").write_text(EXPERIMENT % seeds)
        self.results = Path(results) if results else self.folder / "results"
        self.store = Store(self.results / "chaos")
        self.log = self.folder / "commits"
        self.real = real
        self.trials = 3 * seeds

    def arguments(self, *more):
        return [
            "run",
            str(self.folder / "chaos.yaml"),
            "--results",
            str(self.results),
            "--quiet",
            *more,
        ]

    def start(self, *more, at=None):
        """Fork a runner that leads a process group; return its id and where its errors go."""
        errors = self.folder / "errors"
        pid = os.fork()
        if pid:
            return pid, errors
        status = 99
        try:
            os.setsid()
            with errors.open("w") as file:
                os.dup2(file.fileno(), 2)
                sys.stderr = os.fdopen(2, "w", buffering=1)
                self.patch(at)
                sys.argv = ["bench", "run", "chaos.yaml"]
                status = __main__.main(self.arguments(*more))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def patch(self, at):
        job.time.perf_counter = lambda: 0.0
        commit = Store.commit

        def logged(store, record, details):
            commit(store, record, details)
            with self.log.open("a") as file:
                file.write(f"{record.key}\n")

        Store.commit = logged
        if self.real:
            checkpointing.Checkpointer.__init__.__kwdefaults__["every"] = 0.0
        else:
            accuracy.measure = stand_in
        if at is not None:
            files.at = at

    def finish(self, *more, at=None):
        """Run to the end; return the exit status and what was said."""
        pid, errors = self.start(*more, at=at)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status, errors.read_text()

    def wait_for_an_epoch(self, pid):
        """Wait until a runner has kept a state, or is at its end."""

        def states():
            with contextlib.suppress(FileNotFoundError):  # gone while we look
                return {p: p.stat().st_mtime_ns for p in (self.store.folder / "partial").glob("*")}

        before = states()
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if states() != before:
                return
            time.sleep(0.005)

    def stray(self):
        """Return files that no finished run leaves behind."""
        kept = {"plan.json", "trials", "details", "blobs", "report", "damaged", "archive"}
        found = [
            path.relative_to(self.store.folder)
            for path in self.store.folder.rglob("*")
            if path.is_file()
        ]
        return [
            str(path) for path in found if path.parts[0] not in kept or path.name.startswith(".tmp")
        ]

    def table(self):
        """Return the report's tables as one text."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    status = __main__.main(
                        ["report", "--results", str(self.results), "--format", "csv"]
                    )
                finally:
                    os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        tables = sorted((self.store.folder / "report").glob("*.csv"))
        text = "".join(f"{path.name}\n{path.read_text()}" for path in tables)
        shutil.rmtree(self.store.folder / "report")
        return text

    def verdict(self):
        """Return how many trials were lost or stored twice since the log was begun."""
        lines = self.log.read_text().splitlines() if self.log.is_file() else []
        twice = len(lines) - len(set(lines))
        return {
            "lost": self.trials - len(self.store.keys()),
            "twice": twice,
            "stray": len(self.stray()),
        }

    def clear(self):
        shutil.rmtree(self.store.folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)


def add(total, found):
    for name, count in found.items():
        total[name] = total.get(name, 0) + count


def reference(folder, **options):
    """Return the table of a run that nothing happens to."""
    stage = Stage(folder / "reference", **options)
    status, said = stage.finish()
    assert (status, said) == (0, ""), said
    return stage.table()


def kills(folder, count, *, real=False):
    """Kill a runner's process group at random moments, until it happened ``count`` times."""
    rng = random.Random(0)
    options = {"seeds": 1 if real else 4, "real": real}
    expected = reference(folder, **options)
    stage = Stage(folder / "kills", **options)
    total, killed, sweeps, resumed = {"tables that differ": 0}, 0, 0, 0
    while killed < count:
        stage.clear()
        sweeps += 1
        while killed < count and len(stage.store.keys()) < stage.trials:
            pid, _ = stage.start()
            if real:
                stage.wait_for_an_epoch(pid)
            time.sleep(rng.uniform(0.0, 0.15) if real else rng.uniform(0.02, 0.25))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            killed += ended == -signal.SIGKILL
            resumed += any((stage.store.folder / "partial").glob("*"))
        status, said = stage.finish()
        assert (status, said) == (0, ""), said
        add(total, stage.verdict())
        total["tables that differ"] += stage.table() != expected
    return {"kills": killed, "sweeps": sweeps, "with a kept state": resumed, **total}


def points(folder, every):
    """Kill a runner at every named point, the first time it comes there and later; or at some."""
    expected = reference(folder)
    stage = Stage(folder / "points")
    seen = stage.folder / "seen"

    def note(point):
        with seen.open("a") as file:
            file.write(f"{point}\n")

    assert stage.finish(at=note)[0] == 0
    times = {}
    for point in seen.read_text().splitlines():
        times[point] = times.get(point, 0) + 1
    total, killed = {"tables that differ": 0}, 0
    for point, often in list(times.items())[:: 1 if every else 6]:
        for chosen in {1, (often + 1) // 2, often} if every else {(often + 1) // 2}:
            stage.clear()
            left = [chosen]

            def die(here, point=point, left=left):
                left[0] -= here == point
                if left[0] == 0:
                    os.killpg(os.getpgrp(), signal.SIGKILL)

            status, said = stage.finish(at=die)
            assert status == -signal.SIGKILL, (point, status, said)
            killed += 1
            status, said = stage.finish()
            assert (status, said) == (0, ""), (point, said)
            add(total, stage.verdict())
            total["tables that differ"] += stage.table() != expected
    return {"points": len(times), "kills": killed, **total}


def pairs(folder, count):
    """Let two runners share a folder."""
    expected = reference(folder)
    stage = Stage(folder / "pairs")
    total = {"tables that differ": 0}
    for _ in range(count):
        stage.clear()
        runners = [stage.start()[0] for _ in range(2)]
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in runners]
        assert ends == [0, 0], (ends, (stage.folder / "errors").read_text())
        add(total, stage.verdict())
        total["tables that differ"] += stage.table() != expected
    return {"pairs": count, **total}


def damage(folder, places):
    """Harm every stored file at some places in two ways, and let a runner mend it.

    At one place only in one of the ways, by turns.
    """
    expected = reference(folder, seeds=1)
    stage = Stage(folder / "damage", seeds=1)
    assert stage.finish()[0] == 0
    rng = random.Random(0)
    stored = [path for path in sorted(stage.store.folder.rglob("*")) if path.is_file()]
    total = {"harmed": 0, "found": 0, "named": 0, "mended": 0, "tables that differ": 0}
    ways = ("flip", "truncate")
    for number, path in enumerate(stored):
        whole = path.read_bytes()
        for place in sorted({rng.randrange(len(whole)) for _ in range(places)}):
            for harm in ways if places > 1 else ways[number % 2 :][:1]:
                shutil.rmtree(stage.store.folder / "damaged", ignore_errors=True)
                flipped = bytearray(whole)
                flipped[place] ^= 1 << rng.randrange(8)
                path.write_bytes(flipped if harm == "flip" else whole[:place])
                status, said = stage.finish()
                assert status == 0, said
                aside = stage.store.folder / "damaged" / path.relative_to(stage.store.folder)
                total["harmed"] += 1
                total["found"] += aside.is_file()
                total["named"] += str(path) in said
                total["mended"] += path.is_file()
                whole = path.read_bytes()
        total["tables that differ"] += stage.table() != expected
    return {"files": len(stored), **total}


def disk(folder, steps):
    """Let the disk be full after more and more bytes: the results folder is a small one."""
    expected = reference(folder)
    mount = folder / "disk"
    mount.mkdir()
    if os.system(f"mount -t tmpfs -o size=400k tmpfs {mount} 2>/dev/null"):
        return None
    try:
        stage = Stage(folder / "full", results=mount)
        total = {"full": 0, "one line": 0, "tables that differ": 0}
        met = set()
        for step in range(steps):
            stage.clear()
            free = 1024 * (4 + step * 150 // steps)
            stats = os.statvfs(mount)
            (mount / "ballast").write_bytes(bytes(max(0, stats.f_bavail * stats.f_frsize - free)))
            status, said = stage.finish()
            (mount / "ballast").unlink()
            if status != 0:
                total["full"] += 1
                met.add(
                    next(
                        (
                            kind
                            for kind in ("trials", "details", "blobs", "partial")
                            if f"/{kind}/" in said
                        ),
                        "other",
                    )
                )
                total["one line"] += (
                    status == 2 and len(said.splitlines()) == 1 and "No space left" in said
                )
            status, said = stage.finish()
            assert (status, said) == (0, ""), said
            add(total, stage.verdict())
            total["tables that differ"] += stage.table() != expected
        return {**total, "met": sorted(met)}
    finally:
        os.system(f"umount {mount}")


def machine_of_states(folder, examples):
    """Let everything happen to a folder in any order."""
    sys.modules["zygote"] = sys.modules["__main__"]
    import machine

    return machine.run(folder, examples)


COMMANDS = {
    "kills": kills,
    "training": lambda folder, count: kills(folder, count, real=True),
    "points": points,
    "pairs": pairs,
    "damage": damage,
    "disk": disk,
    "machine": machine_of_states,
}

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    loop.torch.set_num_threads(1)
    os.fsync = lambda handle: None  # a process that is killed loses nothing that it has written
    limits.usable_cores = lambda: 1  # so that without --jobs trials run in one process
    for name in ("bench.execution.run_experiment", "bench.execution.signals", "bench.report.write"):
        importlib.import_module(name)  # which commands import late
    importlib.import_module("torch._dynamo")  # which optimisers import late
    code_digest.digest(["bench.execution.accuracy", "bench.data.datasets.scenes"])  # cached
    environment.versions()
    for line in sys.stdin:
        command, size, folder = json.loads(line)
        os.chdir(folder)  # nothing is to be written beside
        try:
            answer = {"found": COMMANDS[command](Path(folder), size)}
        except Exception:
            answer = {"wrong": traceback.format_exc()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
