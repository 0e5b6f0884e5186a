"""Gemm, MatMul, Einsum and Det."""

from __future__ import annotations

import torch

from haqc.mirror.node import Function, Node, operator


@operator("Gemm")
def gemm(node: Node) -> Function:
    """Builds ``alpha A' B' + beta C``; C broadcasts to the product."""
    alpha, beta = _factor(node.attribute("alpha", 1.0)), _factor(node.attribute("beta", 1.0))
    turn_a, turn_b = bool(node.attribute("transA", 0)), bool(node.attribute("transB", 0))

    def run(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        a = a.t() if turn_a else a
        b = b.t() if turn_b else b
        if c is not None:
            return torch.addmm(c, a, b, beta=beta, alpha=alpha)
        product = torch.mm(a, b)
        return product if alpha == 1 else product * alpha

    return run


def _factor(value: float) -> float | int:
    """Gives whole factors as integers, which integer products need."""
    return int(value) if float(value).is_integer() else value


@operator("MatMul")
def matmul(node: Node) -> Function:
    """Builds the matrix product; leading axes broadcast as in NumPy."""
    return torch.matmul


@operator("Einsum")
def einsum(node: Node) -> Function:
    """Builds a sum of products in Einstein's notation."""
    equation = node.attribute("equation")
    return lambda *inputs: torch.einsum(equation, *inputs)


@operator("Det")
def determinant(node: Node) -> Function:
    """Builds the determinant of every matrix."""
    det: Function = torch.linalg.det
    return det
