"""The command line as a newcomer uses it: whole runs, and one line for every mistake."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from bench.__main__ import main
from bench.cli import terminal
from bench.experiment.code_digest import ROOT
from bench.machine import limits
from bench.store.folder import Store
from bench.store.plans import Plan
from bench.store.results import Compiled
from tests.bench.made_stores import details_json

EXPERIMENTS = ROOT / "experiments"


def test_run_then_report(finished, bench):
    for path in (finished / "results" / "small" / "trials").glob("*.json"):
        if Store(finished / "results" / "small").read(path.stem).seed == 1:
            path.unlink()
    status, out, err = bench("run", "small.yaml")
    assert (status, err) == (0, "")
    assert "2 of 4 trials are stored already" in out
    assert "[4/4]" in out
    assert "python -m bench report small" in out
    status, out, _ = bench("report")
    assert status == 0
    path = finished / out.removeprefix("report: ").strip()
    assert path.name == "report.html"
    assert "Does anything work?" in path.read_text(encoding="utf-8")
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert text.count("dice") > 1
    assert "| smp_macro_imagewise | " in text.replace("\\", "")


def test_a_second_run_measures_nothing(finished, bench):
    trials = finished / "results" / "small" / "trials"
    before = {path: path.read_bytes() for path in trials.iterdir()}
    status, out, _ = bench("run", "small.yaml")
    assert status == 0
    assert "4 of 4 trials are stored already" in out
    assert {path: path.read_bytes() for path in trials.iterdir()} == before


def test_a_report_is_the_same_bytes_every_time(finished, bench, without_figures):
    def files():
        bench("report")
        report = finished / "results" / "small" / "report"
        return {path: path.read_bytes() for path in report.rglob("*") if path.is_file()}

    assert files() == files()


def test_results_do_not_depend_on_loader_processes(here, finished_run, bench):
    assert bench("run", "small.yaml", "--workers", 2, "--quiet") == (0, "", "")
    one, two = (Store(folder / "small").records() for folder in (finished_run, here / "results"))
    assert [r.result.metrics for r in one] == [r.result.metrics for r in two]


def test_dry_run_lists_trials_and_measures_none(finished, bench):
    status, out, _ = bench("run", "small.yaml", "--dry-run", "--set", "seeds=3")
    assert status == 0
    assert "6 trials, 4 of them stored" in out
    assert "0✓ 1✓ 2" in out
    assert "for the other 2, on cpu" in out
    assert len(Store(finished / "results" / "small").keys()) == 4


@pytest.mark.parametrize(
    ("options", "at_once"),
    [
        ((), ", 3 at a time"),
        (("--jobs", 2), ", 2 at a time"),
        (("--jobs", 1), ""),
        (("--set", "train.threads=2"), ""),
        (("--set", "measure=throughput", "--set", "metric=images_per_second"), ""),
    ],
)
def test_as_many_trials_are_measured_at_once_as_there_are_cores(
    here, bench, monkeypatch, options, at_once
):
    monkeypatch.setattr(limits, "usable_cores", lambda: 3)
    status, out, err = bench("run", "small.yaml", "--dry-run", *options)
    assert (status, err) == (0, "")
    assert re.search(rf"for the other \d+{at_once}, on cpu", out)


def test_a_dry_run_estimates_before_anything_was_measured(here, bench):
    status, out, _ = bench("run", "small.yaml", "--dry-run")
    assert status == 0
    assert "for the other 4, on cpu" in out
    assert not (here / "results").exists()


def test_labels_are_text_and_no_markup(finished, bench, monkeypatch):
    label = "[/x] [bold]b :smile: \\["
    monkeypatch.setattr(
        "bench.experiment.design._level_label", lambda name, level, labels: f"{label} {level}"
    )
    question = ["--set", f"question='{label}'"]
    status, out, _ = bench("run", "small.yaml", "--dry-run", *question)
    assert status == 0
    assert f"{label} ce    0✓ 1✓\n" in out
    assert f"{label} dice  0✓ 1✓\n" in out


def test_names_of_classes_are_text_and_no_markup(own, bench):
    names = ["[/x]", ":smile:"]
    (own / "classes.yaml").write_text(f"names: {json.dumps(names)}\n")
    status, out, _ = bench("data", "check", "folder", "--set", f"path={own}")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[-2:]] == names


def test_columns_are_as_wide_as_what_is_seen_of_them(capsys):
    terminal.table(("a", "b"), [("漢字", "x"), ("\x1b[2Jy", "z\n")])
    first, *rest = capsys.readouterr().out.splitlines()
    assert (first, rest) == ("a      b", ["漢字   x", " [2Jy  z"])


def test_quiet_says_nothing(finished, bench):
    assert bench("run", "small.yaml", "--quiet") == (0, "", "")


def test_a_failing_trial_is_named_and_the_status_is_1(here, bench, without_figures):
    broken = ["--set", "train.small_images=drop", "--set", "train.crop_size=500"]
    status, _, err = bench("run", "small.yaml", *broken)
    assert status == 1
    assert err.splitlines()[0].startswith(
        "error: ce, seed 0: failed: train.crop_size: none of the 4"
    )
    assert bench("report")[0] == 0


def test_status_counts(finished, bench):
    status, out, _ = bench("status")
    assert status == 0
    assert out.splitlines()[-1].split() == ["small", "4", "4", "0", "0"]


def test_networks_that_were_to_be_compiled_and_were_not_are_said(finished, bench):
    store = Store(finished / "results" / "small")
    record = next(one for one in store.records() if one.label == "dice")
    nothing = Compiled(graphs=0, given_up=1, breaks=0)
    result = record.result.model_copy(update={"compiled": nothing})
    store.commit(record.model_copy(update={"result": result}), details_json(store, record.key))
    assert "1 to be compiled and not, or in part" in bench("status")[1]
    assert bench("report", "--format", "md")[0] == 0
    said = (finished / "results" / "small" / "report" / "report.md").read_text()
    assert (
        "dice was to be compiled; in 1 of its runs torch compiled nothing of the network." in said
    )


def test_schema(here, bench):
    status, out, _ = bench("schema")
    assert status == 0
    assert bench("schema", "--output", "s.json")[0] == 0
    assert (here / "s.json").read_text() == out
    status, out, _ = bench("schema", "--of", "record")
    assert status == 0
    assert json.loads(out)["title"] == "Record"
    assert bench("schema", "--of", "plan")[0] == 2


MISTAKES = {
    "missing file": (["run", "smal.yaml"], "smal.yaml: cannot be read (No such file or directory); did you mean 'small.yaml'?"),
    "missing folder": (["run", "none/smal.yaml"], "none/smal.yaml: cannot be read (No such file or directory)"),
    "a folder": (["run", "."], "cannot be read (Is a directory)"),
    "unknown command": (["runn"], "No such command 'runn'"),
    "unknown option": (["run", "small.yaml", "--sed", "1"], "No such option: --sed"),
    "missing argument": (["run"], "Missing "),
    "option of wrong type": (["run", "small.yaml", "--workers", "two"], "--workers"),
    "unknown key": (["run", "small.yaml", "--set", "train.epochz=2"], "did you mean 'epochs'?"),
    "wrong type": (["run", "small.yaml", "--set", "train.epochs=soon"], "train.epochs: Input should"),
    "negative": (["run", "small.yaml", "--set", "train.epochs=-1"], "greater than or equal to 1"),
    "unknown loss": (["run", "small.yaml", "--set", "factors.train.loss=[ce, dicee]", "--set",
                      "baseline={}"], "unknown loss 'dicee'; did you mean 'dice'?"),
    "unknown model": (["run", "small.yaml", "--set", "model.name=unett"], "did you mean 'unet'?"),
    "unknown dataset": (["run", "small.yaml", "--set", "data={name: msrc}"], "did you mean 'msrc_v2'?"),
    "no such factor": (["run", "small.yaml", "--set", "factors.train.lss=[1]"], "is no setting"),
    "empty factor": (["run", "small.yaml", "--set", "factors.train.loss=[]"], "has no levels"),
    "baseline": (["run", "small.yaml", "--set", "baseline.train.loss=dice+ce"], "is no level of it"),
    "valid": (["run", "small.yaml", "--set", "model.padding=valid"], "does not fit an unpadded U-Net"),
    "unknown device": (["run", "small.yaml", "--device", "gpu"], "--device: unknown device 'gpu'"),
    "no such device": (["run", "small.yaml", "--device", "cuda:99"], "this machine has no 'cuda:99'"),
    "missing data": (["run", "small.yaml", "--set", "data={name: msrc_v2}"], "msrc_v2"),
    "unwritable": (["run", "small.yaml", "--results", "small.yaml"], "results cannot be written"),
    "no results": (["report", "--results", "nowhere"], "nowhere: no experiment has been run here"),
    "nothing to count": (["status", "--results", "nowhere"], "no experiment has been run here"),
    "unknown format": (["report", "--format", "pdf"], "unknown format 'pdf'"),
    "unknown result": (["report", "smal"], "no experiment 'smal'"),
    "schema nowhere": (["schema", "--output", "no/where.json"], "no/where.json: cannot be written"),
    "unknown data": (["data", "check", "scene"], "unknown dataset 'scene'; did you mean 'scenes'?"),
    "unknown data setting": (["data", "check", "scenes", "--set", "sed=1"], "did you mean 'seed'?"),
    "no archive": (["data", "install", "msrc_v2", "--from", "small.yaml"], "small.yaml"),
    "missing archive": (["data", "install", "msrc_v2", "--from", "gone.zip"], "gone.zip"),
    "nothing to install": (["data", "install", "scenes"], "nothing to install"),
    "audit of no split": (["data", "audit", "scenes", "--split", "vla"], "vla"),
    "audit into no folder": (["data", "audit", "scenes", "--output", "no/a.md"], "no/a.md"),
    "preview nowhere": (["data", "preview", "scenes", "--output", "no/x.png"], "no/x.png"),
    "preview of no split": (["data", "preview", "scenes", "--split", "tests"], "tests"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_and_status_2(here, bench, case):
    Store(here / "results" / "done").write_plan(
        Plan(name="done", measure="accuracy", metric="mean_iou", trials=())
    )
    before = sorted(path for path in here.rglob("*") if path.is_file())
    arguments, expected = MISTAKES[case]
    status, out, err = bench(*arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ")
    assert expected in err
    after = sorted(path for path in here.rglob("*") if path.is_file())
    assert after == before  # nothing half done


@pytest.mark.parametrize("command", [[], ["data"]])
def test_without_a_command_the_help_is_shown_and_nothing_done(bench, command):
    status, out, err = bench(*command)
    assert (status, out) == (2, "")
    assert err == bench(*command, "--help")[1]


@pytest.mark.parametrize("command", [[], ["run"], ["report"], ["data"], ["data", "check"]])
def test_h_is_help(bench, command):
    status, out, err = bench(*command, "-h")
    assert (status, err) == (0, "")
    assert "Usage: python -m bench" in out
    assert bench(*command, "--help")[1] == out


def test_every_mistake_has_a_line_of_its_own(here, bench):
    status, out, err = bench("run", "small.yaml", "--set", "lr=1", "--set", "train.epochs=yes")
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        "error: --set train.epochs=yes: train.epochs: a number is wanted, not true or false (got true)",
        "error: --set lr=1: unknown key 'lr'; did you mean 'train.learning_rate'?",
    ]


@pytest.fixture
def own(here):
    """A folder of one's own with three images that differ, each with a mask."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for kind in ("images", "masks"):
            (here / "own" / kind / split).mkdir(parents=True)
        for i in range(count):
            image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            cv2.imwrite(str(here / f"own/images/{split}/{i}.png"), image)
            cv2.imwrite(str(here / f"own/masks/{split}/{i}.png"), np.eye(40, 50, dtype=np.uint8))
    (here / "own" / "classes.yaml").write_text("names: [ground, line]\n")
    return here / "own"


