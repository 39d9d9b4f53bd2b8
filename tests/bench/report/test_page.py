"""The page in a real browser: sorted, toggled, checked for accessibility, with nothing loaded."""

import functools
import os
import shutil

import pytest

from bench.report import write

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = {"wide": 1440, "phone": 360}


@pytest.fixture(scope="module")
def browser():
    """Start the browser that this machine has; BENCH_BROWSER names another."""
    named = os.environ.get("BENCH_BROWSER")
    path = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)}, and BENCH_BROWSER is not set")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def written(document, tmp_path_factory):
    """Return a function: name of an example → the path of its page."""
    folder = tmp_path_factory.mktemp("pages")
    return functools.cache(lambda name: write.write_html(document(name), folder / name))


@pytest.fixture
def opened(browser, written):
    """Return a function that opens a page; at the end nothing may have complained or been loaded."""
    contexts, complaints, requests = [], [], []

    def open_page(name="seven arms", *, path=None, width="wide", **options):
        size = {"width": WIDTHS[width], "height": 900}
        context = browser.new_context(viewport=size, **options)
        context.set_default_timeout(8000)  # milliseconds
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((path or written(name)).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    loaded = [url for url in requests if not url.startswith("data:image/")]
    assert len(loaded) == len(contexts)
    assert all(url.startswith("file:") for url in loaded)


def column(table, number):
    return table.locator("tbody tr").evaluate_all(
        "(rows, i) => rows.map((row) => row.cells[i].textContent.trim())", number
    )


def test_a_table_is_sorted_by_its_headers(opened):
    page = opened()
    table = page.locator("#arms table").first
    header = table.locator("th[scope=col]", has_text="mean IoU")
    place = header.evaluate("(cell) => cell.cellIndex")
    planned = column(table, 0)
    orders = {}
    for _ in range(3):
        header.locator("button").click()
        orders[header.get_attribute("aria-sort")] = column(table, place)
    assert list(orders) == ["descending", "ascending", None]
    numbers = {
        order: [float(cell.split()[0]) for cell in cells if cell != "–"]
        for order, cells in orders.items()
    }
    assert numbers["descending"] == sorted(numbers[None], reverse=True)
    assert numbers["ascending"] == sorted(numbers[None])
    assert orders["descending"][-1] == orders["ascending"][-1] == "–"  # has no result
    assert column(table, 0) == planned


def test_words_are_sorted_as_words_and_by_keyboard(opened):
    page = opened()
    table = page.locator("#arms table").first
    first = table.locator("th[scope=col] button").first
    first.focus()
    page.keyboard.press("Enter")
    assert first.locator("..").get_attribute("aria-sort") == "ascending"
    assert column(table, 0) == sorted(column(table, 0))
    others = table.locator("th[aria-sort]")
    assert others.count() == 1


def test_pictures_are_toggled_between_image_truth_and_prediction(opened):
    page = opened()
    section = page.locator("#predictions")
    shown = section.locator(".scene").first.locator(".shot:visible")
    top = shown.last.locator("img").last
    assert shown.count() == 2 + 6
    prediction, truth = (
        top.get_attribute("src"),
        shown.nth(1).locator("img").last.get_attribute("src"),
    )
    assert prediction != truth
    section.get_by_role("radio", name="truth").check()
    assert shown.count() == 6
    assert top.get_attribute("src") == truth
    assert ", truth: " in top.get_attribute("alt")
    page.keyboard.press("ArrowRight")
    assert top.get_attribute("src") == prediction
    assert ", prediction of " in top.get_attribute("alt")
    section.locator("input[name=mix]").focus()
    page.keyboard.press("Home")
    assert top.evaluate("(image) => getComputedStyle(image).opacity") == "0"
    page.keyboard.press("End")
    assert top.evaluate("(image) => getComputedStyle(image).opacity") == "1"


def test_the_command_is_copied(opened):
    page = opened("two arms", permissions=["clipboard-read", "clipboard-write"])
    page.locator(".copy").click()
    page.get_by_text("Copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == (
        "python -m bench run experiments/loss_ablation.yaml"
    )


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("seven arms", "wide", "dark"),
        ("seven arms", "phone", "light"),
        ("naughty names", "phone", "dark"),
    ],
)
def test_everybody_can_read_it(opened, name, width, scheme):
    page = opened(name, width=width, color_scheme=scheme)
    page.locator("details").evaluate_all("(all) => all.forEach((each) => (each.open = true))")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    passed = {rule["id"] for rule in found.response["passes"]}
    assert {"color-contrast", "image-alt", "svg-img-alt", "landmark-one-main"} <= passed
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= WIDTHS[width]


def test_without_scripts_everything_is_there(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("#arms table").first.locator("tbody tr").count() == 7
    assert page.locator(".scene").first.locator(".shot:visible").count() == 2 + 6
    assert page.locator("form:visible, .copy:visible, thead button").count() == 0


def test_print_shows_everything_and_no_controls(opened):
    page = opened(color_scheme="dark")
    page.get_by_role("radio", name="truth").check()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("details:not([open])").count() == 0
    assert page.locator("form:visible, .copy:visible, nav:visible").count() == 0
    assert page.locator(".scene").first.locator(".shot:visible").count() == 2 + 6
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_names_run_nothing(opened):
    page = opened("naughty names")
    assert page.locator("script").count() == 1
    assert page.title() == "a|b <script>alert(1)</script>"


def test_the_list_of_experiments(opened, make_store):
    first, _ = make_store("results/one", seeds=(0,), images=0), make_store("results/two", images=0)
    *_, index = write.write_all([first], ["html"], index=first.folder.parent)
    page = opened(path=index)
    assert axe.Axe().run(page).violations_count == 0
    assert page.locator("article").count() == 2
    assert page.locator("a").get_attribute("href") == "one/report/report.html"
