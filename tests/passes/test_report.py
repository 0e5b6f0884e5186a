"""The report's three files: complete, the same bytes every time, whole or absent, and safe with hostile names."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from haqc.errors import OutputError
from haqc.metrics import METRICS, Counting
from haqc.passes.report import ReportFiles, report, wording
from haqc.passes.report.csv import COLUMNS, layers_csv
from haqc.passes.report.html import render_html
from haqc.passes.report.interval import interval, wilson
from haqc.passes.report.pagedata import page_data
from haqc.passes.report.wording import difference, figure, quantity, share, spread
from haqc.plaintext import visible
from tests.passes.report_pages import deep

EXAMPLE = Path(__file__).with_name("report_example.json")
VOID = {"meta", "line", "circle", "br", "input"}
LIBRARY = (resources.files("haqc.passes.report") / "assets" / "echarts.min.js").read_text(encoding="utf-8").rstrip("\n")
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</title></style><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "=cmd()|'/c calc'!A1",
    "\u202egnp.exe \x1b[2J\x00",
    "\N{GRINNING FACE}\u05e9\u05dc\u05d5\u05dd",
    "a" * 300,
    "\udcff",
)


class Page(HTMLParser):
    """What a page consists of: its tags with attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text.replace(LIBRARY, ""))  # long, and the same in every page
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def content() -> dict[str, Any]:
    return json.loads(EXAMPLE.read_text(encoding="utf-8"))


def rename(value: Any, name: str) -> Any:
    """Gives the report with every text in it, and every free key, replaced by ``name``."""
    if isinstance(value, dict):
        return {key: rename(entry, name) for key, entry in value.items()}
    if isinstance(value, list):
        return [rename(entry, name) for entry in value]
    return name if isinstance(value, str) else value


def hostile(content: dict[str, Any], name: str) -> dict[str, Any]:
    changed = rename(content, name)
    changed["verification"]["consumers"][0]["first_difference"] = name
    changed["target"]["sources"] = {name: name}
    changed["provenance"]["options"] = {name: [name, {name: name}]}
    for limit, old in zip(changed["cost"]["budget"], content["cost"]["budget"], strict=True):
        limit["unit"] = old["unit"]
    return changed


