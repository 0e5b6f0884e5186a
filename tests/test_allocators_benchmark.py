"""The benchmark of allocators: searches go on where they stopped, and tables say what was measured and no more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.allocators.cells import CELLS, GRID, LEAST, UNIFORM, Cell, chosen
from benchmarks.allocators.effort import ALLOCATORS, GUIDED, groups, trained_on
from benchmarks.allocators.final import measured, measured_float
from benchmarks.allocators.ground import Ground
from benchmarks.allocators.least import cheapest, tried
from benchmarks.allocators.results import Results
from benchmarks.allocators.scores import Scores
from benchmarks.allocators.searching import searched
from benchmarks.allocators.specialisation import specialisation
from benchmarks.allocators.table import tables
from benchmarks.allocators.verdicts import uniform_room
from benchmarks.networks import Network
from haqc import targets
from haqc.budget import Demand
from haqc.frontend import pose
from haqc.passes.search import SearchOptions
from haqc.policy import Policy
from haqc.problem import Problem
from haqc.request import Request
from haqc.score import Score
from haqc.train import Recipe
from tests.passes.search_toy import chain, same

MODELS = Path(__file__).parents[1] / "models"
CELL = GRID[0]


def test_cells_are_those_that_are_wanted() -> None:
    assert len(GRID) == 2 * 2 * 2 * 2
    assert len(CELLS) == len({cell.name for cell in CELLS}) == 16 + 4 + 5 + 8 + 8 + 8
    assert chosen(["fashion-*-W3A3"]) == (UNIFORM[2],)
    assert groups(UNIFORM[0]) == (GUIDED,)
    assert sum(groups(CELL), ()) == ALLOCATORS


def policies() -> tuple[Policy, Policy]:
    """Gives two policies."""
    graph = chain(2)
    return tuple(Policy(graph, {o.tensor: bits for o in graph.operands}) for bits in (4, 8))  # type: ignore[return-value]


def test_a_policy_is_scored_once_even_after_a_kill(tmp_path: Path) -> None:
    one, other = policies()
    asked: list[int] = []

    def score(widths: dict[str, int]) -> Score:
        asked.append(next(iter(widths.values())))
        return same(asked[-1])

    file = tmp_path / "scores.jsonl"
    assert Scores(file, score)([one, other, one]) == [same(4.0), same(8.0), same(4.0)]
    file.write_bytes(file.read_bytes()[:-5])  # killed while it wrote the second line
    assert Scores(file, score)([one, other]) == [same(4.0), same(8.0)]
    assert asked == [4, 8, 8]
    assert Scores(file, score)([other]) == [same(8.0)]
    assert asked == [4, 8, 8]


def keep(out: Path, cell: Cell, seed: int, wrong: dict[str, list[int]]) -> None:
    """Writes what a campaign leaves of a cell."""
    row = {"widths": {}, "score": 80.0, "share": 0.5, "evaluations": 60, "own_s": 1.5}
    rows = {name: row | {"key": f"{cell.name}-{seed}-{name}"} for name in wrong}
    content = {"budget": "energy=0.5", "seed": seed, "score_s": 0.1, "allocators": rows}
    guided = {name: row for name, row in rows.items() if name in GUIDED}
    for suffix, part in {"": guided, "-blind": {name: row for name, row in rows.items() if name not in guided}}.items():
        if part:
            file = out / f"{cell.name}-{seed}{suffix}.json"
            file.write_text(json.dumps(content | {"allocators": part}), encoding="utf-8")
    for name, places in wrong.items():
        tuned = {"search": 81.0, "count": 100, "wrong": places, "cpu_s": 1.0}
        file = out / f"tuned-{cell.network}-{trained_on(cell)}-{rows[name]['key']}.json"
        file.write_text(json.dumps(tuned), encoding="utf-8")


def test_tables_hold_what_was_measured(tmp_path: Path) -> None:
    wrong = {name: list(range(30)) for name in ALLOCATORS}
    keep(tmp_path, CELL, 0, wrong | {"ddpg": list(range(20)), "random": list(range(90))})
    keep(tmp_path, CELL, 1, wrong | {"uniform": [*range(19), 99]})
    refusal = {"budget": "energy=0.01", "seed": 0, "infeasible": "budget energy=0.01 cannot be met"}
    (tmp_path / f"{GRID[1].name}-0.json").write_text(json.dumps(refusal), encoding="utf-8")
    lines = tables(Results(tmp_path)).splitlines()
    assert f"| {CELL.name} | energy=0.5 | 0 | -10.00 ± 3.02 | -10.00 ± 3.02 | -10.00 ± 3.02 | **80.00** |" in " ".join(
        line for line in lines if line.startswith(f"| {CELL.name} | energy=0.5 | 0 |")
    )
    assert any(line.startswith(f"| {GRID[1].name} | energy=0.01 | 0 | infeasible |") for line in lines)
    assert not any(line.startswith(f"| {GRID[2].name} |") for line in lines)
    # one of two cells: seed 1's agent is 10 points behind the uniform policy, more than three standard errors
    assert any("best, or within two paired standard errors" in line and "1 of 2" in line for line in lines)
    assert any(line.startswith("| ddpg | 2 | 60 | 7.5 | 1.50 | 80.00 | 75.00 | 1 | 1 |") for line in lines)
    assert f"| {CELL.name} | +5.00 |" in lines  # medians 75 and 70


def test_the_agent_is_held_to_the_uniform_policy_that_the_budget_is_named_after(tmp_path: Path) -> None:
    cell = UNIFORM[0]
    keep(tmp_path, cell, 0, {name: list(range(30)) for name in GUIDED} | {"ddpg": list(range(24))})
    uniform = {"count": 100, "wrong": list(range(28)), "search": 80.0, "cpu_s": 1.0}
    floating = {"count": 100, "wrong": list(range(20)), "original": list(range(25)), "search": 80.0, "cpu_s": 1.0}
    (tmp_path / f"{cell.name}-stated.json").write_text(json.dumps({"key": "u", "widths": {}}), encoding="utf-8")
    for name, content in ((f"tuned-{cell.network}-6000-u", uniform), (f"float-{cell.network}-6000", floating)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (line,) = [line for line in uniform_room(Results(tmp_path)).splitlines() if line.startswith(f"| {cell.name}")]
    assert line.startswith(f"| {cell.name} | 0 | 80.00 | 72.00 | -2.00 ± 1.41 | -2.00 ± 1.41 | +4.00 ± 1.97 | +50% |")


def digits(target: str) -> Problem:
    """Gives the space and the prices of the digits network."""
    model, graph = pose(MODELS / "digits.onnx")
    request = Request(MODELS / "digits.onnx", target, (Demand.of_share("energy", 1.0),), Path("digits.haqc"))
    return Problem.of(request, model, graph, targets.load(target))


def test_the_cheapest_policy_that_keeps_the_accuracy_is_found(tmp_path: Path) -> None:
    """With accuracies that only the weights of one layer decide, all else goes down to the floor."""
    problem = digits("edge")
    tensor = next(choice.operand.tensor for choice in problem.space.free if choice.operand.kind == "weight")
    sensitivity = {
        (choice.operand.tensor, bits): (9.0 if choice.operand.tensor == tensor else 0.1) / bits
        for choice in problem.space.free
        for bits in choice.widths
    }
    scores = Scores(tmp_path / "scores.jsonl", lambda widths: same(90.0 - 0.4 * (8 - widths[tensor])))
    content = cheapest(problem, "energy", scores, sensitivity, SearchOptions(48, allocators=("greedy", "integer")))
    row = content["allocators"]["minimise"]
    assert row["widths"][tensor] >= 6  # at 5 bits 1.2 points are lost
    lowest = {choice.operand.tensor: choice.widths[0] for choice in problem.space.free}
    costs = [problem.table.price(problem.space.policy({**lowest, tensor: bits})).energy_j for bits in (6, 7, 8)]
    full = problem.baseline.energy_j
    assert row["share"] == problem.table.price(Policy(problem.graph, row["widths"])).energy_j / full
    assert row["share"] < 1.1 * min(costs) / full

    other = digits("cloud")
    policies = tried(other, content)
    assert len(policies) == row["evaluations"]
    count = len(scores.path.read_bytes().splitlines())
    shared = cheapest(other, "energy", scores, sensitivity, SearchOptions(12, allocators=("uniform",)), policies)
    own = shared["allocators"]["minimise"]
    kept = [other.table.price(each).energy_j for each in policies if each.widths[tensor] >= 6]
    assert kept
    assert own["share"] <= min(kept) / other.baseline.energy_j
    assert own["evaluations"] == len(tried(other, shared)) <= 12
    assert not {each.key for each in tried(other, shared)} & {each.key for each in policies}
    assert len(scores.path.read_bytes().splitlines()) <= count + 12

    lost = Scores(tmp_path / "lost.jsonl", lambda widths: same(90.0 if set(widths.values()) == {8} else 10.0))
    content = cheapest(problem, "energy", lost, sensitivity, SearchOptions(6, allocators=("greedy",)))
    assert "allocators" in content  # 8/8 itself keeps the accuracy
    assert set(content["allocators"]["minimise"]["widths"].values()) == {8}


@pytest.mark.parametrize(
    ("first", "second", "name", "limit"),
    [(LEAST[0], "cloud", "minimise", "1 point lost"), (GRID[0], "bitfusion", "ddpg", "30 %")],
)
def test_each_targets_own_policy_is_held_to_be_the_cheapest_on_it(
    tmp_path: Path, first: Cell, second: str, name: str, limit: str
) -> None:
    twin = replace(first, target=second)
    for cell, wrong in ((first, range(20)), (twin, range(21))):
        row = {"widths": {}, "score": 80.0, "share": 0.5, "evaluations": 60, "own_s": 0.0, "key": cell.name}
        content = {"budget": limit, "seed": 0, "score_s": 0.1, "allocators": {name: row}}
        (tmp_path / f"{cell.name}-0.json").write_text(json.dumps(content), encoding="utf-8")
        tuned = {"search": 81.0, "count": 100, "wrong": list(wrong), "cpu_s": 1.0}
        file = tmp_path / f"tuned-{cell.network}-{trained_on(cell)}-{cell.name}.json"
        file.write_text(json.dumps(tuned), encoding="utf-8")
    prices = {
        f"{first.name}-0": {"edge-energy": 0.40, f"{second}-energy": 0.46},
        f"{twin.name}-0": {"edge-energy": 0.41, f"{second}-energy": 0.45},
    }

    def row_of(changed: dict[str, dict[str, float]]) -> str:
        (tmp_path / "prices.json").write_text(json.dumps(prices | changed), encoding="utf-8")
        return specialisation(Results(tmp_path)).splitlines()[-1]

    figures = "80.00 | +1.00 ± 1.00 | 0.4000 | 0.4100 | 0.4600 | 0.4500"
    assert row_of({}) == f"| resnet8, energy, {limit} | 0 | edge, {second} | {figures} | yes |"
    assert row_of({f"{twin.name}-0": {"edge-energy": 0.39, f"{second}-energy": 0.45}}).endswith("| no |")


@pytest.mark.slow
def test_a_cell_of_digits_is_searched_and_measured(tmp_path: Path) -> None:
    """Every allocator finds a policy within the budget, nothing is scored anew the second time, training works."""
    ground = Ground(Network("digits", MODELS / "digits.onnx", MODELS / "digits.data.toml"), tmp_path, 512)
    worker, scored = ground.worker(ground.bench.short), list[int]()

    def score(widths: dict[str, int]) -> Score:
        scored.append(1)
        return worker.score(widths, lambda count: None)

    def search() -> dict[str, object]:
        problem = ground.problem(Cell("digits", "edge", "energy", "30"))
        options = SearchOptions(8, allocators=ALLOCATORS)
        scores = Scores(tmp_path / "scores.jsonl", score)
        return searched(problem, scores, ground.sensitivity, ground.float_accuracy, options)

    found = search()
    rows = found["allocators"]
    assert isinstance(rows, dict)
    assert rows.keys() == set(ALLOCATORS)
    assert all(1 <= row["evaluations"] <= 8 and row["own_s"] >= 0 for row in rows.values())
    limit = float(str(found["budget"]).partition("=")[2])
    assert all(0.9 * limit < row["share"] < limit + 5e-5 for name, row in rows.items() if name != "uniform")
    count = len(scored)
    assert {name: row["key"] for name, row in search()["allocators"].items()} == {n: r["key"] for n, r in rows.items()}  # type: ignore[attr-defined]
    assert len(scored) == count
    recipe = Recipe(256, batch=32)
    tuned, floating = (
        measured(ground, rows["integer"]["widths"], recipe),
        measured_float(ground, recipe),
    )
    assert tuned["count"] == floating["count"] == len(ground.subject.dataset.reported)
    again = Ground(ground.network, tmp_path, 512)
    assert measured(again, rows["integer"]["widths"], recipe)["wrong"] == tuned["wrong"]  # from what was kept
    assert len(floating["wrong"]) < 0.1 * floating["count"]
    assert len(tuned["wrong"]) < 0.2 * tuned["count"]
