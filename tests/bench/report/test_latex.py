"""Tables for a paper: whatever a name holds is printed, and the tables are sound."""

import re

import pytest

from bench.analysis import analysis
from bench.report.formats import latex

ESCAPED = {
    "loss_ablation": r"loss\_ablation",
    "50 % & more": r"50 \% \& more",
    "$a$ #1 {b}": r"\$a\$ \#1 \{b\}",
    "x^2 ~ y": r"x\textasciicircum{}2 \textasciitilde{} y",
    r"\input{/etc/passwd}": r"\textbackslash{}input\{/etc/passwd\}",
    "a<b>c|d": r"a\textless{}b\textgreater{}c\textbar{}d",
    "a--b ---": "a{-}{-}b {-}{-}{-}",
    "[x] *y*": "{[}x] {*}y{*}",
    "`a' ''b\"": r"\textasciigrave{}a{'} {'}{'}b''",
    "0.512 ± 0.021": r"0.512 $\pm$ 0.021",
    "−3 × 2 · 1 – 2": r"$-$3 $\times$ 2 $\cdot$ 1 – 2",
    "ω² ≤ ∞": r"$\omega$$^2$ $\leq$ $\infty$",
    "Müller, Čapek, 日": "Müller, Čapek, 日",
    "a\n\tb\x00\u202ec": "a b c",
}


@pytest.mark.parametrize("text", ESCAPED)
def test_text_is_escaped(text):
    assert latex.escape(text) == ESCAPED[text]


def tables(text):
    """Return the columns and cells of each tabular."""
    found = []
    for columns, body in re.findall(
        r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.S
    ):
        lines = [line.strip() for line in body.splitlines() if line.strip().endswith(r"\\")]
        rows = [re.split(r"(?<!\\)&", line.removesuffix(r"\\")) for line in lines]
        found.append((columns, [[cell.strip() for cell in row] for row in rows]))
    return found


def test_the_tables_of_every_store_are_sound(every_store):
    text = latex.render(analysis.load(every_store))
    bare = text.replace(r"\textbackslash{}", "").replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
        pair
        for _ in tables(text)
        for pair in (("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table"))
    ]
    labels = re.findall(r"\\label\{(.*)\}", text)
    assert len(labels) == len(set(labels)) == len(tables(text)) > 0
    assert all(re.fullmatch("tab:[a-z0-9-]+", label) for label in labels)
    for columns, rows in tables(text):
        assert len(rows) >= 2
        assert all(len(row) == len(columns) for row in rows)
        assert not any(row[0].startswith(("[", "*")) for row in rows)
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule")


def test_arms_come_with_mean_sd_and_n(example):
    store = example("seven arms")
    (columns, (header, *rows)), *_ = tables(latex.render(analysis.load(store)))
    assert columns.startswith("lrr")
    assert header[:3] == ["arm", "mean IoU", "n"]
    assert [row[0] for row in rows][:2] == [
        r"ce $\cdot$ bilinear (baseline)",
        r"ce $\cdot$ transposed",
    ]
    values = [r.result.metrics["mean_iou"] for r in store.records() if r.label == "smp_unet"]
    mean = sum(values) / 3
    sd = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
    assert rows[-1][1:3] == [rf"{mean:.3f} $\pm$ {sd:.3f}", "3"]


def test_comparisons_come_with_their_verdicts(example):
    _, (_, (header, *rows)) = tables(latex.render(analysis.load(example("one at a time"))))
    place = header.index("verdict")
    assert header[:2] == ["compared with the baseline", "difference, points"]
    assert len(rows) == 3
    assert {row[place] for row in rows} <= {"better", "worse", "inconclusive"}


def test_a_long_table_is_cut_and_says_so(make_store):
    levels = {"train.loss": [f"loss {i}" for i in range(latex.MOST_ROWS + 5)]}
    store = make_store(factors=levels, seeds=(0,), images=0, history=False)
    text = latex.render(analysis.load(store))
    assert f"The first {latex.MOST_ROWS} of {latex.MOST_ROWS + 5} rows." in text
    assert len(tables(text)[0][1]) == 1 + latex.MOST_ROWS
