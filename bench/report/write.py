"""Reports, made from a store alone: one function for each format, one line below for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.analysis.analysis import Analysis, load
from bench.errors import UserError, nearest
from bench.report.document import Document
from bench.report.figures.encode import encode
from bench.report.figures.registry import FIGURES
from bench.report.formats import html, latex, markdown
from bench.report.formats import index as index_page
from bench.report.tables.registry import TABLES
from bench.store.folder import Store
from bench.store.image_counts import collector_paused

SUFFIXES = ("png", "svg")
DEFAULT_FORMATS = ("html", "md", "csv", "tex")


def write(store: Store, formats: Sequence[str] = DEFAULT_FORMATS) -> Path:
    """Write a report into ``report/`` of a results folder; return the first format's main file.

    The same store gives the same bytes; nothing else is read. ``formats`` are keys of ``FORMATS``.
    UserError if one is unknown, or results cannot be read or the report written.
    """
    _check(formats)
    return _write_formats(load(store), formats)


def write_all(
    stores: Iterable[Store], formats: Sequence[str] = DEFAULT_FORMATS, *, index: Path | None = None
) -> Iterator[Path]:
    """Write the reports of several experiments, and a page that lists all of the folder ``index``.

    Yields the main file of each report, as soon as it is written; then ``index.html``, if that
    lists more than one experiment. UserError as ``write``.
    """
    _check(formats)
    entries = {}
    for store in stores:
        results = load(store)
        yield _write_formats(results, formats)
        if index is not None:
            entries[store.folder] = index_page.entry(results)
    if index is not None:
        others = sorted(path.parent for path in index.glob("*/plan.json"))
        listed = [entries.get(path) or _other(Store(path)) for path in others]
        page = _write(index / "index.html", index_page.render(listed).encode())
        if len(listed) > 1:
            yield page


def _other(store: Store) -> index_page.Entry:
    """Return what is listed of an experiment that was not asked for, even if it is damaged."""
    try:
        return index_page.entry(load(store))
    except UserError as error:
        return index_page.Entry(store.folder.name, "", str(error), (), "", "")


def write_html(document: Document, folder: Path) -> Path:
    """Write ``report.html``, which needs no other file."""
    return _write(folder / "report.html", html.render(document).encode())


def write_latex(document: Document, folder: Path) -> Path:
    """Write ``report.tex``: tables to be input into a paper."""
    return _write(folder / "report.tex", latex.render(document.results).encode())


def write_markdown(document: Document, folder: Path) -> Path:
    """Write ``report.md`` and the figures that it shows."""
    write_figures(document.figures, folder / "figures")
    return _write(folder / "report.md", markdown.render(document).encode())


def write_csv(document: Document, folder: Path) -> Path:
    """Write one CSV file for each of ``TABLES``; return the one of all trials."""
    for name, table in TABLES.items():
        content = table(document.results).to_csv(index=False, lineterminator="\n")
        _write(folder / f"{name}.csv", content.encode())
    return folder / "trials.csv"


def write_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write figures as files; remove those of an earlier report that have nothing to show now."""
    for name in FIGURES:
        for suffix in SUFFIXES:
            path = folder / f"{name}.{suffix}"
            if name in figures:
                _write(path, encode(figures[name], suffix))
            else:
                path.unlink(missing_ok=True)


def _check(formats: Sequence[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"--format: unknown format {name!r}{nearest(name, FORMATS)}")
    if not formats:
        raise UserError(f"--format: names no format{nearest('', FORMATS)}")


@collector_paused()  # figures are of many small things, and stay until the report is written
def _write_formats(results: Analysis, formats: Sequence[str]) -> Path:
    folder = results.store.folder / "report"
    document = Document(results)
    main_files = [FORMATS[name](document, folder) for name in dict.fromkeys(formats)]
    return main_files[0]


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    return path


FORMATS: Mapping[str, Callable[[Document, Path], Path]] = {
    "html": write_html,
    "md": write_markdown,
    "csv": write_csv,
    "tex": write_latex,
}
