"""What a run does first: remove leftovers, move damaged files and records of other versions."""

import os
import platform

import pytest

from bench.errors import UserError
from bench.experiment import reconcile
from bench.experiment.trial import Arm, Trial, TrialSettings
from bench.store import claims, files
from bench.store.folder import Store
from bench.store.plans import Plan, PlannedTrial

CODE = {"code": "c1", "data": "d1", "versions": "v1"}


SETTINGS = TrialSettings.model_validate({"data": {"name": "scenes"}})


def planned(key, loss="ce", seed=0, effective=None, **provenance):
    chosen = {"train": {"loss": loss}} if effective is None else effective
    arm = Arm(loss, {"train.loss": loss}, SETTINGS, chosen)
    return Trial(key, arm, seed, {**CODE, **provenance})


PLAN = [planned("a1"), planned("a2", seed=1), planned("a3", "dice"), planned("a4", "dice", 1)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "small")


@pytest.fixture
def commit(store, make_record):
    """Return a function that stores what a trial was measured to give, in pictures too."""

    def commit(trial, **changes):
        shared = store.put(b"the same image", ".png")
        own = store.put(trial.key.encode(), ".png")
        example = {"name": "a", "image": shared, "truth": shared, "prediction": own}
        record = make_record(
            key=trial.key,
            arm=dict(trial.arm.levels),
            seed=trial.seed,
            settings=dict(trial.arm.effective),
            provenance=dict(trial.provenance),
            in_result={"examples": [example]},
        ).model_copy(update=changes)
        store.commit(record, {"history": [{"epoch": 1}]})
        return record

    return commit