def spoil_size(own):
    cv2.imwrite(str(own / "masks/train/1.png"), np.zeros((40, 49), np.uint8))


def spoil_label(own):
    cv2.imwrite(str(own / "masks/train/1.png"), np.full((40, 50), 7, np.uint8))


def spoil_missing(own):
    (own / "masks/train/1.png").unlink()


def spoil_truncated(own):
    path = own / "images/train/1.png"
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (spoil_size, ["1.png", "40", "49"]),
        (spoil_label, ["1.png", "7", "2000"]),
        (spoil_missing, ["1"]),
        (spoil_truncated, ["1.png"]),
    ],
)
def test_a_folder_of_ones_own_that_is_broken(own, bench, spoil, expected):
    command = ["data", "check", "folder", "--set", f"path={own}"]
    assert bench(*command)[::2] == (0, "")
    spoil(own)
    status, _, err = bench(*command)
    assert status == 2
    assert len(err.splitlines()) == 1, err
    for word in expected:
        assert word in err


def test_the_same_picture_in_two_splits_is_named(own, bench, without_figures):
    command = ["data", "check", "folder", "--set", f"path={own}"]
    same = cv2.imread(str(own / "images/train/1.png"))
    cv2.imwrite(str(own / "images/val/0.png"), same ^ 1)
    status, _, err = bench(*command)
    assert status == 0
    assert err.startswith("warning: val and train: ")
    assert "1 of 1 in val (val/0.png ~ train/1.png)" in err
    (own / "images/val/0.png").unlink()
    cv2.imwrite(str(own / "images/val/0.bmp"), same)
    status, out, err = bench(*command)
    assert (status, len(err.splitlines())) == (2, 1)
    assert err.startswith("error: val and train: ")
    assert "1 of 1 in val (val/0.bmp = train/1.png)" in err
    cv2.imwrite(str(own / "images/train/0.png"), same)
    status, out, err = bench(*command)
    assert "train: the same pictures, pixel for pixel: 1 of 2 in train" in out
    data = f"data={{name: folder, path: '{own}'}}"
    shutil.copy(own / "images/train/0.png", own / "images/val/0.png")
    (own / "images/val/0.bmp").unlink()
    assert bench("run", "small.yaml", "--set", data, "--set", "seeds=1", "-q")[0] == 0
    report, said = own.parent / "results/small/report/report.md", "in two splits (train and val)"
    assert bench("report", "--format", "md") == (
        0,
        f"report: {report.relative_to(own.parent)}\n",
        "",
    )
    assert said in report.read_text(encoding="utf-8")


