"""Prices kept on disk: found again, never after a change, and never believed when damaged."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from haqc import targets
from haqc.costmodel import MAX_LAYERS, build_table, cache
from haqc.costmodel.prices import NOTHING, Energy, Prices, Traffic
from haqc.errors import ModelError
from haqc.graph import Graph
from haqc.target import Target
from tests.costmodel.mobilenet_v2_layers import chain, convolution, mobilenet_v2

EDGE = targets.load("edge")
SHAPE = (2, 3, 4, 1)


def prices(scale: float = 1.0) -> Prices:
    array = np.arange(24, dtype=np.float64).reshape(SHAPE) * scale
    return Prices(
        array.astype(np.int64), Energy(array, NOTHING, array[:, :1] / 3, NOTHING), Traffic(array, array, NOTHING),
        array, np.ones((1, 1, 1, 1)), results_are_free=True,
    )  # fmt: skip


def equal(one: Prices, other: Prices) -> bool:
    arrays = [
        (p.cycles, p.compute_cycles, p.memory_cycles, *p.energy.parts.values(), *p.moved_bits.parts.values())
        for p in (one, other)
    ]
    same = all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(*arrays, strict=True))
    return same and one.results_are_free == other.results_are_free


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache where everything counts as slow."""
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "prices")
    monkeypatch.setattr(cache, "SLOW_S", 0.0)
    return tmp_path / "prices"


def never() -> Prices:
    raise AssertionError("must come from the cache")


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_what_was_slow_is_found_again_to_the_last_bit(folder: Path) -> None:
    first = cache.cached_prices("toy", ("question",), SHAPE, prices)
    again = cache.cached_prices("toy", ("question",), SHAPE, never)
    assert first is not again and equal(first, again)
    assert [path.suffix for path in entries(folder / "toy")] == [".npz"]
    assert equal(cache.cached_prices("toy", ("another",), SHAPE, lambda: prices(2.0)), prices(2.0))
    assert len(entries(folder / "toy")) == 2


def test_what_was_quick_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SLOW_S", 60.0)
    cache.cached_prices("toy", ("question",), SHAPE, prices)
    assert not folder.exists()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def pickled(path: Path) -> None:
    np.savez(path, **{name: np.array([{}], object) for name in cache._MEMBERS})  # type: ignore[arg-type]


def huge(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in cache._MEMBERS:
            archive.writestr(f"{name}.npy", bytes(1_000_000))


def of_other_shape(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"cycles": arrays["cycles"][:1]}))  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", [truncated, flipped, emptied, pickled, huge, of_other_shape])
def test_a_damaged_entry_counts_as_none_and_is_rewritten(folder: Path, damage: Callable[[Path], None]) -> None:
    cache.cached_prices("toy", ("question",), SHAPE, prices)
    (path,) = entries(folder / "toy")
    damage(path)
    assert equal(cache.cached_prices("toy", ("question",), SHAPE, prices), prices())
    assert equal(cache.cached_prices("toy", ("question",), SHAPE, never), prices())
    assert entries(folder / "toy") == [path]


def test_a_folder_that_cannot_be_written_changes_nothing(folder: Path) -> None:
    folder.write_text("a file where the folder would be")
    assert equal(cache.cached_prices("toy", ("question",), SHAPE, prices), prices())


def small() -> Graph:
    return chain([convolution("first", "x", (3, 8), kernel=3, stride=1, groups=1, size_in=8)], "small", 192)


def test_a_table_is_the_same_with_and_without_the_cache(folder: Path) -> None:
    built, kept = build_table(mobilenet_v2(), EDGE), build_table(mobilenet_v2(), EDGE)
    assert len(entries(folder / "bit-serial")) == 1
    assert built.prices is not kept.prices and equal(built.prices, kept.prices)


def edited(folder: Path, old: str, new: str) -> Target:
    assert EDGE.text.count(old) == 1
    path = folder / "edge.toml"
    path.write_text(EDGE.text.replace(old, new))
    return targets.load(str(path))


def test_no_edit_of_anything_gives_an_old_price(folder: Path, tmp_path: Path) -> None:
    first = convolution("first", "x", (3, 8), kernel=3, stride=1, groups=1, size_in=8)
    asked: list[tuple[Graph, Target, int, str]] = [
        (small(), EDGE, 1, "reference"),
        (small(), EDGE, 2, "reference"),
        (small(), EDGE, 1, "physical"),
        (chain([replace(first, rows=63)], "small", 192), EDGE, 1, "reference"),
        (small(), edited(tmp_path, "clock_mhz = 200", "clock_mhz = 100"), 1, "reference"),
        (small(), edited(tmp_path, "binary_mac_energy_pj = 1.04", "binary_mac_energy_pj = 2.0"), 1, "reference"),
        (small(), edited(tmp_path, 'title = "BISMO', 'title = "My BISMO'), 1, "reference"),
        (small(), edited(tmp_path, "weight = [1, 2,", "weight = [2,"), 1, "reference"),
        (small(), replace(EDGE, hardware=replace(EDGE.hardware, rows=4)), 1, "reference"),  # type: ignore[type-var]
    ]
    for graph, target, batch, mode in asked:
        build_table(graph, target, batch=batch, mode=mode)
    assert len(entries(folder / "bit-serial")) == len(asked)
    for count, (graph, target, batch, mode) in enumerate(asked):
        build_table(graph, target, batch=batch, mode=mode)
        assert len(entries(folder / "bit-serial")) == len(asked), count


def test_digests_do_not_depend_on_the_order_of_sets_and_tell_types_apart() -> None:
    assert cache._digest((frozenset("abc"), {"x": 1, "y": 2})) == cache._digest((frozenset("cba"), {"y": 2, "x": 1}))
    values = (1, 1.0, "1", (1,), True, None, frozenset({1}), np.array([1]), ("1", ""), ("", "1"))
    assert len({cache._digest((value,)) for value in values}) == len(values)


def test_more_layers_than_fit_the_memory_are_refused() -> None:
    layer = convolution("first", "x", (3, 8), kernel=3, stride=1, groups=1, size_in=8)
    many = replace(small(), layers=tuple(replace(layer, name=f"layer{k}") for k in range(MAX_LAYERS + 1)))
    for name, most in (("edge", "80,000"), ("bitfusion", "10,000"), ("t4", "100,000")):
        with pytest.raises(ModelError, match=f"100,001 layers, and at most {most} can be priced"):
            build_table(many, targets.load(name))
