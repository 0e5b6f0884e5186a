"""What fuzzing found, built anew: files that once ended in a traceback and now end in one sentence."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from haqc.errors import ModelError
from haqc.frontend import pose
from haqc.onnxprocess import OnnxProcess
from tests.command_line import CommandLine, Compiled
from tests.small_model import draw, small_model

pytest_plugins = ("tests.command_line",)

ROOT = Path(__file__).resolve().parents[1]
TINY = "(float[N, 1, 8, 8] x) => (float[N, 4] y) { c = Conv(x, K) r = Relu(c) f = Flatten(r) y = Gemm(f, W, b) }"
PLAIN = (
    *("--target", "edge", "--budget", "energy=0.9"),
    *("--finetune", "0", "--evaluations", "1", "--no-default-pins", "--reconstruct", "64"),
)


def tiny() -> onnx.ModelProto:
    return small_model(TINY, {"K": draw(3, 1, 3, 3), "W": draw(108, 4), "b": draw(4)}, ir_version=10)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "in.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_a_tensor_beyond_all_bounds_is_no_overflow(haqc: CommandLine, tmp_path: Path) -> None:
    text = "(float[N, 1, 8, 8] x) => (float y) { c = Conv(x, K) y = Pad(c, p) }"
    model = small_model(text, {"K": draw(3, 1, 3, 3), "p": [0, 0, 2**31 - 99, 2**31 - 99, 0, 0, 0, 0]}, ir_version=10)
    said = haqc("cost", saved(model, tmp_path), "--target", "edge").sentence(2)
    assert "tensor 'y' has 13," in said
    assert "check the model's shapes" in said


def test_a_place_of_external_data_that_is_no_text(haqc: CommandLine, tmp_path: Path) -> None:
    model = tiny()
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "K")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="QQQQ")
    path = tmp_path / "in.onnx"
    path.write_bytes(model.SerializeToString().replace(b"QQQQ", b"\xff\xfe\xfd\xfc"))
    assert "a name is not allowed" in haqc("inspect", path).sentence(2).replace("whose name", "a name")


@pytest.mark.parametrize("command", ["inspect", "cost"])
def test_a_body_that_reads_what_nobody_computes(command: str, haqc: CommandLine, tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("c", 9, [])]
    inner = [helper.make_node("Relu", ["nowhere"], ["o"]), helper.make_node("Identity", ["c"], ["k"])]
    body = helper.make_graph(inner, "body", inputs, [helper.make_tensor_value_info("k", 9, [])])
    body.output.append(helper.make_empty_tensor_value_info("o"))
    model = tiny()
    model.graph.node.append(helper.make_node("Loop", ["trips", ""], ["z"], body=body))
    model.graph.initializer.append(helper.make_tensor("trips", TensorProto.INT64, [], [1]))
    options = ("--target", "edge") if command == "cost" else ()
    outcome = haqc(command, saved(model, tmp_path), *options)
    assert outcome.code in (0, 2)
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_libraries_keep_their_tracebacks_to_themselves(tmp_path: Path) -> None:
    model = tiny()
    next(tensor for tensor in model.graph.initializer if tensor.name == "W").name = "V"
    model.graph.initializer.append(helper.make_tensor("W", TensorProto.INT64, [108, 4], [1] * 432))
    words = [sys.executable, "-m", "haqc", "cost", str(saved(model, tmp_path)), "--target", "edge"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2)
    assert len(done.stderr.splitlines()) <= 1


def with_kernels_of(value: float) -> onnx.ModelProto:
    model = tiny()
    next(tensor for tensor in model.graph.initializer if tensor.name == "K").raw_data = np.full(
        (3, 1, 3, 3), value, np.float32
    ).tobytes()
    return model


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.usefixtures("jobs")
def test_weights_without_end_are_refused(haqc: CommandLine, tmp_path: Path) -> None:
    path = saved(with_kernels_of(3e38), tmp_path)
    outcome = haqc("compile", path, *PLAIN, "--out", tmp_path / "out", "--quiet")
    assert "becomes infinite or NaN on the calibration data" in outcome.sentence(2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.usefixtures("jobs")
def test_weights_whose_squares_have_no_end_are_measured(haqc: CommandLine, tmp_path: Path) -> None:
    path = saved(with_kernels_of(1e36), tmp_path)
    x = draw(60, 1, 8, 8)
    np.savez(tmp_path / "d.npz", x=x)
    words = (*PLAIN, "--data", tmp_path / "d.npz", "--out", tmp_path / "out", "--quiet")
    assert haqc("compile", path, *words).code == 0
    given, found = (
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0].astype(np.float64)
        for file in (path, tmp_path / "out" / "model.onnx")
    )
    assert np.linalg.norm(found - given) < 0.2 * np.linalg.norm(given)


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("name", ["b", *(pytest.param(name, marks=pytest.mark.slow) for name in "WK")])
def test_an_output_that_is_a_weight(name: str, haqc: CommandLine, tmp_path: Path) -> None:
    model = tiny()
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, tensor.dims))
    _, graph = pose(saved(model, tmp_path))
    assert len(graph.layers) == 2
    words = (*PLAIN, "--out", tmp_path / "out", "--quiet", "--jobs", "1")
    assert haqc("compile", tmp_path / "in.onnx", *words).code == 0
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run([name], {"x": np.zeros((1, 1, 8, 8), np.float32)})
    np.testing.assert_array_equal(found, numpy_helper.to_array(tensor))


def test_a_report_without_its_parts(haqc: CommandLine, compiled: Compiled, tmp_path: Path) -> None:
    content = json.loads((compiled.folder / "report.json").read_text(encoding="utf-8"))
    del content["model"]["macs"]
    (tmp_path / "report.json").write_text(json.dumps(content), encoding="utf-8")
    assert "is no report as haqc writes them" in haqc("report", tmp_path).sentence(2)


@pytest.mark.usefixtures("jobs")
def test_errors_below_zero_are_not_resumed(haqc: CommandLine, compiled: Compiled, tmp_path: Path) -> None:
    folder = tmp_path / "digits.haqc"
    shutil.copytree(compiled.folder, folder)
    path = folder / ".state" / "sensitivity.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    rows[0][0] = -1.0
    path.write_text(json.dumps(rows), encoding="utf-8")
    outcome = haqc.compile_digits(folder, "--resume", "--quiet")
    assert outcome.sentence(2).endswith("sensitivity.json' is damaged; start again with --force")


def test_an_archive_whose_header_never_ends(haqc: CommandLine, tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros((50, 1, 8, 8), np.float32))
    broken = stream.getvalue().replace(b"(50, 1, 8, 8)", b"(50, 1, 8, 8 ", 1)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", broken)
    words = (*PLAIN, "--data", tmp_path / "d.npz", "--out", tmp_path / "out", "--quiet")
    said = haqc("compile", saved(tiny(), tmp_path), *words).sentence(2)
    assert "member 'x.npy' cannot be read" in said


@pytest.mark.parametrize("words", [("verify",), ("report",), ("inspect",), ("cost", "--target", "edge")])
def test_a_path_that_no_file_can_have(words: tuple[str, ...], haqc: CommandLine) -> None:
    said = haqc(words[0], "a" * 5000, *words[1:]).sentence(2)
    assert said.startswith("'aaa")


def test_a_policy_whose_path_no_file_can_have(haqc: CommandLine, tmp_path: Path) -> None:
    words = ("--target", "edge", "--policy", "b" * 300)
    assert haqc("cost", saved(tiny(), tmp_path), *words).sentence(2).startswith("'bbb")


@pytest.mark.parametrize("name", ["a\rb", "a\x1b[2Jb"])
def test_a_name_steers_no_terminal_through_csv(name: str, haqc: CommandLine, tmp_path: Path) -> None:
    model = tiny()
    model.graph.node[0].name = name
    outcome = haqc("cost", saved(model, tmp_path), "--target", "edge", "--format", "csv")
    assert outcome.code == 0
    assert not set("\r\x1b") & set(outcome.out)
    assert "a\\u00" in outcome.out


def test_external_data_behind_a_folder_that_is_not_there(haqc: CommandLine, tmp_path: Path) -> None:
    model = tiny()
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "K")
    (tmp_path / "weights.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="nowhere/../weights.bin")
    assert "is not beside 'in.onnx'; copy it there" in haqc("inspect", saved(model, tmp_path)).sentence(2)


@pytest.mark.usefixtures("jobs")
def test_an_output_as_long_as_a_run(haqc: CommandLine, tmp_path: Path) -> None:
    text = """(float[N, 8] x) => (float[N, M] y) {
        a = MatMul(x, W) b = Transpose<perm = [1, 0]>(a) y = MatMul(a, b)
    }"""
    model = small_model(text, {"W": draw(8, 4)}, ir_version=10)
    outcome = haqc("compile", saved(model, tmp_path), *PLAIN, "--out", tmp_path / "out", "--quiet")
    assert "of shape [250] in one run and of [6] in another" in outcome.sentence(2)


@pytest.mark.usefixtures("jobs")
def test_values_too_small_for_a_histogram(haqc: CommandLine, tmp_path: Path) -> None:
    model = tiny()
    for tensor in model.graph.initializer:
        if tensor.name == "K":
            tensor.raw_data = np.full((3, 1, 3, 3), 1e-44, np.float32).tobytes()
    outcome = haqc("compile", saved(model, tmp_path), *PLAIN, "--out", tmp_path / "out", "--quiet", "--jobs", "1")
    assert outcome.code in (0, 2)
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("command", [("inspect",), ("cost", "--target", "edge")])
def test_a_tensor_of_a_million_dimensions(command: tuple[str, ...], haqc: CommandLine, tmp_path: Path) -> None:
    text = """(float[N, 1, 8, 8] x) => (float y) {
        s = Shape(x) t = Tile(s, million) c = Conv(x, K) e = Expand(c, t) y = Relu(e)
    }"""
    model = small_model(text, {"K": draw(3, 1, 3, 3), "million": [250_000]}, ir_version=10)
    outcome = haqc(*command, saved(model, tmp_path))
    assert "tensor 'e' has 1,000,000 dimensions; allowed are 64" in outcome.out + outcome.err


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    "nodes",
    [
        "r = Reshape(c, nine) y = Gemm(r, W, b)",
        "z = Flatten(c) d = Add(z, rows) y = Gemm(d, W, b)",
    ],
)
def test_what_cannot_run_is_refused_in_the_words_of_the_runtime(nodes: str, haqc: CommandLine, tmp_path: Path) -> None:
    text = f"(float[N, 1, 8, 8] x) => (float[N, 4] y) {{ c = Conv(x, K) {nodes} }}"
    constants = {"K": draw(3, 1, 3, 3), "W": draw(108, 4), "b": draw(4), "nine": [9, 108], "rows": draw(8, 108)}
    model = small_model(text, {name: value for name, value in constants.items() if name in nodes or name in text})
    outcome = haqc("compile", saved(model, tmp_path), *PLAIN, "--out", tmp_path / "out", "--quiet", "--jobs", "1")
    assert "onnxruntime" in outcome.sentence(2)


def test_whole_graph_inference_is_not_asked_what_it_cannot_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It takes a process of its own."""
    text = "(float[N, 4] x) => (float[N, 4] y) { a = RegexFullMatch(x) b = Neg(a) c = Neg(b) y = Add(x, c) }"
    monkeypatch.setattr(OnnxProcess, "ask", lambda *_, **__: pytest.fail("asked"))
    with contextlib.suppress(ModelError):
        pose(saved(small_model(text, {}, ir_version=10), tmp_path))