def test_writes_three_files_and_nothing_else(content: dict[str, Any], tmp_path: Path) -> None:
    files = report(content, tmp_path)
    assert files == ReportFiles(tmp_path / "report.json", tmp_path / "layers.csv", tmp_path / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layers.csv", "report.html", "report.json"]
    assert json.loads(files.json.read_text(encoding="utf-8")) == content
    assert list(json.loads(files.json.read_text(encoding="utf-8"))) == list(content)
    assert files.json.read_bytes().endswith(b"}\n")


def test_same_content_gives_same_bytes(content: dict[str, Any], tmp_path: Path) -> None:
    files = report(content, tmp_path)
    first = [path.read_bytes() for path in (files.json, files.csv, files.html)]
    report(copy.deepcopy(content), tmp_path)
    assert [path.read_bytes() for path in (files.json, files.csv, files.html)] == first


def test_a_figure_that_is_not_finite_leaves_the_old_files(content: dict[str, Any], tmp_path: Path) -> None:
    files = report(content, tmp_path)
    before = files.json.read_bytes()
    content["seconds"]["total"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        report(content, tmp_path)
    assert files.json.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_a_page_that_cannot_be_made_writes_nothing(content: dict[str, Any], tmp_path: Path) -> None:
    del content["layers"][0]["energy_share"]
    with pytest.raises(KeyError, match="energy_share"):
        report(content, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(content: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write '.*report\.json'.*--out"):
        report(content, tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        report(content, tmp_path / "file")
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        report(content, tmp_path)
    assert not list(tmp_path.glob(".*.partial"))


def test_writing_follows_no_link(content: dict[str, Any], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("report.json", ".report.json.partial"):
        (folder / name).symlink_to(outside)
    report(content, folder)
    assert outside.read_text() == "untouched"
    assert not (folder / "report.json").is_symlink()


def test_csv_has_every_column_and_no_wall_clock(content: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(layers_csv(content["layers"]))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["name"] for row in rows] == ["conv1", "conv2", "conv3"]
    assert float(rows[1]["energy_j"]) == content["layers"][1]["energy_j"]
    assert float(rows[1]["baseline_energy_j"]) == content["layers"][1]["baseline"]["energy_j"]
    assert [row["output_error"] for row in rows] == ["", "0.0027", "8.4e-05"]
    assert "seconds" not in rows[0]


def _measured(content: dict[str, Any]) -> dict[str, Any]:
    """Gives the second layer's weights two measured widths, and its data another one."""
    entries = [{"bits": bits, "output_error": 0.375 / bits, "layer_error": 0.1, "lost": 1.5} for bits in (2, 3)]
    activation = [{"bits": 8, "output_error": 1e-5, "layer_error": 1e-6, "lost": None}]
    content["layers"][1]["sensitivity"] = {"weight": entries, "activation": activation}
    return content


def test_csv_lists_the_errors_of_each_width(content: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(layers_csv(_measured(content)["layers"]))))
    assert [row["weight_errors"] for row in rows] == ["", "2:0.1875 3:0.125", ""]
    assert [row["activation_errors"] for row in rows] == ["", "8:1e-05", ""]


def test_page_says_what_fewer_bits_would_cost(content: dict[str, Any]) -> None:
    assert "What fewer bits would cost" not in render_html(content)  # of an earlier version
    text = Page(render_html(_measured(content))).text
    assert "What fewer bits would cost" in text
    assert "weights 0.19 1.50 points 0.12 1.50 points conv2 activations 1e-05" in " ".join(text.split())


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "＝1+1"])
def test_csv_names_are_no_formulas(content: dict[str, Any], name: str) -> None:
    content["layers"][0]["name"] = content["layers"][0]["reason"] = name
    row = next(csv.DictReader(io.StringIO(layers_csv(content["layers"]))))
    assert row["name"] == row["reason"] == f"'{name}"


def test_csv_keeps_one_line_per_layer(content: dict[str, Any]) -> None:
    content["layers"][0]["name"] = 'a\r\nb,"c"\t'
    lines = layers_csv(content["layers"]).splitlines()
    assert len(lines) == 4
    assert next(csv.DictReader(lines))["name"] == 'a\\u000d\\u000ab,"c"\\u0009'


@pytest.mark.parametrize(("metric", "says"), [("top-1", True), ("agreement", True), ("mse", False)])
def test_page_says_where_the_score_is_not_what_ranks(content: dict[str, Any], metric: str, says: bool) -> None:
    content["accuracy"]["metric"] = metric
    assert ("What ranks them is how sure the network is" in render_html(content)) == says


def test_the_metrics_that_count_are_the_ones_that_are_said_to() -> None:
    assert {name for name, metric in METRICS.items() if isinstance(metric, Counting)} == wording.COUNTED


def test_page_is_self_contained(content: dict[str, Any]) -> None:
    text = render_html(content)
    page = Page(text)
    assert page.open == []
    assert not {"link", "img", "iframe", "object", "base", "form", "a"} & set(page.tags)
    assert not {"src", "href", "onload", "onclick", "onerror"} & {name for name, _ in page.attributes}
    own = text.replace(LIBRARY, "")
    assert len(own) < len(text) - 500_000
    for fetching in ("url(", "@import", "://", "fetch(", "XMLHttpRequest", "innerHTML", "eval(", "localStorage"):
        assert fetching not in own
    assert "</script" not in LIBRARY and "<!--" not in LIBRARY


def test_only_the_pages_own_scripts_run(content: dict[str, Any]) -> None:
    content["layers"][0]["name"] = "</script><script>alert(1)</script><!--"
    text = render_html(content)
    policy = next(value for _, value in Page(text).attributes if "default-src" in value)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    allowed = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert len(allowed) == 2
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed[1]} {allowed[0]}; "
        "base-uri 'none'; form-action 'none'"
    )


def test_charts_read_the_layers_and_trials(content: dict[str, Any]) -> None:
    content["trials"] = [
        {"key": "k", "allocator": "ddpg", "bits": ["8/8", "4/3"], "cost": content["cost"]["policy"], "accuracy": 96.11,
         "reward": 0.1, "seed": 3}
    ]  # fmt: skip
    content["layers"][1]["name"] = "<b>\u202e&"
    text = page_data(content)
    assert not {"<", ">", "&", "\u202e"} & set(text)
    whole = json.loads(text)
    assert whole["csv"] == layers_csv(content["layers"])
    data = whole["data"]
    assert [layer["weight_bits"] for layer in data["layers"]] == [y["weight_bits"] for y in content["layers"]]
    assert data["layers"][1]["name"] == "<b>\\u202e&"
    expected = content["layers"][1]["baseline"]["energy_j"]
    assert data["layers"][1]["baseline"]["energy_j"] == pytest.approx(expected, rel=1e-6)
    cost = content["cost"]["policy"]
    assert data["trials"] == [
        {"allocator": "ddpg", "score": 96.11, "bits": "8/8 4/3",
         "cost": [cost["energy_j"], cost["latency_s"], cost["weight_bytes"], cost["peak_activation_bytes"]]}
    ]  # fmt: skip


@pytest.mark.parametrize("count", [750, 5000])
def test_page_of_200_layers_is_under_3_mb(count: int) -> None:
    content = deep()  # every layer has sensitivities and alternatives
    content["layers"] = [layer | {"name": f"{layer['name']}.{n}"} for n, layer in enumerate(content["layers"] * 2)][
        :200
    ]
    assert all(layer["sensitivity"]["weight"] and layer["alternatives"] for layer in content["layers"])
    trial = content["trials"][0] | {"bits": ["4/4"] * 200}
    content["trials"] = [trial] * count
    assert len(render_html(content).encode()) < 3e6


def test_figures_that_other_versions_add_are_shown(content: dict[str, Any]) -> None:
    other = {"weight_bits": 5, "activation_bits": 4, "cost": {"energy_j": 1e-6}, "loss": 0.25, "measured": False}
    worst = other | {"weight_bits": 2, "loss": 9.0}
    content["layers"][0]["alternatives"] = [
        worst,
        other | {"loss": None},
        other,
        other | {"loss": -0.5, "measured": True},
    ]
    content["verification"]["consumers"] = [
        {"consumer": "openvino", "status": "absent", "detail": "not installed"},
        {
            "consumer": "onnxruntime",
            "status": "refused",
            "detail": "no kernel for <Cast>",
            "version": "1.24.0",
            "file": "model.onnx",
            "decides": True,
            "ok": False,
        },
        {"consumer": "qonnx", "status": "differs", "detail": "layer 3", "decides": False, "ok": False},
    ]
    content["cost"]["minimised"] = {"metric": "energy", "max_drop": 0.5}
    text = Page(render_html(content)).text
    assert "A step away" in text and "5/4 better by 0.50 points 5/4 loses 0.25 points*" in text and "2/4" not in text
    assert "openvino absent not installed" in text
    assert "onnxruntime refused 1.24.0, model.onnx no kernel for <Cast>" in text
    assert "the least energy that was found to lose at most 0.50 points" in text
    chips = re.findall(r'<span class="chip (\w*)">(absent|refused|differs)</span>', render_html(content))
    assert chips[:3] == [("", "absent"), ("no", "refused"), ("maybe", "differs")]


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (10, 10), (1388, 1437), (1, 2)])
def test_wilson_is_that_of_scipy(hits: int, count: int) -> None:
    found = wilson(hits / count, count)
    expected = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_interval_of_a_metric_that_counts_no_hits(content: dict[str, Any]) -> None:
    accuracy = content["accuracy"] | {"metric": "mse", "unit": "", "standard_error": 0.5}
    found = interval(accuracy, 10.0)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((9.02001801, 10.97998199), abs=1e-8)
    assert interval(accuracy | {"standard_error": None}, 10.0) is None
    assert interval(accuracy, None) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_names_make_no_tags(content: dict[str, Any], name: str, tmp_path: Path) -> None:
    changed = hostile(content, name)
    page = Page(render_html(changed))
    plain = Page(render_html(hostile(content, "plain")))
    assert page.open == []
    assert page.tags == plain.tags
    assert [key for key, _ in page.attributes] == [key for key, _ in plain.attributes]
    assert page.text.count(" ".join(visible(name).split())) >= len(changed["layers"]) + 1
    files = report(changed, tmp_path)
    for path in (files.csv, files.html):
        assert "\x1b" not in path.read_text(encoding="utf-8")
        assert "\u202e" not in path.read_text(encoding="utf-8")
    assert json.loads(files.json.read_text(encoding="utf-8")) == changed


