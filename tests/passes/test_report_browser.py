"""The report's page in a browser: nothing is cut or overlaps, nothing complains, and what can be clicked works."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import random
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from haqc.passes.report.csv import layers_csv
from haqc.passes.report.html import render_html
from haqc.passes.report.wording import figure, quantity, share, spread
from haqc.plaintext import visible
from tests.passes.report_pages import Report, deep, hostile, resnet8

if TYPE_CHECKING:
    from tests.browser import Browser
    from tests.command_line import Compiled

pytest_plugins = ["tests.browser", "tests.command_line"]

PROBLEMS = Path(__file__).with_name("report_browser.js").read_text(encoding="utf-8")
WORDS = resources.files("haqc.passes.report").joinpath("assets/page/words.js").read_text(encoding="utf-8")
MADE: dict[str, Callable[[], Report]] = {"resnet8": resnet8, "deep": deep, "hostile": hostile}

DOTS = """
const [chart, paint] = arguments;
document.querySelector(`[data-chart="${chart}"]`).scrollIntoView({ block: 'center' });
const colour = getComputedStyle(document.documentElement).getPropertyValue(paint).trim();
return [...document.querySelectorAll(`[data-chart="${chart}"] path[fill="${colour}"]`)]
  .map((path) => path.getBoundingClientRect())
  .map((box) => [box.left + box.width / 2, box.top + box.height / 2, box.height]);
"""
PICKED = "return [...document.querySelectorAll('#layers .picked')].map((row) => Number(row.dataset.layer))"
ROWS = """
return [...document.querySelectorAll('#layers tbody tr')].filter((row) => !row.hidden)
  .map((row) => Number(row.dataset.layer));
"""
SEARCH = """
const box = document.getElementById('find');
box.value = arguments[0];
box.dispatchEvent(new Event('input'));
"""
SPOIL = """
const [first, second] = document.querySelectorAll('.chart text');
second.setAttribute('transform', first.getAttribute('transform'));
second.textContent = first.textContent;
document.querySelectorAll('.chart svg text')[5].setAttribute('transform', 'translate(-90 9)');
document.querySelector('h2').style.cssText = 'width: 2rem; overflow: hidden; white-space: nowrap';
document.querySelectorAll('main .card')[1].style.marginLeft = '-8rem';
"""
NOTED = """
addEventListener('beforeprint', () => {
  const charts = [...document.querySelectorAll('.chart svg')];
  document.body.dataset.widths = charts.map((svg) => svg.getAttribute('width'));
  document.body.dataset.theme = document.documentElement.dataset.theme;
});
"""
SWITCH = """
[...document.querySelectorAll('[data-switch="costs"] button')].find((b) => b.textContent === arguments[0]).click();
return document.querySelector('[data-words="costs"]').textContent;
"""
IS_MARKED = """
const charts = [...document.querySelectorAll('[data-chart]')];
const marked = new Set(charts.filter((chart) => [...chart.querySelectorAll('path, circle')]
  .some((shape) => shape.getAttribute('stroke') === '#f3c623')).map((chart) => chart.dataset.chart));
