"""The numbers of READMEs are those of the stored records."""

import importlib.util
from pathlib import Path

import pytest

from tests.shared import committed_results

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location(
    "numbers_of_the_readme", ROOT / "docs" / "readme_numbers.py"
)
numbers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(numbers)


@pytest.mark.parametrize("readme", numbers.FILES, ids=lambda path: path.parent.name)
def test_a_readme_is_as_its_records_make_it(readme):
    text = readme.read_text(encoding="utf-8")
    assert numbers.BLOCK.search(text)
    assert numbers.rewritten(text) == text


def test_a_number_that_was_typed_is_found():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    typed = numbers.BLOCK.sub(lambda found: f"{found[1]}| 1 |\n{found[3]}", text)
    assert typed != text
    assert numbers.rewritten(typed) == text


def test_every_experiment_whose_records_are_committed_has_a_row():
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    kept = [folder.name for folder in committed_results()]
    assert kept
    assert all(f"[{name}]({name}/report/report.md)" in text for name in kept)


def test_an_unknown_block_is_named():
    with pytest.raises(KeyError, match="nothing"):
        numbers.rewritten("<!-- numbers: nothing -->\n<!-- end -->")
