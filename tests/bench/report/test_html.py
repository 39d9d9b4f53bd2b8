"""The page as a parser sees it: sound markup, nothing from elsewhere, names that stay text."""

import base64
import hashlib
import io
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from bench.analysis.analysis import load
from bench.report import write
from bench.report.content.plain import plain
from bench.report.content.table import MOST_ROWS
from bench.report.document import Document
from bench.report.figures.encode import light_and_dark
from bench.report.figures.examples import paint, read_labels
from bench.report.figures.panels import panels
from bench.report.formats import html
from bench.report.formats.gallery import gallery
from bench.report.formats.strips import Strips
from tests.bench.conftest import EXAMPLES
from tests.bench.made_stores import details_json

EMPTY = {"meta", "img", "input", "br", "wbr"}  # elements that have no end


class Page(HTMLParser):
    """Collects elements with their attributes and the text inside each; refuses unbalanced ones."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), tag
        self.elements.append((tag, dict(attributes), []))
        if tag not in EMPTY:
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self._open:
            text.append(data)

    def all(self, *tags):
        """Return (attributes, text) of every element of these kinds, in the order of the page."""
        return [(a, " ".join("".join(t).split())) for tag, a, t in self.elements if tag in tags]

    def values(self, name):
        return [a[name] for _, a, _ in self.elements if name in a]


def render(store):
    """Return the page without figures, which take longest."""
    document = Document(load(store))
    vars(document)["figures"] = {}
    return html.render(document)


@pytest.fixture(scope="module")
def seven(page_of):
    return Page(page_of("seven arms"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_of_every_store_is_sound(page_of, name):
    text = page_of(name)
    page = Page(text)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    named = {name for value in page.values("aria-labelledby") for name in value.split()}
    linked = {value[1:] for value in page.values("href") if value.startswith("#")}
    assert named | linked <= set(ids)
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(a["alt"] for a, _ in page.all("img"))
    assert all("aria-label" in a for a, _ in page.all("svg"))
    assert all(inside for _, inside in page.all("h1", "h2", "h3", "h4", "h5", "th", "figcaption"))
    said = " ".join(inside for _, inside in page.all("td", "p", "th", "li", "figcaption"))
    assert not {"nan", "None", "NaN", "inf"} & set(
        re.split(r"[^\w]", said.replace("None of the", ""))
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_comes_from_elsewhere_and_nothing_is_run_that_a_name_holds(page_of, name):
    text = page_of(name)
    page = Page(text)
    for attribute in ("src", "href", "xlink:href", "srcset"):
        assert all(value.startswith(("data:image/", "#")) for value in page.values(attribute))
    assert "@import" not in text
    assert page.values("style") == []
    assert not [each for _, a, _ in page.elements for each in a if each.startswith("on")]
    assert len(page.all("script")) == 1


def test_the_policy_allows_what_is_inside_by_its_digest(page_of):
    text = page_of("two arms")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    allowed = dict(part.split(" ", 1) for part in policy.replace("&#39;", "'").split("; "))
    assert allowed["default-src"] == "'none'"
    for kind in ("script", "style"):
        inside = re.search(f"<{kind}>(.*?)</{kind}>", text, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert allowed[f"{kind}-src"] == f"'sha256-{digest}'"


def test_names_stay_text(document, page_of):
    page = Page(page_of("naughty names"))
    assert page.all("h1") == [({}, "a|b <script>alert(1)</script>")]
    assert "# Is *this* | safe | <b>?" in [inside for _, inside in page.all("p")]
    shown = [inside for _, inside in page.all("th")]
    for label in document("naughty names").results.arms:
        assert any(cell.startswith(plain(label)) for cell in shown)
    assert {"<b>|</b>", "$\\alpha$", "_cow_"} <= {inside for _, inside in page.all("li")}
    figures = document("naughty names").figures
    drawn = Page(
        light_and_dark(figures["classes"])[0].decode().partition("<svg")[2].join(["<svg", ""])
    )
    assert {"<b>|</b>", "$\\alpha$", "_cow_"} <= {inside for _, inside in drawn.all("text")}


def test_control_characters_and_half_letters_do_not_reach_the_page(make_store):
    name = "a\x00b\x1b[31m\u202ec"
    text = render(make_store(name="x", question=name, seeds=(0,), images=1))
    assert "a b [31m c" in text
    assert plain("a\ud800b") == "a b"  # half of a pair, which no file can hold


def test_sections_come_in_their_order_and_the_contents_name_them(seven):
    sections = [a["id"] for a, _ in seven.all("section") if "id" in a]
    assert sections == [name for name in html.SECTIONS if name in sections]
    assert {"effects", "arms", "curves", "predictions", "metric", "reproduce"} <= set(sections)
    links = [(a["href"], inside) for a, inside in seven.all("a")][1:]
    assert links == [(f"#{name}", html.SECTIONS[name]) for name in sections]


def test_the_answer_and_the_warnings_come_before_any_number(page_of):
    text = page_of("seven arms")
    assert text.index('aria-label="Answer"') < text.index('aria-label="Warnings"')
    assert text.index("5 of 21 trials have no result") < text.index('<section id="effects"')


def test_the_baseline_is_marked_and_every_run_is_a_dot(example):
    store = example("seven arms")
    text = render(store)
    rows = re.findall(r"<tr[^>]*>\s*<th scope=\"row\">.*?</tr>", text, re.S)
    marked = [row for row in rows if "baseline</span>" in row]
    assert len(marked) == 1
    assert "ce · bilinear" in marked[0]
    strips = re.findall(r'<svg class="strip".*?</svg>', text)
    finished = [3, 2, 2, 0, 3, 3, 3]
    assert [strip.count("<circle") for strip in strips] == finished
    values = [r.result.metrics["mean_iou"] for r in store.records() if r.label == "smp_unet"]
    assert f'aria-label="{", ".join(f"{value:.3f}" for value in values)}"' in strips[-1]


def test_a_strip_places_dots_in_proportion(make_store):
    values = {(0, 0): 0.2, (0, 1): 0.4, (1, 0): 0.6, (1, 1): 0.3}
    strips = Strips(load(make_store(seeds=(0, 1), values=values)))
    at = [float(x) for x in re.findall(r'cx="([\d.]+)"', strips.draw("ce") + strips.draw("dice"))]
    assert [(x - at[0]) / (at[2] - at[0]) for x in at] == pytest.approx([0, 0.5, 1, 0.25], abs=1e-3)
    assert strips.axis == "0.200 to 0.600"


def test_long_tables_are_shortened_and_say_so(make_store):
    store = make_store(seeds=range(101), images=0, history=False)
    text = render(store)
    assert f"The first {MOST_ROWS} of 202 rows; all of them are in trials.csv" in " ".join(
        text.split()
    )
    everything = text.partition("<summary>Every trial</summary>")[2].partition("</table>")[0]
    assert everything.count('<th scope="row">') == MOST_ROWS


def test_pictures_are_chosen_named_and_bounded(document):
    found = gallery(document("seven arms").results)
    assert [scene.name for scene in found.compared] == ["1_20_s", "2_21_s", "3_22_s", "4_23_s"]
    kinds = [shot.kind for shot in found.compared[0].shots]
    assert kinds == ["image", "truth", *["prediction"] * 6]
    assert found.seeds["dice · bilinear"] == 1  # seed 0 diverged
    assert next(iter(found.ranked)) == "ce · bilinear"
    worst, best = found.ranked["ce · bilinear"]
    assert (worst.note, best.note) == ("worst", "best")
    assert [shot.title for shot in worst.shots][2] == "prediction · IoU 0.10"
    for scene in (*found.compared, worst, best):
        for shot in scene.shots:
            assert shot.source.startswith("data:image/")
            assert len(shot.source) < 30_000


def test_predictions_are_shown_without_the_images_that_are_not_kept(make_store, without_figures):
    store = make_store()
    for record in list(store.records()):
        examples = tuple(
            one.model_copy(update={"image": None, "truth": None})
            for one in record.accuracy.examples
        )
        result = record.accuracy.model_copy(update={"examples": examples})
        details = details_json(store, record.key)
        store.commit(record.model_copy(update={"result": result, "details": ""}), details)
    results = load(store)
    found = gallery(results)
    assert {shot.kind for scene in found.compared for shot in scene.shots} == {"prediction"}
    figure = panels(results)
    titles = {axes.get_title(loc=side) for axes in figure.axes for side in ("left", "center")}
    assert titles - {""} == set(results.arms)
    text = write.write(store, ["html"]).read_text("utf-8")
    assert "Images and their truth are not stored here" in text
    assert 'class="looks"' not in text


def test_pictures_of_labels_keep_every_pixel(document):
    results = document("two arms").results
    accuracy = next(iter(results.records.values())).accuracy
    shot = gallery(results).compared[0].shots[1]
    picture = Image.open(io.BytesIO(base64.b64decode(shot.source.partition(",")[2])))
    labels = read_labels(results.store, accuracy.examples[0].truth)
    expected = paint(labels, accuracy.classes, results.palette)
    assert (np.array(picture.convert("RGB")) == expected).all()
    assert picture.mode == "P"


def test_a_figure_is_in_the_page_for_light_and_for_dark(document, seven):
    images = [a for a, _ in seven.all("img") if "drawing" in a.get("class", "").split()]
    figures = document("seven arms").figures.copy()
    del figures["panels"]
    assert len(images) == 2 * len(figures)
    shown = {a["src"]: (a["class"].split()[1], a["alt"]) for a in images}
    for figure in figures.values():
        for scheme, svg in zip(("light", "dark"), light_and_dark(figure), strict=True):
            source = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
            assert shown[source] == (scheme, figure.get_label().partition(". ")[0])


def test_several_reports_come_with_a_list(make_store, without_figures):
    first = make_store("results/one", seeds=(0, 1), name="<b>one</b>")
    make_store("results/two", name="two", failures={(1, 2): "oom"}, history=False, images=0)
    folder = first.folder.parent
    *reports, index = write.write_all([first], ["html"], index=folder)
    assert index == folder / "index.html"
    page = Page(index.read_text(encoding="utf-8"))
    assert [inside for _, inside in page.all("h2")] == ["<b>one</b>", "two"]
    assert [(folder / a["href"]) for a, _ in page.all("a")] == reports  # two has no page yet
    said = [inside for _, inside in page.all("p")]
    assert "4 done · newest trial 2026-01-02" in said
    assert "5 done, 1 oom · newest trial 2026-01-02 · no page written" in said
    assert page.values("style") == []
    (folder / "two" / "plan.json").write_text("{")
    *_, index = write.write_all([first], ["html"], index=folder)
    assert "plan.json: damaged" in index.read_text(encoding="utf-8")
    before = index.read_bytes()
    list(write.write_all([first], ["html"], index=folder))
    assert index.read_bytes() == before


def test_a_lone_experiment_needs_no_list(make_store):
    store = make_store(seeds=(0,), images=0)
    paths = list(write.write_all([store], ["html"], index=store.folder.parent))
    assert [path.name for path in paths] == ["report.html"]