def test_training_on_a_folder_of_ones_own(own, bench):
    data = f"data={{name: folder, path: '{own}'}}"
    status, _, err = bench("run", "small.yaml", "--set", data, "--set", "seeds=1", "-q")
    assert (status, err) == (0, "")


def test_photographs_at_a_size_for_tests(here, bench, real_data, without_figures):
    shrink = ["model.base_channels=2", "model.depth=2", "train.epochs=1", "train.crop_size=64",
              "train.precision=fp32", "seeds=1"]  # fmt: skip
    options = [word for setting in shrink for word in ("--set", setting)]
    study = EXPERIMENTS / "msrc_v2" / "unet.yaml"
    status, _, err = bench("run", study, "--data", real_data, "--quiet", *options)
    assert (status, err) == (0, "")
    assert bench("report")[0] == 0
    store = Store(here / "results" / "msrc_v2_unet")
    per_class = (store.folder / "report" / "per_class.csv").read_text(encoding="utf-8")
    names = ["building", "grass", "tree", "cow", "sheep", "sky", "aeroplane", "water", "face",
             "car", "bicycle", "flower", "sign", "bird", "book", "chair", "road", "cat", "dog",
             "body", "boat"]  # fmt: skip
    assert [name for name in names if name in per_class] == names
    record = next(store.records())
    assert record.result.counts["evaluated_images"] == 59
    assert record.result.counts["train_images"] == 276
    photograph = cv2.imdecode(
        np.frombuffer(store.blob(record.accuracy.examples[0].image), np.uint8), cv2.IMREAD_COLOR
    )
    assert photograph.std() > 20


