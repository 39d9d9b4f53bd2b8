"""Where a report is written: whole files, in no other place than is said, the results untouched."""

import errno
import os

import pytest

from bench.__main__ import main
from bench.errors import UserError
from bench.report import write
from bench.store import files
from bench.store.folder import Store

pytestmark = pytest.mark.usefixtures("without_figures")


def tree(folder):
    """Return everything in a folder, with contents and times."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else None,
        )
        for path in [folder, *sorted(folder.rglob("*"))]
    }


@pytest.fixture
def store(make_store):
    return make_store(seeds=(0,), images=0)


def test_a_full_disk_leaves_the_earlier_report(store, monkeypatch):
    path = write.write(store, ["md"])
    before = tree(store.folder / "report")

    def full(point):
        if point == "report half written":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "at", full)
    with pytest.raises(UserError, match=r"report\.md: cannot be written \(No space"):
        write.write(store, ["md"])
    monkeypatch.undo()
    assert tree(store.folder / "report").keys() == before.keys()
    assert path.read_bytes() == before["report.md"][1]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_elsewhere_is_not_written_through_a_link(store, tmp_path, link):
    (tmp_path / "backup.csv").write_text("mine")
    (store.folder / "report").mkdir()
    link(tmp_path / "backup.csv", store.folder / "report" / "trials.csv")
    path = write.write(store, ["csv"])
    assert not path.is_symlink()
    assert path.read_text().startswith("key,")
    assert (tmp_path / "backup.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["report", "report/figures"])
def test_a_folder_that_is_a_link_is_refused(store, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (store.folder / name).parent.mkdir(exist_ok=True)
    (store.folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=rf"{name}: is a link; remove it, or .* --output"):
        write.write(store, ["md"])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_results_that_may_only_be_read_are_reported_elsewhere(make_store, tmp_path, capsys):
    for name in ("one", "two"):
        make_store(f"results/{name}", name=name, seeds=(0,), images=0)
    results, out = tmp_path / "results", tmp_path / "out"
    folders = [results, *(path for path in results.rglob("*") if path.is_dir())]
    before = tree(results)
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert main(["report", "--results", str(results), "--output", str(out)]) == 0
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert tree(results) == before
    told = capsys.readouterr().out.split()
    for name in ("one", "two"):
        page = out / name / "report" / "report.html"
        assert str(page) in told
        assert page.is_file()
        assert f'href="{name}/report/report.html"' in (out / "index.html").read_text()


def test_a_report_elsewhere_is_the_same(store, tmp_path):
    here = write.write(store, ["html", "md", "csv", "tex"]).parent
    there = write.write(store, ["html", "md", "csv", "tex"], output=tmp_path / "out").parent
    assert there == tmp_path / "out" / store.folder.name / "report"
    contents = [{name: content for name, (_, content) in tree(at).items()} for at in (here, there)]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("options", [[], ["--output", "out"]])
def test_an_experiment_in_the_place_of_the_list_is_reported(
    make_store, tmp_path, monkeypatch, capsys, options
):
    make_store("results/index.html", seeds=(0,), images=0)
    make_store("results/other", seeds=(0,), images=0)
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--format", "csv", *options]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert err == (
        "warning: results/index.html: is a folder, so that no page lists the experiments\n"
    )


def test_a_folder_whose_name_is_no_text_is_reported(store, tmp_path, capsys):
    try:
        folder = store.folder.rename(store.folder.with_name(os.fsdecode(b"a\xff")))
    except OSError:
        pytest.skip("names are text here")
    paths = list(write.write_all([Store(folder)], ["html", "md"], index=folder.parent))
    assert [path.name for path in paths] == ["report.html"]
    assert b"a%FF/report/report.html" in (folder.parent / "index.html").read_bytes()
