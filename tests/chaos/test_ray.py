"""The same trials on a Ray cluster of two nodes over loopback, whose worker node is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from bench.experiment.code_digest import ROOT
from bench.store.folder import Store
from tests.bench.made_stores import details_json

FULL = bool(os.environ.get("BENCH_CHAOS"))
pytest.importorskip("ray", reason="Ray is not installed (pip install 'unet-bench[ray]')")

EXPERIMENT = """
name: small
data: {name: scenes, train: 4, val: 2, test: 1, size: 48}
model: {base_channels: 2, depth: 1}
train: {crop_size: 32, batch_size: 2, epochs: 12, learning_rate: 1.0e-2, threads: 1}
evaluate: {panels: 1}
factors: {train.loss: [ce, dice]}
seeds: 3
baseline: {train.loss: ce}
"""
PORT = 26399


class Cluster:
    """A head that runs no trials, and a worker node that comes and goes."""

    def __init__(self, folder):
        self.folder = folder
        self.address = f"127.0.0.1:{PORT}"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",  # which loopback addresses ask for too
            "GOMP_SPINCOUNT": "20000",
        }
        self.nodes = []
        self.head = self.start("--head", f"--port={PORT}", "--include-dashboard=false", "--num-cpus=0",
                               f"--temp-dir={folder / 'r'}", "--object-store-memory=100000000")  # fmt: skip
        self.worker = None

    def start(self, *options):
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block",
                   "--node-ip-address=127.0.0.1", *options]  # fmt: skip
        with (self.folder / "ray.log").open("a") as log:
            node = subprocess.Popen(
                command,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes.append(node)
        return node

    def start_worker(self):
        self.worker = self.start(
            f"--address={self.address}", "--num-cpus=2", "--object-store-memory=100000000"
        )

    def kill(self, node):
        if node is not None and node.poll() is None:
            for pid in descendants(node.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            node.wait(30)

    def sweep(self, results, *options):
        command = [
            sys.executable,
            "-m",
            "bench",
            "run",
            "small.yaml",
            "--results",
            results,
            *options,
        ]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def descendants(pid):
    """Return a process and all that it started, however indirectly."""
    found = [pid]
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    for parent in found:
        found += [child for child, its in pairs if its == parent]
    return found


@pytest.fixture
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    (folder / "small.yaml").write_text(EXPERIMENT)
    cluster = Cluster(folder)
    yield cluster
    for node in cluster.nodes:
        cluster.kill(node)


def contents(store):
    """Everything that is stored, but for times."""
    found = {}
    for record in store.records():
        details = details_json(store, record.key)
        for row in details["history"]:
            del row["seconds"]
        result = record.accuracy.model_dump(mode="json", exclude={"training_seconds"})
        found[record.key] = record.status, result, details
    return json.dumps(found, sort_keys=True)


def test_a_lost_node_loses_nothing(cluster):
    local = cluster.sweep("here", "--quiet")
    assert local.communicate(timeout=300)[1] == ""
    expected = contents(Store(cluster.folder / "here" / "small"))
    rng = random.Random(0)
    rounds, kills = (20 if FULL else 1), 0
    time.sleep(8)  # the head comes up
    for number in range(rounds):
        cluster.start_worker()
        options = ("--quiet", "--executor", "ray", "--address", cluster.address)
        sweep = cluster.sweep(f"r{number}", *options)
        claims = cluster.folder / f"r{number}" / "small" / "claims"
        while not any(claims.glob("*[0-9a-f]")) and sweep.poll() is None:
            time.sleep(0.1)
        time.sleep(rng.uniform(0, 5))
        kills += sweep.poll() is None
        cluster.kill(cluster.worker)
        cluster.start_worker()
        _, err = sweep.communicate(timeout=400)
        assert (sweep.returncode, err) == (0, "")
        store = Store(cluster.folder / f"r{number}" / "small")
        assert contents(store) == expected
        assert all(record.attempts == 1 for record in store.records())
        cluster.kill(cluster.worker)
    assert kills > 0
    print("killed while it was at work:", kills)  # noqa: T201
