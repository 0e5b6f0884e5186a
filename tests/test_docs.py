"""What the pages of docs/ say is there: links, command lines, options and defaults, targets, files, columns."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from haqc import targets
from haqc.budget import Demand
from haqc.cli import app
from haqc.folder import RESULTS
from haqc.frontend import pose
from haqc.passes.cost import cost
from haqc.passes.report.csv import COLUMNS
from haqc.policy import baseline
from haqc.target import GRADES
from haqc.targets.kinds import DESCRIPTIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
ROOT_COMMAND: Any = typer.main.get_command(app)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def page(name: str) -> str:
    return read(ROOT / "docs" / name)


def links(path: Path) -> list[str]:
    """The relative links of a page, without anchors."""
    return re.findall(r"\]\((?!https?://|#)([^)#\s]+)", read(path))


def section(heading: str) -> str:
    """The part of commands.md under one heading; for the empty heading what stands above the first."""
    parts = re.split(r"^## (.*)\n", "\n" + page("commands.md"), flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[::2], strict=True))[heading]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that lead to it; haqc itself has none."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


def options() -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Every option: the words of its command, the option, its default."""
    for path, command in commands(ROOT_COMMAND):
        for parameter in command.params:
            if parameter.param_type_name == "option":
                for option in (*parameter.opts, *parameter.secondary_opts):
                    yield path, option, parameter.default


def parse(line: str) -> dict[str, Any]:
    """Resolves the command of a line and parses its arguments and options; runs nothing."""
    name, *words = shlex.split(line)
    command = ROOT_COMMAND
    while words and words[0] in getattr(command, "commands", {}):
        name = f"{name} {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context(name, words)
    is_complete = not getattr(command, "commands", {}) or command.invoke_without_command
    assert is_complete and not getattr(context, "_protected_args", []), f"'{line}' names no command"
    params: dict[str, Any] = context.params
    return params


# What a reader types stands behind "$ " in console blocks.
LINES = [
    line.removeprefix("$ ")
    for path in PAGES
    for block in re.findall(r"^```console\n(.*?)^```", read(path), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
# Files that the examples make with "haqc targets new".
STARTED = {line.split()[-1] for line in LINES if line.startswith("haqc targets new ")}
OPTIONS = list(options())


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_every_link_leads_to_a_file(path: Path) -> None:
    assert [link for link in links(path) if not (path.parent / link).exists()] == []


def test_every_page_stands_in_the_index() -> None:
    assert sorted({*links(ROOT / "docs" / "index.md")} & {path.name for path in PAGES}) == sorted(
        path.name for path in PAGES if path.name != "index.md"
    )


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("haqc")])
def test_every_command_line_parses(line: str) -> None:
    params = parse(line)
    for text in params.get("budget") or []:
        Demand.parse(text)
    compared = params.get("compare")  # targets of 'haqc cost', a folder of 'haqc report'
    for name in (
        [params["target"]] if params.get("target") else compared.split(",") if isinstance(compared, str) else []
    ):
        if name and Path(name).name not in STARTED:
            mode = params.get("mode")
            assert mode is None or mode in targets.load(name).modes


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("haqc cost model.onnx --target edge --bit 8", "No such option"),
        ("haqc compile model.onnx --budget size=0.5", "Missing .*target"),
        ("haqc compile model.onnx --target edge --budget size=0.5 --seed one", "valid int"),
        ("haqc verify", "Missing .*path"),
        ("haqc prove model.onnx", "names no command"),
    ],
)
def test_a_wrong_command_line_does_not_parse(line: str, complaint: str) -> None:
    with pytest.raises(Exception, match=complaint):
        parse(line)


def test_every_command_has_an_example() -> None:
    paths = [" ".join(("haqc", *path)) for path, command in commands(ROOT_COMMAND) if path]
    assert len(paths) >= 8
    assert [path for path in paths if not any(f"{line} ".startswith(f"{path} ") for line in LINES)] == []


@pytest.mark.parametrize(("path", "option", "default"), OPTIONS, ids=str)
def test_every_option_is_documented_where_its_command_is(path: tuple[str, ...], option: str, default: Any) -> None:
    rows = [line for line in section(f"haqc {path[0]}" if path else "").splitlines() if line.startswith("|")]
    row = next((line for line in rows if f"`{option}`" in line.split("|")[1]), None)
    assert row is not None, f"no table row of its command in docs/commands.md begins with {option}"
    if isinstance(default, int | str) and not isinstance(default, bool):
        assert row.split("|")[-2].strip().strip("`") == str(default)


def test_help_and_version_are_documented() -> None:
    assert {"`--help`", "`-h`", "`--version`"} <= set(re.findall(r"`[^`\s]+`", section("")))


@pytest.mark.parametrize("name", targets.names())
def test_every_target_is_documented(name: str) -> None:
    target = targets.load(name)
    row = next((line for line in page("targets.md").splitlines() if line.startswith(f"| `{name}` |")), "")
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert len(cells) == 7, f"docs/targets.md has no row for {name}"
    assert cells[1:3] == [f"`{target.kind}`", str(target.batch)]
    assert cells[4:] == [
        ", ".join(f"`{mode}`" for mode in target.modes),
        *(f"`{g}`" for g in target.grades(target.modes[0])),
    ]


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_every_kind_of_hardware_is_documented(kind: str) -> None:
    assert re.search(rf"^\| `{kind}` \| [^|]+ \| \[[\w.-]+\]\([\w.-]+\) \|$", page("targets.md"), re.MULTILINE)
    assert [name for name in ("cost.md", "how-it-works.md") if f"`{kind}`" not in page(name)] == []


@pytest.mark.parametrize("grade", GRADES)
def test_every_grade_is_documented(grade: str) -> None:
    assert f"| `{grade}` |" in page("targets.md")


@pytest.mark.parametrize("mode", sorted({mode for name in targets.names() for mode in targets.load(name).modes}))
def test_every_mode_is_documented(mode: str) -> None:
    assert f"| `{mode}` |" in page("cost.md")


def test_every_field_of_a_price_is_documented() -> None:
    graph = pose(ROOT / "models" / "digits.onnx")[1]
    content = cost(graph, targets.load("edge"), baseline(graph), mode="physical").to_json()
    text = page("cost.md").partition("## The JSON")[2]
    nested = [*content["layers"][0]["energy_parts_j"], *content["layers"][0]["moved_bytes"]]
    blocks = [content, content["layers"][0], content["operations"][0], content["not_modelled"], content["storage"]]
    fields = {*nested, *(field for block in blocks for field in block)}
    implied = {"latency_share", "energy_share", "operators"}  # "their shares", "by operator"
    assert [field for field in sorted(fields - implied) if f"`{field}`" not in text] == []


@pytest.mark.parametrize("name", sorted({"*.onnx.data" if name.endswith(".data") else name for name in RESULTS}))
def test_every_result_file_is_documented(name: str) -> None:
    assert f"| `{name}` |" in page("output-files.md")


def test_the_columns_of_the_layers_are_documented_in_order() -> None:
    text = page("output-files.md").partition("## layers.csv")[2].partition("## ")[0]
    assert tuple(name for name in re.findall(r"`(\w+)`", text) if name in COLUMNS) == COLUMNS
