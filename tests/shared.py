"""What a run of the tests makes once, however many processes it has."""

import shutil

from filelock import FileLock


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