def test_the_score_of_the_original_study_is_explained_with_the_numbers_of_the_run(finished, bench):
    bench("report")
    store = Store(finished / "results" / "small")
    text = (store.folder / "report" / "report.md").read_text(encoding="utf-8")
    last = {}  # arm → the scores of the last epoch of its trials
    for trial in store.read_plan().trials:
        row = details_json(store, trial.key)["history"][-1]
        last.setdefault(trial.label, []).append(row["metrics"])
    for rows in last.values():
        for name in ("study_iou", "study_iou_absent", "mean_iou"):
            assert f"{np.mean([row[name] for row in rows]):.3f}" in text
    assert "original_study" in text


def test_an_audit_names_the_variants_that_mislead(here, bench):
    status, out, _ = bench("data", "audit", "scenes")
    assert status == 0
    rows = {
        line.split()[0]: line.split()[1:] for line in reversed(out.splitlines()) if line.strip()
    }
    assert rows["dataset"][-1] == "1.000"
    assert float(rows["smp_macro_imagewise"][0]) > 0.5 > float(rows["dataset"][0])
    assert "smp_macro_imagewise gives high scores to predictors that never see the images" in out


def test_an_audit_is_written_as_a_page(here, bench):
    status, out, _ = bench("data", "audit", "scenes", "--split", "test", "--output", "a.md")
    assert (status, out.strip()) == (0, "page: a.md")
    page = (here / "a.md").read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    header = next(cells for cells in lines if "smp_macro_imagewise" in cells)
    column = header.index("smp_macro_imagewise")
    scores = {cells[0]: cells[column] for cells in lines if len(cells) == len(header)}
    assert scores["perfect"] == "1.000"
    assert float(scores["most_frequent"]) > 0.5
    assert "for every pixel (grass)" in page
    assert (
        "> **Warning:** smp_macro_imagewise gives high scores to predictors that never see the images"
        in page
    )
    assert "python -m bench data audit scenes --split test" in page


