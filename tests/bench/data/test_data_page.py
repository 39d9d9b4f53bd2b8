"""Every layout of docs/data.md, as its classes.yaml says, on a folder of the files that it lists."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from bench.data import inspect, registry
from bench.data.datasets.folder import Classes, Settings
from bench.data.files.layout import find_pairs

PAGE = Path(__file__).parents[3] / "docs" / "data.md"
SECTION = re.compile(r"### (.+?)\n.*?```text\n(.+?)```\n.*?```yaml\n(.+?)```", re.DOTALL)
LAYOUTS = {
    name: (files, classes) for name, files, classes in SECTION.findall(PAGE.read_text("utf-8"))
}


def test_the_page_has_layouts():
    assert len(LAYOUTS) == 9
    assert PAGE.read_text("utf-8").count("\n### ") == len(LAYOUTS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_of_the_page_is_read(name, tmp_path):
    files, text = LAYOUTS[name]
    (tmp_path / "classes.yaml").write_text(text)
    for line in files.splitlines():
        path, _, content = line.partition(": ")
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    classes = Classes(**yaml.safe_load(text))
    meanings = classes.meanings()
    for pairs in find_pairs(tmp_path, classes.files).values():
        for image, mask in pairs.values():
            Image.new("RGB", (len(meanings), 1), (9, 8, 7)).save(image)
            Image.fromarray(np.array([meanings], np.uint8)).save(mask)
    assert all(path.stat().st_size for path in tmp_path.rglob("*"))  # every file was one of a pair
    dataset = registry.load(Settings(path=str(tmp_path)), tmp_path)
    expected = [*range(len(classes.names)), *[255] * len(classes.ignore)]
    for split in ("train", "val"):
        (only,) = dataset.splits[split].names
        assert dataset.splits[split].read(only)[1].tolist() == [expected]
    assert not [error for one in inspect.check(dataset).values() for error in one.problems]
