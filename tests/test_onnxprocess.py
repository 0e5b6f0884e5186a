"""ONNX in a process of its own: it gives what it gives in this one, and its crashes and hangs are sentences."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx_ir.passes import common

import haqc.passes.bind
from haqc.errors import ModelError
from haqc.onnxprocess import OnnxProcess, check_model, infer_node, infer_shapes, lasting, process
from haqc.onnxprocess.process import Crashed, Refused
from haqc.passes.bind import bind, walk
from haqc.passes.clean import clean
from tests.small_model import draw, small_model

BRANCHES = """(float[N,length,8] x, bool up) => (float y) {
    w1 = MatMul (x, w)
    t = If (up) <
        then_branch = g () => (float a) { a0 = Add (w1, v) a = Reshape (a0, sizes) },
        else_branch = h () => (float b) { b = Neg (w1) }
    >
    u = Add (t, v)
    s = Shape (u)
    y = Expand (v, s)
}"""
LOOP = """(float[N,4] x) => (float y) {
    t = Loop (three, , x) <body = g (int64 i, bool c, float a) => (bool d, float b) {
        d = Identity (c)
        s = Shape (a)
        r = Reshape (a, s)
        b = Add (r, one)
    }>
    y = Relu (t)
}"""
CONSTANTS = {"w": draw(8, 300), "v": draw(300), "sizes": [0, 0, -1], "three": np.int64(3), "one": 1.0}
SOUND = {"branches": (BRANCHES, "wv" + "sizes"), "loop": (LOOP, "three one")}
CRASHING = """(float[N,4] x) => (float[N,4] y) {
    a = Relu (x)
    b = RegexFullMatch (nobody)
    y = Relu (a)
}"""


def sound(name: str) -> ir.Model:
    text, wanted = SOUND[name]
    return ir.from_proto(small_model(text, {key: value for key, value in CONSTANTS.items() if key in wanted}))


def written(model: ir.Model) -> bytes:
    return ir.to_proto(model).SerializeToString(deterministic=True)


def crashing() -> ir.Model:
    header = '<ir_version: 10, opset_import: ["": 21]> small '
    return ir.from_proto(onnx.parser.parse_model(header + CRASHING))


@pytest.mark.parametrize("name", SOUND)
def test_graphs_are_inferred_as_in_this_process(name: str) -> None:
    model, before = sound(name), sound(name)
    expected = common.ShapeInferencePass(strict_mode=False)(sound(name)).model
    with OnnxProcess() as asked:
        infer_shapes(model, asked)
        assert written(model) == written(expected) != written(before)
        infer_shapes(model, asked)
    assert written(model) == written(common.ShapeInferencePass(strict_mode=False)(expected).model)


@pytest.mark.parametrize("name", SOUND)
def test_a_model_with_bodies_is_bound_as_in_this_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = clean(sound(name))
    given = {"x": (1, 5, 8)} if name == "branches" else {}
    found = written(bind(model, given))

    def infer_here(*given: Any) -> dict[str, onnx.TypeProto]:
        node, types, constants, opsets, _ = given
        schema = onnx.defs.get_schema(node.op_type, opsets[node.domain], node.domain)
        imports = [onnx.helper.make_opsetid(*item) for item in opsets.items()]
        return onnx.shape_inference.infer_node_outputs(
            schema, ir.serde.serialize_node(node), types, constants, opset_imports=imports
        )

    called = []
    monkeypatch.setattr(walk, "infer_node", lambda *given: called.append("node") or infer_here(*given))
    monkeypatch.setattr(
        haqc.passes.bind,
        "infer_shapes",
        lambda model, _: called.append("graph") or common.ShapeInferencePass(strict_mode=False)(model),
    )
    assert written(bind(model, given)) == found
    assert "node" in called


def test_a_node_without_a_schema_is_refused() -> None:
    node = ir.Node("", "NoSuchOperator", [], num_outputs=1)
    with OnnxProcess() as asked, pytest.raises(Refused, match="NoSuchOperator"):
        infer_node(node, {}, {}, {"": 21}, asked)


@pytest.mark.slow
def test_a_crash_names_its_node_and_the_next_question_is_answered() -> None:
    with OnnxProcess() as asked:
        with pytest.raises(ModelError, match=re.escape("crashes on node 'b' (RegexFullMatch); look at what is read")):
            infer_shapes(crashing(), asked)
        with pytest.raises(ModelError, match=re.escape("crashes on node 'b' (RegexFullMatch); look at what is read")):
            infer_shapes(crashing(), asked)
        model = sound("loop")
        infer_shapes(model, asked)
    assert written(model) == written(common.ShapeInferencePass(strict_mode=False)(sound("loop")).model)


def test_a_crash_of_no_node_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text(f"import os\nos.kill(os.getpid(), {int(signal.SIGKILL)})\n", encoding="utf-8")
    monkeypatch.setattr(process, "COMMAND", (sys.executable, str(dying)))
    with OnnxProcess() as asked, pytest.raises(ModelError, match="crashes on this graph; look"):
        infer_shapes(sound("loop"), asked)


def test_what_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time\ntime.sleep(300)\n", encoding="utf-8")
    monkeypatch.setattr(process, "COMMAND", (sys.executable, str(hanging)))
    monkeypatch.setattr(process, "LIMIT_S", 0.2)
    with OnnxProcess() as asked, pytest.raises(ModelError, match=r"does not end within 0\.2 s on this graph; export"):
        infer_shapes(sound("loop"), asked)


def test_leaving_ends_the_process() -> None:
    with OnnxProcess() as asked:
        infer_shapes(sound("loop"), asked)
        assert asked._process is not None
        number = asked._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_models_are_checked() -> None:
    good = small_model(LOOP, {"three": np.int64(3), "one": 1.0})
    with OnnxProcess() as asked:
        check_model(good.SerializeToString(), asked)
        good.graph.node[1].input[0] = "nobody"
        with pytest.raises(ModelError, match=r"the ONNX checker refuses the model \(.*nobody.*\); export it again"):
            check_model(good.SerializeToString(), asked)
        with pytest.raises(Crashed):
            asked.ask("infer", ir.to_proto(crashing()).SerializeToString())


def test_one_process_lasts_and_a_fork_has_its_own() -> None:
    asked = lasting()
    assert lasting() is asked
    infer_shapes(sound("loop"), asked)
    first = asked._process
    infer_shapes(sound("loop"), asked)
    assert first is not None
    assert asked._process is first
    asked._owner += 1  # what a fork would find
    infer_shapes(sound("loop"), asked)
    assert asked._process is not first
    first.kill()
    first.communicate()
