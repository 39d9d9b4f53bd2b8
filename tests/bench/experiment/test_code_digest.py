"""The digest of code: what changes it, and which modules it covers."""

import pytest

from bench.experiment import code_digest, source_text


def forget():
    for cached in (code_digest.imports, source_text.without_comments):
        cached.cache_clear()


def test_the_scan_sees_imports_of_every_form(tmp_path, monkeypatch):
    (tmp_path / "unet").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "unet" / f"{name}.py").write_text("")
    (tmp_path / "unet" / "__init__.py").write_text("")
    (tmp_path / "unet" / "top.py").write_text(
        "import unet.a\nfrom unet import b\ndef f():\n    from unet.c import x\nimport json\n"
    )
    monkeypatch.setattr(code_digest, "ROOT", tmp_path)
    forget()
    assert code_digest.imports("unet.top") == {"unet.a", "unet.b", "unet.c"}
    before = code_digest.digest(["unet.top"])
    (tmp_path / "unet" / "c.py").write_text("x = 1\n")
    forget()
    assert code_digest.digest(["unet.top"]) != before
    forget()


CODE = '''"""What it is."""
import os  # for paths

SHARP = "# no comment"  # but this is one


def f(x):
    """Do it.

    At length.
    """
    # Why so.
    return """text

    # of a text"""


class A:
    """A class."""

    x = 1
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("What it is.", "What it\nreally is.", True),
        ("  # for paths", "", True),
        ("    # Why so.\n", "", True),
        ("    # Why so.\n", "    # Why so,\n    # and not otherwise: ä.\n", True),
        ("At length.", "At length.\n\n    And more.", True),
        ('    """A class."""\n', '    """Another."""  # or so\n', True),
        ("SHARP =", "# Sharp.\n\n\nSHARP =", True),
        ("# no comment", "# comment", False),
        ("    # of a text", "    # of a poem", False),
        ('"""text\n\n', '"""text\n', False),
        ("x = 1", "x = 2", False),
        ("return", "print(1); return", False),
    ],
)
def test_words_about_code_change_no_digest(old, new, same, tmp_path, monkeypatch):
    def digest(text):
        (tmp_path / "unet.py").write_text(text)
        forget()
        return code_digest.digest(["unet"])

    monkeypatch.setattr(code_digest, "ROOT", tmp_path)
    assert CODE.count(old) == 1
    assert (digest(CODE) == digest(CODE.replace(old, new))) is same
    forget()


def test_what_makes_reports_is_no_part_of_what_measures():
    measuring = code_digest.closure(["bench.execution.accuracy", "bench.data.datasets.scenes"])
    assert {
        "bench.training.loop",
        "bench.evaluation.evaluate",
        "unet.tiling",
        "bench.data.datasets.scenes",
    } <= measuring
    assert not measuring & {
        "bench.report",
        "bench.report.figures.registry",
        "bench.report.tables.registry",
        "bench.execution.runner",
    }


def test_where_results_are_kept_and_how_they_are_called_is_in_no_digest():
    covered = code_digest.closure(["bench.execution.accuracy"])
    assert {"bench.execution.scoring", "bench.store.load_model"} <= covered
    assert not {"bench.store.folder", "bench.store.plans", "bench.store.labels"} & covered
