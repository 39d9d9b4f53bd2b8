"""Damaged files: a report shows other pictures instead, and `status` counts the trial as missing."""

from bench.__main__ import main
from bench.store.loading import load
from tests.bench import damage


def test_the_first_trial_with_whole_pictures_is_shown(make_store):
    store = make_store(images=1, values={(0, 0): 0.1, (0, 1): 0.9})
    damage.flip(damage.picture(store, "k0000s0"))
    results = load(store)
    shown = [len(results.records[f"k0000s{seed}"].accuracy.examples) for seed in (0, 1)]
    assert shown == [0, 1]


def test_status_names_damage_and_counts_the_trial_as_pending(make_store, capsys):
    store = make_store()
    damage.flip(store.record_file("k0000s0"))
    assert main(["status", "--results", str(store.folder.parent)]) == 0
    captured = capsys.readouterr()
    assert "k0000s0.json: damaged" in captured.err
    assert captured.out.splitlines()[-1].split() == ["experiment", "6", "5", "0", "1"]