"""
MARKED = f"{IS_MARKED} return [...marked];"


def page(content: Report, folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(render_html(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: page(make(), tmp_path_factory.mktemp(name)) for name, make in MADE.items()}


def look(browser: Browser, path: Path, width: int, theme: str, picture: Path) -> None:
    browser.complaints()
    browser.open(path, width, theme)
    assert browser.run(PROBLEMS) == []
    browser.screenshot(picture, width)
    assert browser.complaints() == []
    colours = Image.open(picture).convert("RGB").getcolors(2**24)
    assert colours is not None and len(colours) > 200  # figures, not a blank page
    _, ground = max(colours)
    assert (sum(ground) > 3 * 240) == (theme == "light")


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("name", MADE)
def test_nothing_is_cut_or_overlaps(
    browser: Browser, pages: dict[str, Path], name: str, width: int, theme: str, tmp_path: Path
) -> None:
    look(browser, pages[name], width, theme, tmp_path / f"{name}-{width}-{theme}.png")


@pytest.mark.slow
def test_a_report_of_this_version(browser: Browser, compiled: Compiled, tmp_path: Path) -> None:
    for width, theme in ((1400, "light"), (400, "dark")):
        look(browser, compiled.folder / "report.html", width, theme, tmp_path / f"{width}.png")
        drawn = browser.run("return [...document.querySelectorAll('.chart svg')].length")
        assert drawn == browser.run("return document.querySelectorAll('.chart').length") == 6


@pytest.mark.slow
def test_the_check_finds_what_it_looks_for(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["resnet8"], 1400)
    browser.run(SPOIL)
    found = " ".join(browser.run(PROBLEMS))
    for words in ("cut text", "cards overlap", "labels touch", "cut label"):
        assert words in found


@pytest.mark.slow
def test_sorting(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["deep"], 1400)
    layers = deep()["layers"]
    assert browser.run(ROWS) == list(range(150))
    press = "document.querySelector(`#layers [data-key='${arguments[0]}'] button`).click()"
    for key, is_down in (("macs", True), ("weight_bits", True), ("name", False), ("output_error", True)):
        for reverse in (is_down, not is_down):
            browser.run(press, key)
            values = [layers[index][key] for index in browser.run(ROWS)]
            assert values == sorted(values, reverse=reverse), key
            heading = browser.run("return document.querySelector('#layers [aria-sort]').dataset.key")
            assert heading == key


@pytest.mark.slow
def test_searching(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["deep"], 1400)
    browser.run(SEARCH, "BLOCK7/ depthwise")
    assert browser.run(ROWS) == [22]
    assert browser.run("return document.getElementById('found').textContent") == "1 of 150"
    browser.run(SEARCH, "")
    assert len(browser.run(ROWS)) == 150


@pytest.mark.slow
def test_a_layer_picked_in_the_figure_is_marked_everywhere(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["resnet8"], 1400)
    layers = resnet8()["layers"]
    bars = browser.run(DOTS, "bits", "--weight")
    assert len(bars) == len(layers)
    heights = [height / layer["weight_bits"] for (_, _, height), layer in zip(bars, layers, strict=True)]
    assert heights == pytest.approx([heights[0]] * len(heights), rel=0.02)
    browser.click(*bars[3][:2])
    assert browser.run(PICKED) == [3]
    everywhere = {"bits", "costs", "roofline", "sensitivity"}
    browser.wait(f"{IS_MARKED} return marked.size === {len(everywhere)}")
    assert set(browser.run(MARKED)) == everywhere
    panel = "return document.getElementById('panel').textContent"
    words = browser.run(panel)
    for expected in (
        layers[3]["name"],
        quantity(layers[3]["energy_j"], "J"),
        quantity(layers[3]["baseline"]["latency_s"], "s"),
    ):
        assert expected in words
    assert "null" not in words and "undefined" not in words and "NaN" not in words
    for key, picked in (("ArrowRight", [4]), ("ArrowLeft", [3]), ("Escape", [])):
        browser.run("dispatchEvent(new KeyboardEvent('keydown', { key: arguments[0] }))", key)
        assert browser.run(PICKED) == picked
    assert browser.run("return document.getElementById('panel').hidden")
    browser.wait(f"{IS_MARKED} return marked.size === 0")


def test_a_layer_picked_in_the_table_or_the_roofline(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["resnet8"], 1400)
    browser.run("document.querySelector('#layers tbody tr:nth-child(6)').click()")
    assert browser.run(PICKED) == [5]
    browser.run("document.querySelector('#layers tbody tr:nth-child(6)').click()")
    assert browser.run(PICKED) == []
    dots = browser.run(DOTS, "roofline", "--accent")
    assert len(dots) == len(resnet8()["layers"])
    browser.click(*dots[0][:2])
    assert len(browser.run(PICKED)) == 1


@pytest.mark.slow
def test_resting_on_a_bar_gives_exact_values(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile"], 1400)
    layer = hostile()["layers"][1]
    x, y, _ = browser.run(DOTS, "bits", "--weight-2")[0]  # the second layer is a depthwise one
    browser.move(x - 5, y)
    browser.move(x, y)
    browser.wait("return document.querySelector('.tip') !== null")
    words = browser.run("return document.querySelector('.tip').textContent")
    assert visible(layer["name"]) in words
    assert f"{layer['weight_bits']} bits" in words and f"{layer['activation_bits']} bits" in words
    assert browser.run("return document.querySelectorAll('.tip img, .tip script, .chart img').length") == 0
    assert browser.complaints() == []


@pytest.mark.slow
def test_a_trial_picked_shows_its_bits(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["resnet8"], 1400)
    browser.click(*browser.run(DOTS, "progress", "--a0")[0][:2])
    trial = next(t for t in resnet8()["trials"] if t["allocator"] == "uniform")
    number = resnet8()["trials"].index(trial) + 1
    words = "document.querySelector('[data-legend=\"bits\"]').textContent"
    browser.wait(f"return {words}.includes('trial {number} (uniform)')")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "key", "unit"),
    [("Energy", "energy_j", "J"), ("Latency", "latency_s", "s"), ("Weights, packed", "weight_bytes", "B")],
)
def test_figures_of_the_cost_switch(browser: Browser, pages: dict[str, Path], title: str, key: str, unit: str) -> None:
    browser.open(pages["resnet8"], 1400)
    cost = resnet8()["cost"]
    text = browser.run(SWITCH, title)
    assert text.startswith(title)
    assert f"{quantity(cost['baseline'][key], unit)} at 8/8" in text
    assert f"{quantity(cost['policy'][key], unit)} at this policy" in text


@pytest.mark.slow
def test_downloading_the_table(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(pages["hostile"], 1400)
    browser.run("document.getElementById('csv').click()")
    saved = tmp_path / "layers.csv"
    for _ in range(200):
        if saved.exists() and not list(tmp_path.glob("*.crdownload")):
            break
        browser.run("return new Promise((done) => setTimeout(done, 25))")
    assert saved.read_text(encoding="utf-8") == layers_csv(hostile()["layers"])
    assert len(list(csv.reader(io.StringIO(saved.read_text(encoding="utf-8"))))) == 31


@pytest.mark.slow
def test_the_theme_button(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["resnet8"], 1400, "dark")
    ground = "return getComputedStyle(document.body).backgroundColor"
    dark = browser.run(ground)
    seen = []
    for _ in range(3):
        browser.run("document.getElementById('theme').click()")
        seen.append((browser.run("return document.getElementById('theme').textContent"), browser.run(ground) == dark))
    assert seen == [("Theme: light", False), ("Theme: dark", True), ("Theme: auto", True)]


@pytest.mark.slow
def test_paper_is_white_and_narrow(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["resnet8"], 1400, "dark")
    browser.run(NOTED)
    paper = base64.b64decode(browser.send("Page.printToPDF", printBackground=True)["data"])
    assert paper.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 12
    assert browser.run("return document.body.dataset.theme") == "light"
    assert set(browser.run("return document.body.dataset.widths").split(",")) == {"680"}
    assert not browser.run("return 'theme' in document.documentElement.dataset")


@pytest.mark.slow
def test_scripts_word_figures_as_python_does(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["resnet8"], 1400)
    chance = random.Random(0)
    values = [0.0, 1.0, -1.0, 1023.0, 1024.0, 999.5, 9.995, 99.95, 0.9995, 0.125, 2.5, 1e-15, 12345.0, 0.5]
    values += [sign * 10 ** chance.uniform(-14, 14) for _ in range(400) for sign in (1, -1)]
    asked = [[value, unit] for value in values for unit in ("J", "s", "B", "Hz", "", "MACs")]
    script = WORDS + "return JSON.parse(arguments[0]).map(([value, unit]) => quantity(value, unit));"
    for (value, unit), words in zip(asked, browser.run(script, json.dumps(asked)), strict=True):
        assert words == quantity(value, unit), (value, unit)
    script = (
        WORDS
        + "return JSON.parse(arguments[0]).map((value) => [share(value), figure(value, '%'), points(value, '%')]);"
    )
    small = [value for value in values if math.fabs(value) < 1e6]
    for value, words in zip(small, browser.run(script, json.dumps(small)), strict=True):
        assert words == [share(value), figure(value, "%"), spread(value, "%")], value
