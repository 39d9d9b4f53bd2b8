"""The example package: installed into an environment of its own, all of its parts ablated."""

import json
import os
import shutil
import site
import subprocess
import sys
import venv

import pytest

from bench.experiment.code_digest import ROOT

ARMS = [
    "unet · ce",
    "unet · focal_tversky",
    "Dilated · ce",
    "Dilated · focal_tversky",
    "noisy_flip",
]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Return a function: arguments of bench, run as somebody does who installed the package."""
    folder = tmp_path_factory.mktemp("stranger")
    source = folder / "my_idea"
    shutil.copytree(ROOT / "examples" / "my_idea", source)
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    below = [*site.getsitepackages(), str(ROOT)]  # whatever these tests have
    lines = [f"import site; site.addsitedir({path!r})" for path in below]
    (packages / "below.pth").write_text("\n".join(lines))
    python = environment / "bin" / "python"
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", *options, source)
    subprocess.run([str(word) for word in pip], check=True, capture_output=True)
    shutil.rmtree(source / "my_idea")  # the installed one is used

    def run(*arguments):
        done = subprocess.run(
            [python, "-m", "bench", *arguments],
            check=False,
            cwd=folder,
            env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    run.folder, run.installed = folder, packages / "my_idea"
    return run


def measured(stranger):
    """Return label → key of the stored trials."""
    files = (stranger.folder / "results" / "my_idea" / "trials").glob("*.json")
    records = [json.loads(path.read_text()) for path in files]
    assert {record["status"] for record in records} == {"done"}
    return {record["label"]: record["key"] for record in records}


def test_all_its_parts_are_ablated_and_a_changed_constant_makes_its_trials_stale(stranger):
    experiment = "my_idea/experiment.yaml"
    short = ("--set", "train.epochs=1", "--set", "seeds=1", "--jobs", "1")
    status, out, err = stranger("run", experiment, *short)
    assert (status, err) == (0, "")
    before = measured(stranger)
    assert sorted(before) == sorted(ARMS)

    losses = stranger.installed / "losses.py"
    losses.write_text(losses.read_text().replace("ALPHA = 0.7", "ALPHA = 0.6"))
    status, out, err = stranger("run", experiment, *short, "--dry-run")
    assert (status, err) == (0, "")
    rows = [line for line in out.splitlines() if any(line.startswith(arm) for arm in ARMS)]
    stale = {line for line in rows if "✓" not in line}
    assert len(rows) == 5
    assert all("focal_tversky" in line for line in stale)
    assert len(stale) == 2

    assert stranger("report", "my_idea", "--format", "md")[::2] == (0, "")
    page = (stranger.folder / "results/my_idea/report/report.md").read_text(encoding="utf-8")
    assert "missing classes" in page
    assert "different versions of the code" not in page
