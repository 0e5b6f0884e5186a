"""Every bad file is refused with one sentence, before anything it says is believed; good ones come back whole."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import AttributeProto, ModelProto, SparseTensorProto, TensorProto, helper, numpy_helper

from haqc import onnxfile
from haqc.errors import ModelError
from tests.small_model import draw, run, small_model


def good(opset: int = 17) -> ModelProto:
    return small_model(
        "(float[n,3,4,4] x) => (float[n,3,4,4] y) { [c] a = Conv (x, w) [r] y = Relu (a) }",
        {"w": draw(3, 3, 1, 1)},
        opset,
    )


def external(location: str, offset: object = None, length: object = None, dims: tuple[int, ...] = ()) -> ModelProto:
    """The good model with its weights in a file of their own."""
    model = good()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    if dims:
        tensor.ClearField("dims")
        tensor.dims.extend(dims)
    return model


@pytest.fixture
def save(tmp_path: Path) -> Callable[[ModelProto | bytes], Path]:
    def write(content: ModelProto | bytes) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return path

    return write


def refusal(path: Path) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(ModelError) as caught:
        onnxfile.read(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text[0].islower() or text[0] == "'"
    assert not text.endswith(".")
    assert len(text) < 600
    return text


def test_a_model_comes_back_as_it_was(save: Callable[..., Path]) -> None:
    before = good()
    after = ir.to_proto(onnxfile.read(save(before)))
    np.testing.assert_array_equal(numpy_helper.to_array(after.graph.initializer[0]), draw(3, 3, 1, 1))
    data = draw(2, 3, 4, 4)
    np.testing.assert_array_equal(run(after, x=data)[0], run(before, x=data)[0])


@pytest.mark.parametrize("name", ["model.json", "model.txt", "model.textproto", "model.onnxtxt", "model"])
def test_the_content_counts_and_not_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(good().SerializeToString())
    assert len(onnxfile.read(path).graph) == 2
    assert len(onnxfile.digest(path)) == 64
    path.write_bytes(b"{ no model")
    assert "is not an ONNX file, or is truncated; export or copy it again" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a text, no model\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(64),
        bytes(200),
        b"\x08\x08",
        b"PK\x03\x04" * 9,
    ],
    ids=["empty", "text", "png", "zeros", "only-a-version", "zip"],
)
def test_what_is_no_onnx_file_is_refused(save: Callable[..., Path], content: bytes) -> None:
    what = "is not an ONNX file, or" if content else "is empty; export or copy it again"
    assert what in refusal(save(content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.onnx").endswith("does not exist; give the path of an .onnx file")
    assert "cannot be read (Is a directory); give the path of an .onnx file" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "dangling" / "model.onnx")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_what_may_not_be_read_is_refused(save: Callable[..., Path]) -> None:
    path = save(good())
    path.chmod(0)
    assert "cannot be read (Permission denied)" in refusal(path)


def test_a_file_cut_anywhere_is_refused(save: Callable[..., Path]) -> None:
    content = good().SerializeToString()
    for end in range(1, len(content)):
        text = refusal(save(content[:end]))
        assert "is not an ONNX file, or" in text or "names no ONNX opset" in text


@pytest.mark.parametrize("opset", [5, 6, 27, 99])
def test_opsets_outside_the_range_are_refused(save: Callable[..., Path], opset: int) -> None:
    model = good()
    model.opset_import[0].version = opset
    assert f"has opset {opset}; haqc takes 7 to 26: export it with one of these" in refusal(save(model))


@pytest.mark.parametrize("opset", [7, 26])
def test_opsets_at_the_ends_of_the_range_are_read(save: Callable[..., Path], opset: int) -> None:
    assert onnxfile.read(save(good(opset))).opset_imports[""] == opset


def test_a_missing_opset_is_refused(save: Callable[..., Path]) -> None:
    model = good()
    del model.opset_import[:]
    assert "names no ONNX opset" in refusal(save(model))


def test_both_spellings_of_the_standard_domain_are_one(save: Callable[..., Path]) -> None:
    model = good()
    model.opset_import[0].domain = "ai.onnx"
    assert dict(onnxfile.read(save(model)).opset_imports) == {"": 17}


def _cycle(model: ModelProto) -> None:
    model.graph.node[0].input[0] = "y"


def _unknown_operator(model: ModelProto) -> None:
    model.graph.node[0].op_type = "Convolve"


def _undeclared_domain(model: ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def _missing_input(model: ModelProto) -> None:
    model.graph.node[0].input.pop()


def _written_twice(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["a"], ["y"], "again"))


def _written_never(model: ModelProto) -> None:
    model.graph.output[0].name = "nothing"


def _untyped_attribute(model: ModelProto) -> None:
    model.graph.node[0].attribute.add().name = "strides"


def _too_few_values(model: ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].float_data.extend([1, 2, 3])


def _no_values(model: ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")


def _huge_without_values(model: ModelProto) -> None:
    _no_values(model)
    model.graph.initializer[0].dims[0] = 1 << 40


def _values_of_another_type(model: ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].int32_data.extend([1] * 9)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cycle, "topologically sorted"),
        (_unknown_operator, "No Op registered for Convolve"),
        (_undeclared_domain, "No opset import for domain 'com.example'"),
        (_missing_input, "input size 1 not in range"),
        (_written_twice, "single static assignment"),
        (_written_never, "'nothing' is not an output of any node"),
        (_untyped_attribute, "Field 'type' of 'attr' is required"),
        (_too_few_values, "too small for the declared shape"),
        (_no_values, "one and only one value field"),
        (_huge_without_values, "one and only one value field"),
        (_values_of_another_type, "should be stored in field 'float_data'"),
    ],
)
def test_an_invalid_graph_is_refused(
    save: Callable[..., Path], damage: Callable[[ModelProto], None], message: str
) -> None:
    model = good()
    damage(model)
    text = refusal(save(model))
    assert message in text
    assert "is not a valid ONNX model" in text
    assert text.endswith("; export it again")


def test_a_model_without_outputs_is_refused(save: Callable[..., Path]) -> None:
    model = good()
    del model.graph.output[:]
    assert "has no output" in refusal(save(model))


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ([4, 3, 1, 1], "holds 36 bytes where its shape needs 48"),
        ([2, 3, 1, 1], "holds 36 bytes where its shape needs 24"),
        ([0, 3, 1, 1], "holds 36 bytes where its shape needs 0"),
        ([-3, -3, 1, 1], "has a negative dimension"),
        ([1 << 62] * 4, f"holds 36 bytes where its shape needs {4 * (1 << 62) ** 4}"),
        ([1] * 65, "has 65 dimensions; allowed are 64"),
        ([1 << 62] * 1_000_000, "has 1000000 dimensions; allowed are 64"),
    ],
    ids=["too-few", "too-many", "none", "negative", "huge", "65-axes", "a-million-axes"],
)
def test_a_shape_that_its_bytes_do_not_fill_is_refused(
    save: Callable[..., Path], dims: list[int], message: str
) -> None:
    model = good()
    model.graph.initializer[0].ClearField("dims")
    model.graph.initializer[0].dims.extend(dims)
    text = refusal(save(model))
    assert message in text
    assert text.startswith("tensor 'w' of '")


@pytest.mark.parametrize("place", ["input", "output", "value_info"])
def test_a_value_of_far_too_many_dimensions_is_refused(save: Callable[..., Path], place: str) -> None:
    model = good()
    if place == "value_info":
        model.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, []))
    value = getattr(model.graph, place)[0]
    value.type.tensor_type.shape.ClearField("dim")
    for _ in range(100_000):
        value.type.tensor_type.shape.dim.add().dim_value = 2
    assert f"tensor '{value.name}' of " in refusal(save(model))


@pytest.mark.parametrize("data_type", [0, 4242])
def test_an_unknown_data_type_is_refused(save: Callable[..., Path], data_type: int) -> None:
    model = good()
    model.graph.initializer[0].data_type = data_type
    assert f"has data type {data_type}, which has no known size" in refusal(save(model))


@pytest.mark.parametrize(("count", "stored"), [(9, 5), (8, 4), (1, 1)])
def test_four_bit_values_are_packed_in_whole_bytes(save: Callable[..., Path], count: int, stored: int) -> None:
    model = good(21)
    tensor = TensorProto(name="k", data_type=TensorProto.INT4, dims=[count], raw_data=bytes(stored))
    model.graph.initializer.append(tensor)
    model.ir_version = 10
    onnxfile.read(save(model))
    tensor.raw_data += b"\0"
    model.graph.initializer[1].CopyFrom(tensor)
    assert f"holds {stored + 1} bytes where its shape needs {stored}" in refusal(save(model))


def test_text_in_a_model_is_no_mistake(save: Callable[..., Path]) -> None:
    model = good()
    model.graph.initializer.append(helper.make_tensor("labels", TensorProto.STRING, [2], [b"cat", b"dog"]))
    assert "labels" in onnxfile.read(save(model)).graph.initializers


def test_a_name_with_a_line_break_makes_no_second_line(save: Callable[..., Path]) -> None:
    model = good()
    model.graph.initializer[0].name = model.graph.node[0].input[1] = "w\nTraceback"
    model.graph.initializer[0].dims[0] = -3
    assert r"tensor 'w\nTraceback' of" in refusal(save(model))


def test_bytes_changed_at_random_are_read_or_refused(save: Callable[..., Path]) -> None:
    content = good().SerializeToString()
    random = np.random.default_rng(20181121)
    refused = 0
    for _ in range(400):
        changed = bytearray(content)
        for place in random.integers(len(changed), size=random.integers(1, 4)):
            changed[place] = random.integers(256)
        try:
            onnxfile.read(save(bytes(changed)))
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 100 < refused < 400


# External data: weights of 36 bytes in a file beside the model.


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    for path in (folder / "w.bin", folder / "sub" / "w.bin", tmp_path / "outside.bin"):
        path.write_bytes(draw(3, 3, 1, 1).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    (folder / "loop.bin").symlink_to("loop.bin")
    os.mkfifo(folder / "pipe")
    return folder / "model.onnx"


@pytest.mark.parametrize(
    ("location", "offset", "length"), [("w.bin", None, None), ("sub/w.bin", 0, 36), ("./w.bin", None, 36)]
)
def test_external_data_in_the_folder_are_read(
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    location: str,
    offset: int | None,
    length: int | None,
) -> None:
    weights.write_bytes(external(location, offset, length).SerializeToString())
    monkeypatch.chdir(tmp_path)  # data are looked for beside the model, wherever the command runs
    for path in (weights, weights.relative_to(tmp_path)):
        model = onnxfile.read(path)
        value = model.graph.initializers["w"].const_value
        assert value is not None
        np.testing.assert_array_equal(value.numpy(), draw(3, 3, 1, 1))
        assert onnxfile.digest(path) == onnxfile.digest(weights)


@pytest.mark.parametrize(
    "location",
    ["../outside.bin", "link.bin", "/etc/hostname", "sub/../../outside.bin", "w.bin/../../outside.bin", ".."],
)
def test_external_data_outside_the_folder_are_refused(weights: Path, location: str) -> None:
    weights.write_bytes(external(location).SerializeToString())
    text = refusal(weights)
    assert f"points outside the folder of 'model.onnx' (to '{location}'); keep them in one folder" in text


def test_an_absolute_path_into_the_folder_is_refused_too(weights: Path) -> None:
    weights.write_bytes(external(str(weights.parent / "w.bin")).SerializeToString())
    assert "points outside the folder" in refusal(weights)


@pytest.mark.parametrize("location", ["absent.bin", "loop.bin", "pipe", "sub", ".", "W.BIN.", r"sub\w.bin"])
def test_external_data_that_are_no_file_are_refused(weights: Path, location: str) -> None:
    weights.write_bytes(external(location).SerializeToString())
    assert "is missing: " in refusal(weights)
    assert refusal(weights).endswith("is not beside 'model.onnx'; copy it there")


@pytest.mark.parametrize("location", ["w\0.bin", "x" * 5000])
def test_names_that_no_file_can_have_are_refused(weights: Path, location: str) -> None:
    weights.write_bytes(external(location).SerializeToString())
    assert "whose name is not allowed" in refusal(weights)


def test_external_data_without_a_place_are_refused(weights: Path) -> None:
    weights.write_bytes(external("").SerializeToString())
    assert "points outside the folder" in refusal(weights)


@pytest.mark.parametrize(
    ("offset", "length", "message"),
    [
        (4, None, "needs 36 bytes at 4 of 'w.bin', which are not there"),
        (-4, None, "needs 36 bytes at -4"),
        (0, 35, "needs 36 bytes at 0"),
        (0, -1, "needs 36 bytes at 0"),
        (1 << 70, None, f"needs 36 bytes at {1 << 70}"),
        ("9" * 5000, None, "offset or length that is no number"),
        ("1.5", None, "offset or length that is no number"),
        (0, "many", "offset or length that is no number"),
    ],
)
def test_external_data_that_are_too_short_are_refused(
    weights: Path, offset: object, length: object, message: str
) -> None:
    weights.write_bytes(external("w.bin", offset, length).SerializeToString())
    assert message in refusal(weights)


def test_huge_external_tensors_take_no_memory(weights: Path) -> None:
    weights.write_bytes(external("w.bin", dims=(1 << 20, 1 << 20, 1, 1)).SerializeToString())
    tracemalloc.start()
    try:
        assert f"needs {4 << 40} bytes at 0" in refusal(weights)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 22


def _in_attribute(model: ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["k"])
    node.attribute.add(name="value", type=AttributeProto.TENSOR).t.CopyFrom(tensor)
    model.graph.node.insert(0, node)


def _in_sparse_attribute(model: ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["k"])
    sparse = SparseTensorProto(values=tensor, dims=[9])
    node.attribute.add(name="sparse_value", type=AttributeProto.SPARSE_TENSOR).sparse_tensor.CopyFrom(sparse)
    model.graph.node.insert(0, node)


def _in_branch(model: ModelProto, tensor: TensorProto) -> None:
    output = helper.make_tensor_value_info("o", TensorProto.FLOAT, [3, 3, 1, 1])
    branch = helper.make_graph([helper.make_node("Identity", ["t"], ["o"])], "branch", [], [output], [tensor])
    branch.initializer[0].name = "t"
    node = helper.make_node("If", ["c"], ["k"], then_branch=branch, else_branch=branch)
    model.graph.initializer.append(helper.make_tensor("c", TensorProto.BOOL, [], [True]))
    model.graph.node.insert(0, node)


def _in_function(model: ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["k"])
    node.attribute.add(name="value", type=AttributeProto.TENSOR).t.CopyFrom(tensor)
    function = helper.make_function("own", "f", [], ["k"], [node], [helper.make_opsetid("", 17)])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))


@pytest.mark.parametrize("hide", [_in_attribute, _in_sparse_attribute, _in_branch, _in_function])
def test_external_data_are_found_wherever_they_hide(
    weights: Path, hide: Callable[[ModelProto, TensorProto], None]
) -> None:
    model = good()
    hide(model, external("../outside.bin").graph.initializer[0])
    weights.write_bytes(model.SerializeToString())
    assert "points outside the folder of 'model.onnx' (to '../outside.bin')" in refusal(weights)


@pytest.mark.parametrize("place", ["initialiser", "attribute", "branch"])
def test_sparse_tensors_are_refused(place: str, weights: Path) -> None:
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 5])
    sparse = helper.make_sparse_tensor(values, indices, [9])
    model = good()
    if place == "initialiser":
        del model.graph.initializer[:]
        model.graph.sparse_initializer.append(sparse)
    else:
        node = helper.make_node("Constant", [], ["k"], sparse_value=sparse)
        if place == "branch":
            output = helper.make_tensor_value_info("k", TensorProto.FLOAT, [9])
            branch = helper.make_graph([node], "branch", [], [output])
            node = helper.make_node("If", ["c"], ["o"], then_branch=branch, else_branch=branch)
            model.graph.initializer.append(helper.make_tensor("c", TensorProto.BOOL, [], [True]))
        model.graph.node.insert(0, node)
    weights.write_bytes(model.SerializeToString())
    assert "is stored as a sparse tensor; export it as a dense one" in refusal(weights)


# Digests, bytes, annotations.


def test_the_digest_covers_the_external_data(weights: Path) -> None:
    weights.write_bytes(external("w.bin").SerializeToString())
    before = onnxfile.digest(weights)
    assert before == onnxfile.digest(weights)
    (weights.parent / "w.bin").write_bytes(bytes(36))
    after = onnxfile.digest(weights)
    weights.write_bytes(good().SerializeToString())
    assert len({before, after, onnxfile.digest(weights)}) == 3


def test_equal_models_give_equal_bytes() -> None:
    first, second = (ir.from_proto(good()) for _ in range(2))
    first.metadata_props.update({"b": "2", "a": "1"})
    second.metadata_props.update({"a": "1", "b": "2"})
    assert onnxfile.serialise(first) == onnxfile.serialise(second)
    onnx.checker.check_model(onnx.load_from_string(onnxfile.serialise(first)))


def test_annotations_come_back() -> None:
    model = ir.from_proto(good())
    assert onnxfile.read_annotations(model) is None
    model.metadata_props[onnxfile.METADATA_KEY] = json.dumps({"schema": 1, "layers": []})
    assert onnxfile.read_annotations(model) == {"schema": 1, "layers": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "metadata is not JSON; it was edited"),
        ("", "metadata is not JSON; it was edited"),
        ("[" * 200_000, "metadata is not JSON; it was edited"),
        ("[1]", "metadata is no JSON object; it was edited"),
        ("null", "metadata is no JSON object; it was edited"),
    ],
    ids=["cut", "empty", "deep", "list", "null"],
)
def test_annotations_that_were_edited_are_refused(text: str, message: str) -> None:
    model = ir.from_proto(good())
    model.metadata_props[onnxfile.METADATA_KEY] = text
    with pytest.raises(ModelError, match=message):
        onnxfile.read_annotations(model)
