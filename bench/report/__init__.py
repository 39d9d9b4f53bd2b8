"""Reports, made from a store alone: one function for each format, one line below for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bench.errors import UserError, nearest
from bench.figures import FIGURES
from bench.figures.style import encode
from bench.frame import Results, load
from bench.records import Store
from bench.report import markdown
from bench.tables import TABLES

SUFFIXES = ("png", "svg")


def write(store: Store, formats: Sequence[str] = ("md", "csv")) -> Path:
    """Write the report of one experiment into ``report/`` of its results folder.

    The same store gives the same bytes.

    Args:
        store: the results; nothing else is read.
        formats: keys of ``FORMATS``.

    Returns:
        The main file of the first format.

    Raises:
        UserError: if a format is unknown, or results cannot be read or the report written.
    """
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"--format: unknown format {name!r}{nearest(name, FORMATS)}")
    if not formats:
        raise UserError(f"--format: names no format{nearest('', FORMATS)}")
    results = load(store)
    folder = store.folder / "report"
    main_files = [FORMATS[name](results, folder) for name in dict.fromkeys(formats)]
    return main_files[0]


def write_all(stores: Iterable[Store], formats: Sequence[str] = ("md", "csv")) -> list[Path]:
    """Write the reports of several experiments; see ``write``."""
    return [write(store, formats) for store in stores]


def write_markdown(results: Results, folder: Path) -> Path:
    """Write ``report.md`` and the figures that it shows."""
    captions = write_figures(results, folder / "figures")
    return _write(folder / "report.md", markdown.render(results, captions).encode())


def write_csv(results: Results, folder: Path) -> Path:
    """Write one CSV file for each of ``bench.tables.TABLES``; return the one of all trials."""
    paths = {
        name: _write(
            folder / f"{name}.csv",
            table(results).to_csv(index=False, lineterminator="\n").encode(),
        )
        for name, table in TABLES.items()
    }
    return paths["trials"]


def write_figures(results: Results, folder: Path) -> dict[str, str]:
    """Write every figure that has something to show; return name → caption.

    A file of an earlier report whose figure has nothing to show any more is removed.
    """
    captions = {}
    for name, draw in FIGURES.items():
        figure = draw(results)
        for suffix in SUFFIXES:
            path = folder / f"{name}.{suffix}"
            if figure is None:
                path.unlink(missing_ok=True)
            else:
                _write(path, encode(figure, suffix))
        if figure is not None:
            captions[name] = str(figure.get_label())
    return captions


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    return path


FORMATS: Mapping[str, Callable[[Results, Path], Path]] = {"md": write_markdown, "csv": write_csv}