def test_page_gives_every_figure_of_the_accuracy_block(content: dict[str, Any]) -> None:
    text = Page(render_html(content)).text
    accuracy = content["accuracy"]
    for field in ("float", "float_finetuned", "reference", "mirror", "emitted"):
        assert f"{accuracy[field]:.2f} %" in text
    for field in ("float", "float_finetuned", "mirror"):
        assert f"{accuracy['search'][field]:.2f} %" in text
    assert "standard error 0.48 points" in text
    assert "-0.35 points paired standard error 0.21 points" in text
    assert "On 1,437 samples of the reported split of digits.npz" in text
    assert "on the 359 samples of the search split" in text


def test_page_gives_budget_cost_allocators_and_layers(content: dict[str, Any]) -> None:
    text = Page(render_html(content)).text
    assert "energy=0.5 33.1 µJ 25.0 µJ 75.5 % met" in text
    assert "size=2KiB 2.00 KiB 1.38 KiB 68.9 % met" in text
    assert "energy of one batch 66.2 µJ 25.0 µJ 37.7 %" in text
    assert "latency of one inference 184 µs 100 µs 54.4 %" in text
    assert "ddpg (emitted) 96.11 %" in text
    assert text.count("(emitted)") == 1
    assert "integer program n/a found nothing within the budget" in text
    assert "estimate: worked out from typical figures, not measured on this hardware" in text
    assert "2 conv2 Conv conv 4 3 240 k 2.21 k 11.2 µs 8/8: 29.0 µs 11.2 % 5.75 µJ 8/8: 21.0 µJ 23.0 %" in text
    assert "96.59 % -0.35 points against fine-tuned float 95.52 % to 97.41 % (95 % confidence, Wilson), 1,437" in text
    content["accuracy"]["reference"] = content["accuracy"]["float"]
    assert "-0.35 points against float 95.52 %" in Page(render_html(content)).text
    assert "Output error" in text
    assert "0.0027" in text
    assert "reads the network's input" in text
    assert "sha256:0a1b" in text


