"""What a run of the tests makes once, however many processes it has."""

import shutil
from pathlib import Path

from filelock import FileLock

RESULTS = Path(__file__).resolve().parent.parent / "results"


def committed_results():
    """Return the folders of results that git does not ignore; those of a user's runs it does."""
    lines = (RESULTS.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    kept = [line.split("/")[2] for line in lines if line.startswith("!/results/")]
    return sorted(RESULTS / name for name in kept if (RESULTS / name).is_dir())


def once(folder, make):
    """Return a folder that whoever asks first fills; other processes wait for it.

    Args:
        folder: where it is to lie; several processes may name the same.
        make: fills the folder that it is given.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            unfinished = folder.with_name(f"{folder.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder
