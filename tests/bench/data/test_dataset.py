import numpy as np
import pytest

from bench.data.dataset import assemble, fingerprint, note_on_copies, split_in_memory
from bench.errors import UserError


def test_a_fingerprint_tells_its_parts_apart(tmp_path):
    (tmp_path / "file").write_bytes(b"ab")
    given = [("ab",), ("a", "b"), ("b", "a"), ("ab", ""), (tmp_path / "file",)]
    assert len({fingerprint(*parts) for parts in given}) == len(given)
    assert fingerprint("ab") == fingerprint(b"ab")


def test_a_fingerprint_of_a_missing_file_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="gone: cannot be read"):
        fingerprint(tmp_path / "gone")


def test_a_dataset_is_identified_by_its_classes_and_splits():
    pairs = {"a": (np.zeros((2, 3, 3), np.uint8), np.ones((2, 3), np.uint8))}
    split, other = split_in_memory(pairs, "f1"), split_in_memory(pairs, "f2")
    colours = {"x": (0, 0, 0), "y": (1, 2, 3)}
    dataset = assemble("set", colours, {"train": split})
    assert dataset.classes == ("x", "y")
    assert dataset.palette.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert assemble("set", colours, {"train": split}).fingerprint == dataset.fingerprint
    assert assemble("set", colours, {"train": other}).fingerprint != dataset.fingerprint
    renamed = {"x": (0, 0, 0), "z": (1, 2, 3)}
    assert assemble("set", renamed, {"train": split}).fingerprint != dataset.fingerprint


def test_files_with_the_same_bytes_in_two_splits_are_noted(tmp_path):
    files = {name: tmp_path / name for name in "abcd"}
    for name, file in files.items():
        file.write_bytes(b"same" if name in "ac" else name.encode())
    images = {"train": [files["a"], files["b"]], "val": [files["c"]], "test": [files["d"]]}
    assert "in two splits (train and val)." in note_on_copies(images)
    files["c"].write_bytes(b"other")
    assert note_on_copies(images) == ""
