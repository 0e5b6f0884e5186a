"""Attention and rotary embedding against onnxruntime (1e-5 of the largest value) and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(
    st.sampled_from([(1, 1), (4, 4), (4, 2), (4, 1)]),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.booleans(),
    st.sampled_from([None, 0.5]),
    st.sampled_from([0.0, 2.0]),
    st.sampled_from(["", "float", "bool", "past"]),
    st.booleans(),
)
def test_attention(compare, draw_numbers, heads, lengths, causal, scale, softcap, extra, flat):
    (many, few), (queries, keys), size = heads, lengths, 6
    mask = past = None
    if extra == "float":
        mask = draw_numbers(queries, keys)
    elif extra == "bool":
        mask = draw_numbers(2, 1, queries, keys) > -0.5
        mask[..., 0] = True  # onnxruntime looks at every key where all are hidden, and the mirror at none
    elif extra == "past":
        keys = queries  # onnxruntime shows a single query all keys of its block, against ONNX; caches have no such
        past = [draw_numbers(2, few, 3, size), draw_numbers(2, few, 3, size)]
    shapes = [(2, many, queries, size), (2, few, keys, size), (2, few, keys, size)]
    if flat:
        shapes = [(batch, length, count * width) for batch, count, length, width in shapes]
    inputs = [draw_numbers(*shape) for shape in shapes] + [mask, *(past or [])]
    while inputs[-1] is None:
        inputs.pop()
    attributes = {"is_causal": int(causal), "softcap": softcap}
    attributes |= {} if scale is None else {"scale": scale}
    attributes |= {"q_num_heads": many, "kv_num_heads": few} if flat else {}
    outputs = 3 if past else 1
    compare("Attention", inputs, attributes, outputs=outputs, opset=23, trace=False)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_scores_of_attention(one, compare, draw, mode):
    inputs = [draw(1, 2, 3, 4), draw(1, 2, 5, 4), draw(1, 2, 5, 4), draw(3, 5)]
    past = [draw(1, 2, 2, 4), draw(1, 2, 2, 4)]
    inputs[3] = draw(3, 7)
    compare("Attention", [*inputs, *past], {"qk_matmul_output_mode": mode}, outputs=4, opset=23)


def test_attention_gradient(check_gradient, draw):
    inputs = [draw(1, 2, 2, 3), draw(1, 1, 3, 3), draw(1, 1, 3, 2), draw(2, 3)]
    check_gradient("Attention", inputs, {"softcap": 3.0})


def test_a_query_that_sees_nothing_gives_zero_and_finite_gradients(one, draw):
    import torch

    x = [draw(1, 1, 2, 3)] * 3
    case = one("Attention", [*x, np.zeros((2, 2), bool)], opset=23)
    tensors = [torch.from_numpy(value).requires_grad_() for value in x]
    y = case.function()(*tensors, torch.zeros(2, 2, dtype=torch.bool))
    assert not y.any()
    y.sum().backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in tensors)


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(st.booleans(), st.sampled_from([0, 4]), st.booleans(), st.booleans())
def test_rotary_embedding(compare, draw_numbers, interleaved, size, flat, with_positions):
    heads, length, width = 2, 3, 8
    x = draw_numbers(2, length, heads * width) if flat else draw_numbers(2, heads, length, width)
    rows = (9,) if with_positions else (2, length)
    angles = draw_numbers(*rows, (size or width) // 2)
    inputs = [x, np.cos(angles), np.sin(angles)]
    inputs += [np.int64([[0, 3, 8], [1, 1, 2]])] if with_positions else []
    attributes = {"interleaved": int(interleaved), "rotary_embedding_dim": size, "num_heads": heads}
    compare("RotaryEmbedding", inputs, attributes, opset=23, trace=False)


def test_rotary_embedding_gradient(check_gradient, draw):
    check_gradient("RotaryEmbedding", [draw(1, 2, 3, 4), draw(1, 3, 2), draw(1, 3, 2)])
