"""CSV files: no text becomes a formula, each text can be had back, numbers stay as they are."""

import csv as reader
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report import write
from bench.report.formats import csv

FORMULAS = ['=HYPERLINK("http://x.y")', "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "'=1", "＝1"]
HARMLESS = ["ce", "a=b", "-0.5", "+1e-3", "-0.1 0.2 -3e-05", "-inf nan", "'quoted'", "", " =1"]


def cells(table):
    return list(reader.reader(io.StringIO(csv.render(table))))


def read_back(cell):
    return cell[1:] if csv.ESCAPED.match(cell) else cell


@pytest.mark.parametrize("text", FORMULAS)
def test_what_would_be_a_formula_is_text(text):
    assert cells(pd.DataFrame({text: [text]})) == [[f"'{text}"], [f"'{text}"]]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_formula_is_left_as_it_is(text):
    assert cells(pd.DataFrame({"a": ["x"], "b": [text]}))[1] == ["x", text]


@given(st.text(alphabet="=+-@'\t\r 0a.e\n", max_size=6))
def test_every_text_can_be_had_back(text):
    written = cells(pd.DataFrame({"a": ["x"], "b": [text]}))[1][1]
    assert read_back(written) == text.replace("\r", " ")
    numbers = all(part.lstrip("+-")[:1].isdigit() for part in text.split(" "))
    assert written[:1] not in tuple("=+-@\t") or numbers


def test_numbers_stay_numbers():
    table = pd.DataFrame(
        {
            "a": [-1.5, float("nan")],
            "b": pd.array([-2, None], dtype="Int64"),
            "c": [True, False],
            "d": pd.Series([-1, None], dtype=object),
            "e": pd.Series([True, "-x"], dtype=object),
        }
    )
    assert csv.render(table) == "a,b,c,d,e\n-1.5,-2,True,-1,True\n,,False,,'-x\n"


def test_names_in_a_report_are_no_formulas(make_store):
    store = make_store(
        factors={"train.loss": ["=1+1", "@x"]}, seeds=(0,), images=0, rename={"grass": "=2+2"}
    )
    folder = write.write(store, ["csv"]).parent
    found = [
        cell
        for path in folder.glob("*.csv")
        for row in reader.reader(path.read_text(encoding="utf-8").splitlines())
        for cell in row
    ]
    assert {"'=1+1", "'@x", "'=2+2"} <= set(found)
    assert not [cell for cell in found if cell.startswith(("=", "@"))]