def test_preview_writes_a_picture(here, bench):
    status, out, _ = bench("data", "preview", "scenes", "--count", 2)
    assert (status, out.strip()) == (0, "picture: preview.png")
    assert cv2.imread("preview.png").shape[2] == 3


def test_an_interruption_prints_the_line_that_resumes(here, bench):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    (here / "my small.yaml").write_text((here / "small.yaml").read_text())
    options = ["--set", "train.epochs=2", "--set", "question='a b'", "--results", "my results",
               "--device", "cpu", "--workers", "0", "--accept-stale"]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.execution.accuracy.measure", interrupt)
        patch.setenv("BENCH_DATA", str(here / "my data"))
        status, _, err = bench("run", "my small.yaml", *options)
    assert status == 130
    line = err.strip().rpartition("To go on: ")[2]
    python, *rest = shlex.split(line)
    assert (python, rest[:3]) == ("python", ["-m", "bench", "run"])
    assert main(rest[2:]) == 0  # pasted, it goes on where that was
    store = Store(here / "my results" / "small")
    assert len(store.keys()) == 4
    command = store.read_plan().command
    assert command == line
    for word in ["my small.yaml", *options, "--data", str(here / "my data")]:
        assert word in rest
    assert not (here / "results").exists()


def test_the_line_for_the_report_finds_the_results(here, bench, without_figures):
    _, out, _ = bench("run", "small.yaml", "--set", "seeds=1", "--results", "my results")
    line = out.strip().rpartition("for the report: ")[2]
    assert bench(*shlex.split(line)[3:])[0] == 0


@pytest.mark.parametrize("there", [True, False])
def test_a_report_is_shown_in_a_browser(there, finished, bench, monkeypatch, without_figures):
    shown = []
    monkeypatch.setattr("webbrowser.open", lambda address: shown.append(address) or there)
    status, _, err = bench("report", "small", "--format", "md", "--open")
    assert shown == [(finished / "results/small/report/report.md").as_uri()]
    assert status == 0
    assert err.startswith("warning: --open: no browser") == (not there)
    bench("report", "small", "--format", "md")
    assert len(shown) == 1


def test_help_that_python_stripped_is_missed_in_one_line(here):
    command = [sys.executable, "-OO", "-m", "bench", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: python -OO strips docstrings")
    assert len(done.stderr.splitlines()) == 1


def test_as_a_program_from_another_folder(here):
    command = [sys.executable, "-m", "bench", "report", "--results", "none"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: none: no experiment has been run here\n"
