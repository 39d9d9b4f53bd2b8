"""Reports, made from a store alone: one function for each format, one line below for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.analysis.analysis import Analysis, load
from bench.errors import UserError, nearest
from bench.report.content import datasets
from bench.report.content.datasets import Panel
from bench.report.document import Document
from bench.report.figures.encode import encode
from bench.report.figures.registry import FIGURES
from bench.report.formats import csv, html, latex, markdown
from bench.report.formats import datasets as datasets_page
from bench.report.formats import index as index_page
from bench.report.tables.registry import TABLES, WHERE_ANY
from bench.store import looks
from bench.store.files import write_whole
from bench.store.folder import Store
from bench.store.image_counts import collector_paused
from bench.store.plans import Block

SCORED_AGAIN = ("trials", "arms", "comparisons")  # tables of networks that were scored again
SUFFIXES = ("png", "svg")
DEFAULT_FORMATS = ("html", "md", "csv", "tex")


def write(
    store: Store, formats: Sequence[str] = DEFAULT_FORMATS, *, output: Path | None = None
) -> Path:
    """Write a report into ``report/`` of a results folder; return the first format's main file.

    It counts as a look at the results (``bench.store.looks``). With ``output`` it is written into
    ``output/<experiment>/report/``, and the results folder is only read. The same store gives the
    same bytes; nothing else is read. ``formats`` are keys of ``FORMATS``. UserError if one is
    unknown, results cannot be read or the report written, or a folder of the report is a link:
    reports are written into no other place than they say.
    """
    _check(formats)
    return _write_formats(load(store), formats, output)


def write_all(
    stores: Iterable[Store],
    formats: Sequence[str] = DEFAULT_FORMATS,
    *,
    index: Path | None = None,
    output: Path | None = None,
    damaged: Callable[[UserError], None] | None = None,
) -> Iterator[Path]:
    """Write the reports of several experiments, and a page that lists all of the folder ``index``.

    Yields the main file of each report, as soon as it is written; then a page for each experiment
    of which several datasets are among them, ``NAME.html``; then ``index.html``, if that lists more
    than one experiment. These pages lie in ``output`` too, if that is given. ``damaged``, if
    given, is called with what is wrong with an experiment that cannot be read, and the others are
    reported on. UserError if a format is unknown, or a report cannot be written.
    """
    _check(formats)
    entries, panels = {}, []
    for store in stores:
        try:
            results = load(store)
        except UserError as error:
            if damaged is None:
                raise
            damaged(error)
            continue
        yield _write_formats(results, formats, output)
        if index is not None:
            entries[store.folder] = index_page.entry(results, _folder(store, output))
        if results.plan.block is not None:
            panels.append(_panel(results, results.plan.block, _folder(store, output)))
    for group in datasets.groups(panels):
        yield from _write_group(group, formats, output)
    if index is not None:
        others = sorted(path.parent for path in index.glob("*/plan.json"))
        listed = [entries.get(path) or _other(Store(path), output) for path in others]
        folder = output or index
        page = _write(folder / "index.html", index_page.render(listed, folder))
        if len(listed) > 1:
            yield page


def _panel(results: Analysis, block: Block, folder: Path) -> Panel:
    page = folder / "report" / "report.html"
    return Panel(block, results, index_page.link(page, folder.parent) if page.is_file() else "")


def _write_group(
    group: Sequence[Panel], formats: Sequence[str], output: Path | None
) -> Iterator[Path]:
    """Write the page of an experiment on several datasets; yield its file in the first format."""
    folder = output or group[0].results.store.folder.parent
    made = {"html": datasets_page.html_page, "md": datasets_page.markdown}
    wanted = [name for name in dict.fromkeys(formats) if name in made]
    written = [
        _write(folder / f"{group[0].block.experiment}.{name}", made[name](group)) for name in wanted
    ]
    yield from written[:1]


def _folder(store: Store, output: Path | None) -> Path:
    """Return the folder in which the folder ``report`` of an experiment lies."""
    return store.folder if output is None else output / store.folder.name


def _other(store: Store, output: Path | None) -> index_page.Entry:
    """Return what is listed of an experiment that was not asked for, even if it is damaged."""
    try:
        return index_page.entry(load(store), _folder(store, output))
    except UserError as error:
        return index_page.Entry(store.folder.name, "", str(error), (), "", "")


def write_html(document: Document, folder: Path) -> Path:
    """Write ``report.html``, which needs no other file."""
    return _write(folder / "report.html", html.render(document))


def write_latex(document: Document, folder: Path) -> Path:
    """Write ``report.tex``: tables to be input into a paper."""
    return _write(folder / "report.tex", latex.render(document.results))


def write_markdown(document: Document, folder: Path) -> Path:
    """Write ``report.md`` and the figures that it shows."""
    write_figures(document.figures, folder / "figures")
    return _write(folder / "report.md", markdown.render(document))


def write_csv(document: Document, folder: Path) -> Path:
    """Write one CSV file for each of ``TABLES``; return the one of all trials.

    Where stored networks were scored again, three more: ``trials-test.csv``, say.
    """
    for name, table in TABLES.items():
        frame, path = table(document.results), folder / f"{name}.csv"
        if frame.empty and name in WHERE_ANY:
            path.unlink(missing_ok=True)
        else:
            _write(path, csv.render(frame))
    for section in document.evaluations:
        if section.results is not None:
            for name in SCORED_AGAIN:
                scores = csv.render(TABLES[name](section.results))
                _write(folder / f"{name}-{section.name}.csv", scores)
    return folder / "trials.csv"


def write_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write figures as files; remove those of an earlier report that have nothing to show now."""
    for name in FIGURES:
        for suffix in SUFFIXES:
            path = folder / f"{name}.{suffix}"
            if name in figures:
                write_whole(path, encode(figures[name], suffix))
            else:
                path.unlink(missing_ok=True)


def _check(formats: Sequence[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"--format: unknown format {name!r}{nearest(name, FORMATS)}")
    if not formats:
        raise UserError(f"--format: names no format{nearest('', FORMATS)}")


@collector_paused()  # figures are of many small things, and stay until the report is written
def _write_formats(results: Analysis, formats: Sequence[str], output: Path | None) -> Path:
    folder = _folder(results.store, output) / "report"
    for made in (*([folder.parent] if output else []), folder, folder / "figures"):
        if made.is_symlink():
            raise UserError(f"{made}: is a link; remove it, or write elsewhere with --output DIR")
    document = Document(results)
    main_files = [FORMATS[name](document, folder) for name in dict.fromkeys(formats)]
    if output is None and results.look is not None:
        looks.remember(results.store, results.look)
    return main_files[0]


def _write(path: Path, text: str) -> Path:
    write_whole(path, text.encode(errors="replace"))  # names of files need be no text
    return path


FORMATS: Mapping[str, Callable[[Document, Path], Path]] = {
    "html": write_html,
    "md": write_markdown,
    "csv": write_csv,
    "tex": write_latex,
}
