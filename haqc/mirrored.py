"""The operators that the mirror knows, by name, so that torch need not be loaded to know them.

``python -m tests.mirrored`` rewrites this file; a test compares it with the mirror.
"""

from __future__ import annotations

_NAMES = {
    "": (
        "Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool "
        "BatchNormalization BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike "
        "Ceil Celu CenterCropPad Clip Col2Im Compress Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh "
        "CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div Dropout Einsum Elu Equal Erf Exp Expand "
        "EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool "
        "GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid "
        "HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less "
        "LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool MaxRoiPool MaxUnpool Mean "
        "MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Neg NegativeLogLikelihoodLoss NonMaxSuppression "
        "NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 "
        "ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu "
        "Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT Scan ScatterElements ScatterND Selu Shape "
        "Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split "
        "Sqrt Squeeze Sub Sum Swish Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze "
        "Where Xor"
    ),
    "com.microsoft": (
        "BiasGelu FastGelu FusedMatMul Gelu QuickGelu SkipLayerNormalization SkipSimplifiedLayerNormalization"
    ),
}

MIRRORED = frozenset((domain, name) for domain, names in _NAMES.items() for name in names.split())
"""Operators that can be run, and trained, in torch, as (domain, name); some lack a form, which a compile then names."""