def test_page_says_where_codes_may_differ_farther_from_a_tie(content: dict[str, Any]) -> None:
    words = "codes of 2 tensors within up to 0.03 step of a tie may differ: float32 itself is no surer there"
    assert words not in Page(render_html(content)).text
    content["verification"]["margins"] = [{"tensor": "n", "steps": 0.03}, {"tensor": "m", "steps": 0.002}]
    assert words in Page(render_html(content)).text


def test_page_says_what_failed(content: dict[str, Any]) -> None:
    content["cost"]["budget"][0]["met"] = False
    content["verification"]["consumers"][1] |= {"ok": False, "first_difference": "layer conv2, value 7"}
    content["verification"]["accuracy"]["ok"] = False
    text = Page(render_html(content)).text
    assert "NOT MET" in text
    assert "DIFFERS" in text
    assert "layer conv2, value 7" in text
    assert "NOT EQUAL" in text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data_free": True, "labels": False, "metric": "agreement"}, "the inputs are synthetic, no data was given"),
        ({"data_free": False, "labels": False, "metric": "agreement"}, "the data has no labels"),
    ],
)
def test_agreement_is_never_called_accuracy(content: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    assert "Agreement with the float model, not accuracy" not in Page(render_html(content)).text
    content["accuracy"] |= change
    page = Page(render_html(content))
    assert ("class", "banner") in page.attributes
    assert f"Agreement with the float model, not accuracy: {reason}." in page.text
    assert "top-1" not in page.text


def test_what_was_made_up_stands_on_the_page(content: dict[str, Any]) -> None:
    assert "Made up for want of data" not in Page(render_html(content)).text
    content["accuracy"]["made_up"] = {"ids": "whole numbers", "<b>mask</b>": "ones"}
    text = " ".join(Page(render_html(content)).text.split()).replace(" :", ":")
    assert "Made up for want of data: ids: whole numbers; <b>mask</b>: ones." in text


def test_how_far_agreement_is_trusted_stands_on_the_page(content: dict[str, Any]) -> None:
    content["accuracy"] |= {"data_free": True, "labels": False, "metric": "agreement", "trust": "Not far"}
    assert "how often either is right. Not far." in " ".join(Page(render_html(content)).text.split())


def test_nulls_are_worded(content: dict[str, Any], tmp_path: Path) -> None:
    content["accuracy"] |= {"float_finetuned": None, "standard_error": None, "paired_standard_error": None}
    content["accuracy"]["search"]["float_finetuned"] = None
    for consumer in content["verification"]["consumers"]:
        consumer |= {"tensors": None, "values": None, "different": None, "share": None, "worst": None}
    for layer in content["layers"]:
        layer |= {"cycles": None}
    text = Page(render_html(content)).text
    assert "Float network, fine-tuned by the same recipe n/a" in text
    assert "None" not in text
    report(content, tmp_path)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "J", "0 J"),
        (1.23e-3, "J", "1.23 mJ"),
        (-1.23e-3, "J", "-1.23 mJ"),
        (4.56e-3, "s", "4.56 ms"),
        (0.9999996, "s", "1.00 s"),
        (99.96e-6, "s", "100 µs"),
        (9.996e-9, "s", "10.0 ns"),
        (5400.4, "s", "5,400 s"),
        (41.0, "s", "41.0 s"),
        (3e-14, "J", "0.03 pJ"),
        (1023, "B", "1,023 B"),
        (1024, "B", "1.00 KiB"),
        (12595, "B", "12.3 KiB"),
        (5_370_000, "", "5.37 M"),
        (999, "", "999"),
        (358_200, "MACs", "358 k MACs"),
        (1.5e8, "Hz", "150 MHz"),
        (None, "J", "n/a"),
        (float("inf"), "J", "n/a"),
    ],
)
def test_quantity(value: float | None, unit: str, expected: str) -> None:
    assert quantity(value, unit) == expected


def test_figures_without_a_value_are_not_available() -> None:
    assert share(None) == "n/a"
    assert {word(None, unit) for word in (figure, difference, spread) for unit in ("%", "")} == {"n/a"}


def test_a_metric_that_is_no_percentage_has_no_points(content: dict[str, Any]) -> None:
    content["accuracy"] |= {
        "metric": "mse", "unit": "", "higher_is_better": False, "float": 0.0123456, "emitted": 0.0130001,
        "difference": 0.00065432, "standard_error": 0.00021, "paired_standard_error": 0.0000312,
    }  # fmt: skip
    text = Page(render_html(content)).text
    assert "Mean squared error (lower is better)" in text
    for words in ("0.012346", "0.013 standard error 0.00021", "+0.000654 paired standard error 3.12e-05"):
        assert words in text
    assert "0.00021 points" not in text
