"""The report in a real headless Chromium, offline: drawn, quiet, narrow enough, all by keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import folders
from simsplit.pages.report import report

pytestmark = pytest.mark.slow
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
CHECKS = (Path(__file__).parent / "browser.js").read_text(encoding="utf-8")
WIDTHS = (1280, 400)
OPEN_ALL = "document.querySelectorAll('details').forEach(details => { details.open = true })"
PLOTS_FIT = """[...document.querySelectorAll('.plot')].every(plot =>
    Math.abs(plot.clientWidth - plot.querySelector('svg.main-svg').clientWidth) < 2)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A real run, a run with hostile text, and a sweep with a failed point."""
    from simsplit.study.run import run

    folder = tmp_path_factory.mktemp("reports")
    run("digits_smoke", out=folder / "real")
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    folders.run_folder(folder / "hostile", description=hostile)
    folders.sweep_folder(folder / "sweep", name=hostile)
    folders.conditional_sweep(folder / "conditional")
    names = ("real", "hostile", "sweep", "conditional")
    return {name: report(folder / name) for name in names}


class Opened:
    """A page of the report, and everything that the browser complained about."""

    def __init__(self, browser: Any, path: Path) -> None:
        size = {"width": WIDTHS[0], "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme="light", offline=True)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.evaluate(CHECKS)

    def wait_for(self, condition: str) -> None:
        """Until it holds; Playwright's own way evaluates text, which the page's policy forbids."""
        for _ in range(200):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never came true: {condition}")

    def check(self, name: str) -> Any:
        return self.page.evaluate(f"check.{name}()")

    def data(self, chart: str) -> Any:
        """Ordinates of everything that a chart shows."""
        return self.page.evaluate(
            f"document.querySelector('#{chart} .plot').data.map(trace => Array.from(trace.y || []))"
        )


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    found: list[Opened] = []

    def open_page(name: str) -> Opened:
        found.append(Opened(browser, pages[name]))
        return found[-1]

    yield open_page
    for one in found:
        one.context.close()


@pytest.mark.parametrize("name", ["real", "hostile", "sweep"])
def test_a_page_is_drawn_in_any_width_without_a_word(opened: Any, name: str) -> None:
    page = opened(name)
    for width in WIDTHS:
        page.page.set_viewport_size({"width": width, "height": 900})
        page.wait_for(PLOTS_FIT)
        assert page.check("drawn") == [] and page.check("structure") == []
        assert page.check("targets") == []
        page.page.evaluate(OPEN_ALL)
        assert page.page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in page.requests)
    assert len([url for url in page.requests if url.startswith("file:")]) == 1


@pytest.mark.parametrize("name", ["real", "sweep"])
def test_words_stand_out_in_the_light_and_in_the_dark(opened: Any, name: str) -> None:
    page = opened(name)
    page.page.evaluate(OPEN_ALL)
    shade = "getComputedStyle(document.body).backgroundColor"
    light = page.page.evaluate(shade)
    assert page.check("contrast") == []
    page.page.emulate_media(color_scheme="dark")
    page.wait_for(f"{shade} !== '{light}'")
    # The style turns dark at once; the charts are drawn anew behind it, one by one.
    page.wait_for("check.contrast().length === 0")


@pytest.mark.parametrize("name", ["real", "sweep"])
def test_the_keyboard_reaches_everything_in_order(opened: Any, name: str) -> None:
    page = opened(name)
    count = page.check("focusable")
    assert count > 30
    for expected in range(count):
        page.page.keyboard.press("Tab")
        focus = page.check("focused")
        assert focus["index"] == expected and focus["outlined"], focus


def test_axes_that_the_operating_point_tells_are_no_curves_of_their_own(opened: Any) -> None:
    page = opened("conditional")
    lines = "data.filter(trace => trace.mode === 'lines+markers').map(trace => trace.x.length)"
    assert page.page.evaluate(f"document.querySelector('#trend .plot').{lines}") == [3, 3, 3, 3]
    assert page.page.locator("#trend .legend button").count() == 4


def test_the_skip_link_leads_to_the_content(opened: Any) -> None:
    page = opened("real").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_kpi_chosen_by_keyboard_changes_the_chart(opened: Any) -> None:
    page = opened("sweep")
    before = page.data("trend")
    select = page.page.locator("#trend select").first
    select.focus()
    page.page.keyboard.press("ArrowDown")
    assert page.data("trend") != before
    title = page.page.locator("#trend .ytitle").text_content()
    assert title == select.locator("option:checked").text_content()


def test_the_other_axis_and_a_held_value_change_the_chart(opened: Any) -> None:
    page = opened("sweep")
    curves = len(page.data("trend"))
    controls = page.page.locator("#trend select")
    controls.nth(3).select_option("0")  # resource blocks held at the first value
    assert 0 < len(page.data("trend")) < curves
    controls.nth(1).select_option("1")  # along the resource blocks
    assert page.page.locator("#trend .xtitle").text_content() == "resource blocks"


def test_a_legend_button_hides_its_curve(opened: Any) -> None:
    page = opened("real")
    button = page.page.locator("#latency-cdf .legend button").first
    button.focus()
    page.page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    shown = page.page.evaluate(
        "document.querySelector('#latency-cdf .plot').data.map(t => t.visible)"
    )
    assert shown == [False, True, True, True]


def test_the_sums_at_the_bars_are_those_of_what_is_shown(opened: Any) -> None:
    page = opened("real")
    sums = "document.querySelector('#energy-by-part .plot').data.at(-1).x"
    whole = page.page.evaluate(sums)
    page.page.locator("#energy-by-part .legend button").first.click()
    less = page.page.evaluate(sums)
    assert all(a > b for a, b in zip(whole, less, strict=True))


def test_two_objectives_never_fall_together(opened: Any) -> None:
    page = opened("sweep")
    across, up = (page.page.locator("#tradeoff select").nth(i) for i in range(2))
    old = across.input_value()
    across.select_option(up.input_value())
    assert up.input_value() == old != across.input_value()
    assert page.check("drawn") == []


def test_a_heading_sorts_its_table(opened: Any) -> None:
    page = opened("sweep").page
    heading = page.locator("#kpis th", has_text="p95 latency").first
    button = heading.locator("button")
    place = heading.evaluate("th => th.cellIndex")
    rows = "[...document.querySelectorAll('#kpis .sortable tbody tr')]"
    cells = f"{rows}.map(row => Number(row.cells[{place}].dataset.sort))"
    button.focus()
    page.keyboard.press("Enter")
    rising = page.evaluate(cells)
    assert rising == sorted(rising) and heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert page.evaluate(cells) == rising[::-1]


def test_dark_comes_to_the_charts_without_loading_anew(opened: Any) -> None:
    page = opened("real")
    ink = "getComputedStyle(document.querySelector('#latency-cdf .xtitle')).fill"
    light = page.page.evaluate(ink)
    page.page.emulate_media(color_scheme="dark")
    page.wait_for(f"{ink} !== '{light}'")
    page.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.page.evaluate(ink) == light  # paper is white