BODY = "s = own.Mystery (x) m = RegexFullMatch (s) r = Cast <to = 1> (m)"
CRASHING = {  # ONNX's inference of graphs and bodies takes for granted that the type of s is known
    "a batch that is frozen": f"(float[1,4] x) => (float[1,4] r) {{ {BODY} }}",
    "a loop behind it": f"""(float[N,4] x) => (float y) {{
        {BODY} y = Loop (three, , r) <body = g (int64 i, bool c, float a) => (bool d, float b) {{
            d = Identity (c) b = Relu (a) }}>
    }}""",
    "inside a branch": f"""(float[N,4] x, bool up) => (float y) {{
        y = If (up) <then_branch = g () => (float r) {{ {BODY} }}, else_branch = h () => (float z) {{ z = Neg (x) }}>
    }}""",
}


@pytest.mark.parametrize("name", CRASHING)
def test_a_graph_that_crashes_shape_inference(
    name: str, haqc: CommandLine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    header = '<ir_version: 10, opset_import: ["": 21, "own": 1]> small '
    model = onnx.parser.parse_model(header + CRASHING[name])
    model.graph.initializer.append(numpy_helper.from_array(np.int64(3), "three"))
    where = "'y' (If)" if name == "inside a branch" else "(RegexFullMatch)"
    said = haqc("cost", saved(model, tmp_path), "--target", "edge").sentence(2)
    assert "ONNX's shape inference crashes on node" in said
    assert f"{where}; look at what is read there, and export the model again" in said
    assert capfd.readouterr() == ("", "")  # the process that crashes says nothing
    inspected = haqc("inspect", saved(model, tmp_path))
    assert inspected.code == 0
    told = " ".join(inspected.out.split())
    assert "ONNX's shape inference crashes on node" in told
    assert "node '' (" not in told


@pytest.mark.parametrize("name", ["K", "b"])
def test_a_tensor_with_more_numbers_than_its_shape(name: str, haqc: CommandLine, tmp_path: Path) -> None:
    model = tiny()
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    numbers = numpy_helper.to_array(tensor).reshape(-1)
    tensor.ClearField("raw_data")
    tensor.float_data.extend(numbers.tolist())
    assert haqc("inspect", saved(model, tmp_path)).code == 0
    tensor.float_data.append(1.0)
    assert f"holds {len(numbers) + 1} numbers where its shape needs {len(numbers)}" in (
        haqc("inspect", saved(model, tmp_path)).sentence(2)
    )


@pytest.mark.parametrize("codes", [(), (4, 3)])
def test_codes_and_a_zero_point_that_do_not_fit(codes: tuple[int, ...], haqc: CommandLine, tmp_path: Path) -> None:
    text = "(float[N, 3] x) => (float[N, 3] y) { d = DequantizeLinear<axis = 0>(q, s, z) y = Add(x, d) }"
    constants = {
        "q": np.zeros(codes, np.int8), "s": np.ones(3, np.float32), "z": np.zeros(3, np.int8)
    }  # fmt: skip
    outcome = haqc("cost", saved(small_model(text, constants, ir_version=10), tmp_path), "--target", "edge")
    assert "a scale or zero point of shape [3]; allowed is one for all" in outcome.sentence(2)


def test_constants_that_their_node_does_not_take(haqc: CommandLine, tmp_path: Path) -> None:
    text = "(float[N, 300] x) => (float[N, 300] y) { p = Pad(big, three) q = Identity(p) y = Add(x, q) }"
    constants = {"big": np.zeros((300, 300), np.float32), "three": np.zeros(3, np.int64)}
    model = small_model(text, constants, ir_version=10)
    model.graph.value_info.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, [300, 300]))
    outcome = haqc("cost", saved(model, tmp_path), "--target", "edge")
    assert outcome.code in (0, 2)
    assert "Traceback" not in outcome.err
