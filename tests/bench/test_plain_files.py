"""Pipes and devices in the place of files: one line that names them, and no waiting."""

import os
import threading
from pathlib import Path

import pytest

from bench import plain_files, yaml_files
from bench.data import dataset
from bench.data.files import archives, images, layout, multichannel
from bench.errors import UserError
from bench.store import files
from bench.store.folder import Store
from bench.training import checkpoints

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes among files here")


@pytest.fixture
def make_pipe():
    """Return a function that makes a pipe at a path; who reads it finds it empty, if not at once."""
    made = []

    def make(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        writer = threading.Thread(target=lambda: path.open("wb").close(), daemon=True)
        writer.start()
        made.append((path, writer))
        return path

    yield make
    for path, writer in made:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # lets the writer go
        writer.join(60)
        os.close(handle)


READERS = {
    "colour": images.read_colour,
    "grey": images.read_grey,
    "labels": images.read_ids,
    "stack": images.read_stack,
    "channels": lambda path: multichannel.read(path, 4),
    "fingerprint": dataset.fingerprint,
    "archive": lambda path: archives.unpack(
        path, path.with_name("new"), max_bytes=9, max_members=9
    ),
    "checkpoint": checkpoints.load,
    "stored": files.read_json,
    "yaml": yaml_files.read_mapping,
}


@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_is_named_and_not_read(tmp_path, make_pipe, kind):
    pipe = make_pipe(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: no plain file"):
        READERS[kind](pipe)


@pytest.mark.parametrize("kind", READERS)
def test_a_link_to_a_device_is_named_and_not_read(tmp_path, kind):
    (tmp_path / "a.png").symlink_to(os.devnull)
    with pytest.raises(UserError, match=r"a\.png: no plain file"):
        READERS[kind](tmp_path / "a.png")


def test_files_folders_and_nothing_pass(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").symlink_to("a")
    for name in ("a", "b", ".", "c", "d\0"):
        plain_files.check(Path(f"{tmp_path}/{name}"))


@pytest.mark.parametrize("name", ["images/train/a.png", "masks/train/a.png", "train.txt"])
def test_a_pipe_in_a_folder_of_images_is_named(tmp_path, make_pipe, name):
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (tmp_path / kind / split).mkdir(parents=True)
            (tmp_path / kind / split / "a.png").write_bytes(b"")
    (tmp_path / name).unlink(missing_ok=True)
    make_pipe(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name}: no plain file"):
        dataset.fingerprint(*layout.find_pairs(tmp_path)["train"]["train/a.png"])


BLOB = f"blobs/{'0' * 64}.png"
STORED = {
    "plan.json": Store.read_plan,
    "trials/k.json": lambda store: store.read("k"),
    "details/k.json": lambda store: store.details("k"),
    "partial/k": lambda store: store.read_partial("k"),
    BLOB: lambda store: store.blob(BLOB),
}


@pytest.mark.parametrize("name", STORED)
def test_a_pipe_in_a_results_folder_is_named(tmp_path, make_pipe, name):
    make_pipe(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name}: no plain file"):
        STORED[name](Store(tmp_path))


def test_a_pipe_or_a_device_is_not_replaced(tmp_path, make_pipe):
    pipe = make_pipe(tmp_path / "a")
    (tmp_path / "b").symlink_to(os.devnull)
    for path in (pipe, tmp_path / "b"):
        with pytest.raises(UserError, match="cannot be written"):
            files.write_whole(path, b"content")
    assert pipe.is_fifo()
    assert (tmp_path / "b").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2
