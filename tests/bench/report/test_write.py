"""The report as a reader gets it: what it says, that names stay text, the same bytes each time."""

import csv
import functools
import html
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.analysis import analysis
from bench.errors import UserError
from bench.report import write
from bench.report.content.numbers import listed
from bench.report.content.prose import say
from bench.report.content.table import Column, Table
from bench.report.document import Document
from bench.report.figures.registry import FIGURES
from bench.report.formats import markdown
from bench.report.tables.registry import TABLES, WHERE_ANY
from bench.report.write import FORMATS
from bench.store.folder import Store
from tests.bench.conftest import EXAMPLES
from tests.bench.made_stores import details_json

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def render(store):
    return written(analysis.load(store))


def written(results):
    """Return the report without its figures, which take most of the time."""
    document = Document(results)
    document.__dict__["figures"] = {}
    return markdown.render(document)


@pytest.fixture(scope="module")
def text_of(document):
    """Return a function: name of an example → its report without its figures."""
    return functools.cache(lambda name: written(document(name).results))


def with_result(record, **values):
    """Return a record of which the result has other values."""
    return record.model_copy(update={"result": record.result.model_copy(update=values)})


def seen(markup):
    """Return the text that a browser shows of some HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip()


def rows(text, heading):
    """Return the first table under a heading as a browser shows it, its header first."""
    rendered = RENDERER.render(text).partition(f">{heading}</h")[2]
    rendered = rendered[: rendered.index("</table>")]
    return [
        [seen(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
        for row in re.findall(r"<tr>(.*?)</tr>", rendered, re.S)
    ]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def seven(text_of):
    return text_of("seven arms")


def test_the_main_table_holds_every_arm_with_mean_sd_and_n(seven, example):
    header, *body = rows(seven, "Arms")
    assert header[:5] == ["arm", "mean IoU", "n", "95 % interval", "classes averaged"]
    assert [row[0] for row in body] == [
        "ce · bilinear (baseline)",
        "ce · transposed",
        "dice · bilinear",
        "dice · transposed",
        "dice+ce · bilinear",
        "dice+ce · transposed",
        "smp_unet",
    ]
    values = [
        record.result.metrics["mean_iou"]
        for record in example("seven arms").records()
        if record.label == "ce · bilinear"
    ]
    mean = sum(values) / 3
    sd = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
    half = 4.302653 * sd / 3**0.5  # t with 2 degrees of freedom
    interval = f"{mean - half:.3f} to {mean + half:.3f}"
    assert body[0][1:5] == [f"{mean:.3f} ± {sd:.3f}", "3", interval, "20"]
    assert body[3][1:5] == ["–", "0", "–", "–"]
    assert body[1][-1] == "seed 2 oom"


def test_what_is_missing_is_said_first_and_named(seven):
    warning = seven.index("5 of 21 trials have no result: 1 diverged, 3 not run, 1 oom")
    assert warning < seven.index("## Effects") < seven.index("## Arms")
    assert seven.index("The grid is incomplete: ") < seven.index("do not all have results under")
    assert seven.index("do not all have results under") < seven.index("Full factorial of")
    assert rows(seven, "Trials without a result")[1:] == [
        ["ce · transposed", "2", "oom", "out of luck in epoch 3"],
        ["dice · bilinear", "0", "diverged", "out of luck in epoch 3"],
        *(["dice · transposed", str(seed), "not run", ""] for seed in range(3)),
    ]


def test_a_complete_store_brings_no_warning(text_of):
    text = text_of("one at a time")
    top = text[: text.index("## Effects")]  # the metric audit may warn
    warnings = [line for line in top.splitlines() if "Warning" in line]
    assert all("has a pixel of" in line for line in warnings)  # scenes are few here
    assert "Trials without a result" not in text
    assert "left out of training" not in text
    assert "One factor at a time" in text


def test_the_design_is_stated(seven):
    assert (
        "Full factorial of train.loss (ce, dice, dice+ce) × model.upsampling (bilinear, "
        "transposed); 1 further arm.\n7 arms × 3 seeds: 21 trials, of which 16 finished." in seven
    )
    assert "Baseline: train.loss = ce, model.upsampling = bilinear." in seven
    assert "Scores are of the val split (5 images" in seven


def test_arms_of_include_alone_vary_no_factor(make_store):
    store = make_store(factors={"train.loss": ["ce"]}, include=({"model.name": "smp_unet"},))
    first, *_ = say(analysis.load(store), "design")
    assert first.startswith("No factor is varied; 1 further arm is compared with the baseline.")


def test_paragraphs_are_one_blank_line_apart(document):
    text = markdown.render(document("24 arms"))
    assert "](figures/interactions.png)" in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    ("names", "text"),
    [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c"), ("abcdef", "a, b, c, d and 2 more")],
)
def test_names_in_a_row(names, text):
    assert listed(names) == text


def test_images_left_out_of_training_are_counted_by_arm(seven):
    body = rows(seven, "Images left out of training")[1:]
    assert body[4] == ["dice+ce · bilinear", "33", "7"]
    assert [row[2] for row in body] == ["0", "0", "0", "–", "7", "0", "0"]


def test_classes_are_named_in_a_table(seven):
    header, *body = rows(seven, "IoU by class")
    assert len(body) == 21
    assert len(header) == 8
    assert body[5] == ["sky", *["–"] * 7]


def test_how_to_reproduce(seven):
    assert "```\npython -m bench run experiments/loss_ablation.yaml\n```" in seven
    text = RENDERER.render(seven)
    for value in ("2.15.0", "a1b2c3", "d4e5f6", "A CPU"):
        assert value in text


def test_pictures_are_linked_relatively_and_lie_there(document, tmp_path):
    drawn = document("naughty names").figures
    folder = write.write_markdown(document("naughty names"), tmp_path).parent
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (folder / "report.md").read_text())
    assert links == [f"figures/{name}.png" for name in FIGURES if name in drawn]
    assert "effects" in drawn
    for link in links:
        assert (folder / link).read_bytes().startswith(b"\x89PNG")
        assert (folder / link).with_suffix(".svg").is_file()


def test_a_figure_that_has_nothing_to_show_any_more_goes(make_store):
    store = make_store(seeds=(0,), images=1)
    figures = write.write(store, ["md"]).parent / "figures"
    assert (figures / "panels.png").is_file()
    for path in (store.folder / "trials").iterdir():
        path.unlink()
    text = write.write(store, ["md"]).read_text()
    assert list(figures.iterdir()) == []
    assert "figures/" not in text


def test_tables_lie_beside_the_report(example):
    folder = write.write(example("24 arms"), ["csv"]).parent
    for name in TABLES.keys() - WHERE_ANY:
        with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            header, *body = csv.reader(file)
        assert body
        assert {len(row) for row in body} == {len(header)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_store_makes_a_report(text_of, example, name):
    text, plan = text_of(name), example(name).read_plan()
    for label in {trial.label for trial in plan.trials}:
        assert any(row[0].startswith(" ".join(label.split())) for row in rows(text, "Arms"))
    assert len(rows(text, "All trials")) == 1 + len(plan.trials)
    assert "nan" not in text.lower()
    assert "None" not in text.replace("None of the", "")


def test_the_answer_comes_first_and_is_made_of_verdicts(text_of):
    text = text_of("24 arms")
    answer = text[text.index("**Answer.**") : text.index("> **Warning:**")]
    body = {row[0]: row for row in rows(text, "Effects")[1:]}
    decided = [name for name, row in body.items() if row[3] in ("better", "worse")]
    assert decided
    for name, row in body.items():
        told = any(f"{name}{what} ({row[1]} points" in answer for what in ("", " on average"))
        assert (told or f"{name} on average (" in answer) == (name in decided)
    assert "corrected for 5 comparisons; smaller ones may go undetected." in answer
    assert text.index("Which loss?") < text.index(answer)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("two arms", "mean IoU is better with train.loss = dice (+13.0 points"),
        (
            "one seed",
            "No comparison of mean IoU with the baseline (ce) is possible yet: only one",
        ),
        ("seven arms", "None of the 4 comparisons with the baseline is statistically conclusive."),
        ("a margin", "equivalent within ±2 points with train.loss = dice (0.00 points"),
        ("one arm", "No arm is compared with a baseline."),
        ("nothing run", "yet: no seed finished in both"),
    ],
)
def test_answers(text_of, name, expected):
    text = text_of(name)
    assert expected in text[: text.index("## ")]


def test_an_answer_gives_simple_effects_where_factors_interact(make_store):
    """A loss adds 0.05 with one upsampling and 0.15 with the other: 0.10 on average."""
    factors = {"train.loss": ["ce", "dice"], "model.upsampling": ["bilinear", "transposed"]}
    added = (0.0, 0.0, 0.05, 0.15)
    noise = np.random.default_rng(0).normal(0, 0.002, (4, 3))
    values = {(a, s): 0.5 + added[a] + noise[a, s] for a in range(4) for s in range(3)}
    text = render(make_store(factors=factors, values=values, images=0))
    answer = text[: text.index("## ")]
    found = re.search(
        r"train.loss = dice on average \(\+(\S+) points with model.upsampling = bilinear and "
        r"\+(\S+) points with model.upsampling = transposed\)",
        answer,
    )
    assert [float(number) for number in found.groups()] == pytest.approx([5, 15], abs=1)
    values = {(a, s): 0.5 + 0.1 * (a > 1) + noise[a, s] for a in range(4) for s in range(3)}
    text = render(make_store(folder="y", factors=factors, values=values, images=0))
    assert re.search(r"train.loss = dice \(\+\S+ points on average, 95 % interval", text)


def test_where_arms_share_no_seeds_nothing_is_said_of_pairs(make_store):
    factors = {"train.loss": ["ce", "dice", "dice+ce"]}
    text = render(make_store(factors=factors, pairing="none", images=0))
    assert "tests and intervals are of independent samples (Welch 1947)" in text
    assert "paired by" not in text
    assert "seed correlation" not in text
    assert "seed correlation" in render(make_store(folder="y", factors=factors, images=0))


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_report_says_that_there_is_no_difference(text_of, name):
    text = text_of(name).lower()
    text = text.replace("does not mean that there is no difference", "")
    assert "no difference" not in text
    assert "significant" not in text


def test_interactions_and_anova_follow_the_arms_in_a_factorial(text_of):
    text = text_of("24 arms")
    assert text.index("## Arms") < text.index("## Interactions")
    header, *body = rows(text, "Analysis of variance")
    assert header == ["source", "SS", "df", "F", "p", "partial ω²"]
    assert [row[0] for row in body[:2]] == ["seed", "train.loss"]
    assert [row[0] for row in body[-2:]] == ["interactions of three or more", "residual"]
    assert "Effects within the levels of the other factor" in text
    assert "Interactions" not in text_of("one at a time")


def test_what_holds_for_other_images_is_folded_below_a_column_of_verdicts(make_store):
    text = render(make_store(seeds=(0, 1), counted=12, images=0))
    header, effect = rows(text, "Effects")
    assert header[4] == "on such images"
    assert "Verdicts are about these 12 images and other seeds." in text
    claims, claim = rows(text, "Other images")
    assert claims[2:4] == ["95 % interval on such images", "on such images"]
    assert claim[3] == effect[4]
    arms = text[text.index("| arm | mean IoU | 95 % interval over images | images |") :]
    assert arms.count("| 12 |") >= 2
    assert "not about other training runs" in text


def test_few_images_are_said_to_speak_for_themselves_only(make_store):
    text = render(make_store(counted=9, images=0))
    assert (
        "about these 9 images and other seeds, and say nothing of other images: fewer than 10"
        in text
    )
    assert "on such images" not in text


@pytest.mark.parametrize("name", ["nothing run", "all failed"])
def test_nothing_finished_is_said(example, name):
    text = write.write(example(name)).read_text()
    assert "6 of 6 trials have no result" in text
    assert "No trial has finished yet" in text


def test_one_run_each_settles_nothing(text_of):
    assert "these runs cannot tell which" in text_of("one seed")


def test_how_many_classes_were_averaged_is_said(example):
    said = " ".join(say(analysis.load(example("two arms")), "design"))
    assert "Mean IoU is the mean over the classes that have an IoU, here 7 of 8." in said


def test_the_same_store_gives_the_same_bytes(example):
    first = contents(write.write(example("one arm")).parent)
    assert contents(write.write(example("one arm")).parent) == first
    assert {name.rpartition(".")[2] for name in first} == {"html", "md", "csv", "tex", "png", "svg"}


def test_names_stay_text(example):
    store = example("naughty names")
    text = render(store)
    rendered = RENDERER.render(text)
    tags = {tag.lower() for tag in re.findall(r"<\s*/?\s*(\w+)", rendered)}
    assert not tags & {"script", "b", "em", "a", "ul", "ol", "li"}
    assert seen(rendered.partition("</h1>")[0]) == "a|b <script>alert(1)</script>"
    assert "Question. # Is *this* | safe | <b>?" in seen(rendered)
    shown = [row[0] for row in rows(text, "Arms")][1:]
    labels = dict.fromkeys(trial.label for trial in store.read_plan().trials)
    assert shown[0] == "<script>alert(1)</script> (baseline)"
    assert shown[1:] == [" ".join(label.split()) for label in labels][1:]
    classes = [row[0] for row in rows(text, "IoU by class")][1:]
    assert classes[1:4] == ["<b>|</b>", "$\\alpha$", "_cow_"]


@given(st.text(max_size=60))
def test_escaped_text_reads_the_same(text):
    expected = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    escaped = markdown.escape(text)
    assert seen(RENDERER.render(f"x {escaped} x")) == f"x {expected} x"
    assert seen(RENDERER.render(escaped)) == expected
    cells = markdown.table(Table((Column("a", "a"),), ((text,),)))
    cell = re.search(r"<td[^>]*>(.*?)</td>", RENDERER.render(cells), re.S)
    assert seen(cell[1]) == expected


@pytest.mark.parametrize(
    "text", ["- a", "1. a", "12) a", "+", "---", "===", "# a", "> a", "https://x.y", "www.x.y"]
)
def test_no_text_becomes_markup(text):
    rendered = RENDERER.render(markdown.escape(text))
    assert rendered == f"<p>{html.escape(text)}</p>\n"


def test_readable_names_are_left_as_they_are():
    for name in ("loss_ablation", "dice+ce · crop 96", "0.512 ± 0.021", "train.learning_rate"):
        assert markdown.escape(name) == name


def test_code_cannot_end_its_block():
    rendered = RENDERER.render(markdown.code("run ``` </code> `x`"))
    assert seen(rendered) == "run ``` </code> `x`"
    assert rendered.count("<pre>") == 1


def test_mixed_code_is_said_first(make_store):
    store = make_store(seeds=(0,))
    first = next(store.records())
    provenance = {**first.provenance, "code": "ffffff"}
    store.commit(first.model_copy(update={"provenance": provenance}), {})
    text = render(store)
    assert "measured with 2 different versions of the code" in text[: text.index("## Arms")]
    assert "a1b2c3 (1 of 2 trials)" in text


def test_means_over_different_classes_are_said_first(make_store):
    store = make_store(seeds=(0,))
    first = next(store.records())
    metrics = {**first.result.metrics, "classes_averaged": 3}
    store.commit(with_result(first, metrics=metrics), {})
    assert "average their mean IoU over different classes (3 to 7 of them)" in render(store)


def test_weights_chosen_on_the_reported_split_are_said(make_store):
    store = make_store(seeds=(0,))
    first = next(store.records())
    settings = {"evaluate": {"keep": "best"}}
    store.commit(first.model_copy(update={"settings": settings}), {})
    assert "scored best on val, the same split" in render(store)


def test_what_a_dataset_says_of_its_scores_is_said_once(make_store):
    store = make_store()
    for record in list(store.records()):
        store.commit(with_result(record, note="Not the leaderboard."), {})
    text = render(store)
    assert text.count("Not the leaderboard.") == 1
    assert "Not the leaderboard." in text[: text.index("## Arms")]


def test_records_outside_the_plan_are_counted(make_store):
    store = make_store(seeds=(0, 1))
    plan = store.read_plan()
    kept = tuple(trial for trial in plan.trials if trial.label == "ce")
    store.write_plan(plan.model_copy(update={"trials": kept}))
    assert "also holds 2 records of trials that are not part" in render(store)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_returns_its_main_file(document, tmp_path, name):
    path = FORMATS[name](document("two arms"), tmp_path)
    assert path.is_file()
    assert path.suffix == f".{name}"


def test_all_stores_are_reported(example):
    stores = [example("four arms"), example("two arms")]
    paths = write.write_all(stores, ["csv"])
    assert [path.parent.parent for path in paths] == [store.folder for store in stores]


def test_mistakes_are_the_users(example, tmp_path, make_store):
    with pytest.raises(UserError, match="unknown format 'cvs'; did you mean 'csv'"):
        write.write(example("two arms"), ["cvs"])
    with pytest.raises(UserError, match="names no format"):
        write.write(example("two arms"), [])
    with pytest.raises(UserError, match="holds no experiment"):
        write.write(Store(tmp_path))
    store = make_store(seeds=(0,))
    (store.folder / "report").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        write.write(store, ["csv"])


def test_reports_need_no_torch():
    code = (
        "import sys, bench.report\n"
        "unwanted = {'torch', 'albumentations', 'unet', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "sys.exit(', '.join(unwanted) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_arms_of_which_no_flops_are_known_are_in_their_table(make_store, without_figures):
    store = make_store(seeds=(0,))
    known = {"step_gflops": 1.5, "step_pixels": 4096, "gflops_per_megapixel": 1234.4}
    record = store.read("k0000s0")
    counts = {**record.result.counts, **known}
    store.commit(with_result(record, counts=counts), details_json(store, "k0000s0"))
    other = store.read("k0001s0")
    without = {name: n for name, n in other.result.counts.items() if name not in known}
    store.commit(with_result(other, counts=without), details_json(store, "k0001s0"))
    write.write(store, ["html", "md"])
    text = (store.folder / "report" / "report.md").read_text(encoding="utf-8")
    rows = text[text.index("FLOPs are counted") :].split("\n| ")[3:]
    assert "| 1.50 | 4,096 | 1,234 |" in rows[0]
    assert "| – | – | – |" in rows[1]
