"""A report over damaged files: what is wrong is named, and the rest is told."""

import pytest

from bench.__main__ import main
from bench.report import write
from bench.store.loading import load


def harm(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["record", "details", "picture"])
def test_a_report_names_what_is_damaged_and_goes_on(make_store, kind):
    store = make_store()
    keys = sorted(store.keys())
    path = {
        "record": store.record_file(keys[0]),
        "details": store.details_file(keys[0]),
        "picture": store.folder / store.read(keys[0]).result["panels"][0]["prediction"],
    }[kind]
    harm(path)
    results = load(store)
    assert len(results.damaged) == 1
    assert str(path) in results.damaged[0]
    states = results.trials.set_index("key")["status"]
    assert states[keys[0]] == ("not run" if kind == "record" else "done")
    assert set(states[keys[1:]]) == {"done"}
    text = write.write(store, ["md"]).read_text(encoding="utf-8")
    assert f"{path.name}" in text
    assert "damaged" in text
    page = write.write(store, ["html"]).read_text(encoding="utf-8")
    assert path.name in page


def test_a_store_without_damage_has_nothing_to_name(make_store):
    assert load(make_store()).damaged == ()


def test_the_first_trial_with_whole_pictures_is_shown(make_store):
    store = make_store(images=1, values={(0, 0): 0.1, (0, 1): 0.9})
    record = store.read("k0000s0")
    harm(store.folder / record.result["panels"][0]["prediction"])
    results = load(store)
    shown = [len(results.records[f"k0000s{seed}"].result["panels"]) for seed in (0, 1)]
    assert shown == [0, 1]


def test_status_names_damage_and_counts_the_trial_as_left(make_store, capsys):
    store = make_store()
    harm(store.record_file("k0000s0"))
    assert main(["status", "--results", str(store.folder.parent)]) == 0
    captured = capsys.readouterr()
    assert "k0000s0.json: damaged" in captured.err
    assert captured.out.splitlines()[-1].split() == ["experiment", "6", "5", "0", "1"]
