"""What parse knows of ONNX operators, by what they do to values."""

from __future__ import annotations

from haqc.graph import RECURRENT

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
PRODUCTS = frozenset({"Gemm", "MatMul"})

COMPUTE = CONVOLUTIONS | PRODUCTS | RECURRENT
"""Operators that are layers."""

UNMODELLED = frozenset(
    {"Einsum", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DeformConv", "Attention", "STFT",
     "DFT", "MelWeightMatrix", "CausalConvWithState", "LinearAttention", "Det"}
)  # fmt: skip
"""Operators that multiply and accumulate, for which there is no cost model."""

RESHAPING = frozenset({"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
"""Operators that only rename or reorder values: quantisers and memory see through them."""

JOINING = frozenset({"Add", "Concat"})
POOLING = frozenset(
    {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "GlobalLpPool", "ReduceMean"}
)
"""Operators whose inputs are quantised at 8 bits when no layer reads them."""

FUSED_ACTIVATIONS = frozenset(
    {"Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh",
     "Softplus", "Softsign", "Gelu", "Mish", "ThresholdedRelu"}
)  # fmt: skip
"""Unary operators that hardware applies while a layer's result is written."""

NONNEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Abs", "Exp", "Sqrt"})
KEEPS_SIGN = RESHAPING | JOINING | POOLING

SOFTMAXES = frozenset({"Softmax", "LogSoftmax", "Hardmax"})

PASSING = RESHAPING | {"Add", "Sub", "Mul", "Div", "Where", "Cast", "Max", "Min", "Clip", "Concat", "Neg", "Slice"}
"""Operators through which scores on their way into a Softmax are followed back."""

ELEMENTWISE = FUSED_ACTIVATIONS | {"Add", "Sub", "Mul", "Div", "Concat", "Cast", "BatchNormalization", "Dropout"}
"""Operators that leave the channels of an image where they are."""