def listed(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_empty_folder_needs_nothing(store):
    assert reconcile.review(store, PLAN) == reconcile.Review()


def test_what_is_whole_and_fits_the_plan_stays(store, commit):
    store.write_plan(Plan(name="small", measure="accuracy", metric="dice", trials=()))
    for trial in PLAN:
        commit(trial)
    before = listed(store.folder)
    assert reconcile.review(store, PLAN) == reconcile.Review()
    assert listed(store.folder) == before


@pytest.mark.parametrize("what", ["plan", "record", "details", "own picture", "shared picture"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "empty", "gone"])
def test_what_is_damaged_is_put_aside_and_named(store, commit, what, harm):
    store.write_plan(Plan(name="small", measure="accuracy", metric="dice", trials=()))
    for trial in PLAN:
        commit(trial)
    path = {
        "plan": store.folder / "plan.json",
        "record": store.record_file("a2"),
        "details": store.details_file("a2"),
        "own picture": store.folder / store.read("a2").accuracy.examples[0].prediction,
        "shared picture": store.folder / store.read("a1").accuracy.examples[0].image,
    }[what]
    whole = path.read_bytes()
    cut = {"truncate": whole[:-3], "empty": b"", "flip": whole[:-3] + b"?" + whole[-2:]}
    path.unlink() if harm == "gone" else path.write_bytes(cut[harm])
    measured_again = {"plan": set(), "shared picture": {"a1"}}.get(what, {"a2"})
    found = reconcile.review(store, PLAN)
    known = 0 if harm == "gone" and what in ("plan", "record") else 1
    assert len(found.damaged) == known  # what is not there is not damaged
    assert all(str(path) in line for line in found.damaged)
    assert store.keys() == {"a1", "a2", "a3", "a4"} - measured_again
    aside = store.folder / "damaged" / path.relative_to(store.folder)
    assert aside.is_file() == (harm != "gone")
    assert reconcile.review(store, PLAN).damaged == ()


def test_files_put_aside_never_replace_each_other(store, commit):
    for _ in range(3):
        commit(PLAN[0])
        store.record_file("a1").write_bytes(b"nonsense")
        reconcile.review(store, PLAN)
    names = [path.name for path in (store.folder / "damaged" / "trials").iterdir()]
    assert sorted(names) == ["a1.json", "a1.json.2", "a1.json.3"]


def default_size():
    return SETTINGS.data.size


@pytest.mark.parametrize(
    ("size", "differs"), [(default_size(), ()), (7, ("settings",)), (None, ())]
)
def test_a_setting_that_is_new_counts_unless_it_has_its_default(store, commit, size, differs):
    known = {"train": {"loss": "ce"}, "data": {} if size is None else {"size": size}}
    now = planned("a1", effective=known)
    commit(planned("old", code="another"), settings={"train": {"loss": "ce"}, "data": {}})
    (found,) = reconcile.review(store, [now]).archived
    assert found.differs == (*differs, "code")


@pytest.mark.parametrize("kind", ["code", "data", "versions"])
def test_records_of_other_versions_are_archived_and_come_back(store, commit, kind):
    old = [planned(f"old{i}", seed=i, **{kind: "another"}) for i in range(2)]
    for trial in old:
        commit(trial)
    found = reconcile.review(store, PLAN)
    assert [(one.planned, one.differs) for one in found.archived] == [
        ("a1", (kind,)),
        ("a2", (kind,)),
    ]
    assert found.accepted == {}
    assert store.keys() == set()
    assert listed(found.archive) == [
        f"{folder}/old{i}.json" for folder in ("details", "trials") for i in range(2)
    ]
    commit(PLAN[0])
    back = reconcile.review(store, old)  # as if the change had been taken back
    assert store.keys() == {"old0", "old1"}
    assert [one.record.key for one in back.archived] == ["a1"]
    assert back.archive != found.archive


def test_records_of_other_settings_are_archived_too(store, commit):
    commit(planned("old", effective={"train": {"loss": "ce", "epochs": 3}}))
    now = planned("a1", effective={"train": {"loss": "ce", "epochs": 4}})
    for accept in (True, False):
        assert reconcile.stale(store, [now])[0].differs == ("settings",)
        assert not reconcile.review(store, [now], accept_stale=accept).accepted
        assert store.keys() == set()
        commit(planned("old", effective={"train": {"epochs": 3}}))


def test_what_belongs_to_no_trial_of_the_plan_is_left_alone(store, commit):
    commit(planned("other", "focal", 7))
    assert reconcile.review(store, PLAN) == reconcile.Review()
    assert store.keys() == {"other"}


def test_stale_records_are_taken_as_they_are_if_asked(store, commit):
    commit(planned("older", code="c0"), started="2026-01-01T00:00:00+00:00")
    commit(planned("newer", code="c00"), started="2026-01-02T00:00:00+00:00")
    commit(planned("failed", "dice", code="c0"), status="failed", reason="why", result=None)
    commit(PLAN[3])
    commit(planned("replaced", "dice", 1, code="c0"))
    found = reconcile.review(store, PLAN, accept_stale=True)
    assert {key: one.record.key for key, one in found.accepted.items()} == {"a1": "newer"}
    assert {one.record.key for one in found.archived} == {"older", "failed", "replaced"}
    assert store.keys() == {"newer", "a4"}
    again = reconcile.review(store, PLAN)
    assert [one.record.key for one in again.archived] == ["newer"]


def test_a_damaged_record_is_not_taken(store, commit):
    commit(planned("old", code="c0"))
    store.details_file("old").write_bytes(b"nonsense")
    found = reconcile.review(store, PLAN, accept_stale=True)
    assert found.accepted == {}
    assert len(found.damaged) == 1
    assert store.keys() == set()


def test_what_dead_processes_left_is_removed(store, commit):
    commit(PLAN[0])
    for name in ("trials/.tmp-1-a", "blobs/.tmp-2-b", ".tmp-3-c", "claims/a2", "partial/a1"):
        (store.folder / name).parent.mkdir(exist_ok=True)
        (store.folder / name).write_bytes(b"half of")
    store.write_partial("a2", b"in the middle")
    with store.claim("a3"):
        reconcile.review(store, PLAN)
        others = [
            name
            for name in listed(store.folder)
            if not name.startswith(("trials", "details", "blobs"))
        ]
        assert others == ["claims/a3", "partial/a2"]
    assert store.read_partial("a2") == b"in the middle"


def test_one_run_at_a_time_reconciles_a_folder(store, monkeypatch):
    waits = []

    def wait(seconds):
        waits.append(seconds)
        other_run.__exit__(None, None, None)

    said = []
    monkeypatch.setattr(reconcile.time, "sleep", wait)
    monkeypatch.setattr(claims, "REMIND", 0.0)
    other_run = store.claim("reconcile")
    other_run.__enter__()
    with reconcile.joined(store, PLAN, said.append):
        assert len(waits) == 1
    who = f"process {os.getpid()} on {platform.node()}"
    assert said == [f"{store.folder}: waiting for another run that looks at what is stored ({who})"]


def test_a_run_with_another_plan_has_to_wait_or_take_another_name(store):
    def join(trials):
        return reconcile.joined(store, trials, lambda line: None)

    trials = tuple(
        PlannedTrial(key=one.key, arm=one.arm.levels, label=one.arm.label, seed=one.seed)
        for one in PLAN
    )
    more = [*PLAN, planned("z9", seed=7)]
    with join(PLAN) as alone, alone:
        plan = Plan(name="e", measure="accuracy", metric="mean_iou", seeds=(0, 1), trials=trials)
        store.write_plan(plan)
        alone.close()
        with join(more) as also:  # further seeds disturb nobody
            also.close()
            with pytest.raises(UserError, match="another run is under way here"):
                join([planned("other", code="c9")]).__enter__()
    with join([planned("other", code="c9")]):  # nobody is there any more
        pass
    assert list((store.folder / "claims").iterdir()) == []


def test_what_cannot_be_moved_is_named(store, commit):
    commit(planned("old", code="c0"))
    (store.folder / "archive").write_text("in the way")
    with pytest.raises(files.Unwritable, match=r"archive.*cannot be moved"):
        reconcile.review(store, PLAN)
