"""The operators that the mirror knows, by name: known here without loading torch, and compared by a test."""

from __future__ import annotations

_NAMES = {
    "": (
        "Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast "
        "CastLike Ceil Celu Clip Concat ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace Div "
        "Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu "
        "Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GroupNormalization "
        "HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LayerNormalization "
        "LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul Max MaxPool Mean "
        "MeanVarianceNormalization Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow RMSNormalization "
        "Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin "
        "ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu Shape "
        "Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum "
        "Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor"
    ),
}

MIRRORED = frozenset((domain, name) for domain, names in _NAMES.items() for name in names.split())
"""Operators that can be run, and trained, in torch, as (domain, name); some lack a form, which a compile then names."""
