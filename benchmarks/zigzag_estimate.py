"""Asks ZigZag what dense layers take on a systolic array: runs in ZigZag's own environment, without haqc.

Reads a JSON object from standard input: ``rows`` and ``columns`` of the array, ``input_bits``, ``weight_bits`` and
``result_bits`` that its buffers hold, ``interface`` bits to DRAM per cycle, and ``layers``, a list of ``{name, out,
channels, kernel, stride}`` where ``out`` is the extent of a square output and ``channels`` are [input, output].
Operands have 8 bits, partial sums 32, results 8. Writes ``{name: cycles}`` to the file that its one argument names:
ZigZag prints.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from zigzag.api import get_hardware_performance_zigzag


def memory(size_bits: int, operands: list[str], ports: list[dict[str, Any]]) -> dict[str, Any]:
    """Describes a memory in front of the whole array; energies do not count here."""
    return {
        "size": size_bits, "r_cost": 1, "w_cost": 1, "area": 0, "latency": 1, "operands": operands,
        "ports": ports, "served_dimensions": ["D1", "D2"],
    }  # fmt: skip


def port(name: str, kind: str, bits: int, *allocation: str) -> dict[str, Any]:
    """Describes a port and what goes through it."""
    width = {"bandwidth_min": 8, "bandwidth_max": bits}
    return {"name": name, "type": kind, **width, "allocation": list(allocation)}


def accelerator(asked: dict[str, Any]) -> dict[str, Any]:
    """Describes the array, its three buffers and the way to DRAM."""
    rows, columns, interface = asked["rows"], asked["columns"], asked["interface"]
    every = [f"{operand}, {way}" for operand in ("I1", "I2") for way in ("fh", "tl")]
    inputs = [port("r_port_1", "read", 8 * rows, "I1, tl"), port("w_port_1", "write", interface, "I1, fh")]
    weights = [port("r_port_1", "read", 8 * rows * columns, "I2, tl"), port("w_port_1", "write", interface, "I2, fh")]
    results = [
        port("r_port_1", "read", 32 * columns, "O, tl"), port("w_port_1", "write", 32 * columns, "O, fl"),
        port("r_port_2", "read", interface, "O, th"), port("w_port_2", "write", interface, "O, fh"),
    ]  # fmt: skip
    return {
        "name": "array",
        "memories": {
            "input_buffer": memory(asked["input_bits"], ["I1"], inputs),
            "weight_buffer": memory(asked["weight_bits"], ["I2"], weights),
            "result_buffer": memory(asked["result_bits"], ["O"], results),
            "dram": memory(
                10**11,
                ["I1", "I2", "O"],
                [port("rw_port_1", "read_write", interface, *every, "O, fh", "O, tl", "O, fl", "O, th")],
            ),
        },
        "operational_array": {
            "unit_energy": 1, "unit_area": 1, "dimensions": ["D1", "D2"], "sizes": [rows, columns],
        },
    }  # fmt: skip


def workload(layer: dict[str, Any]) -> dict[str, Any]:
    """Describes a layer as ZigZag's loops."""
    kernel, stride, (channels_in, channels_out) = layer["kernel"], layer["stride"], layer["channels"]
    return {
        "id": 0, "name": layer["name"], "operator_type": "Conv",
        "equation": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
        "dimension_relations": [f"ix={stride}*ox+1*fx", f"iy={stride}*oy+1*fy"],
        "loop_dims": ["B", "K", "C", "OY", "OX", "FY", "FX"],
        "loop_sizes": [1, channels_out, channels_in, layer["out"], layer["out"], kernel, kernel],
        "operand_precision": {"W": 8, "I": 8, "O": 32, "O_final": 8},
        "operand_source": {"I": 0, "W": 0},
    }  # fmt: skip


def main() -> None:
    """Prices each layer with the fastest mapping that ZigZag finds."""
    asked = json.load(sys.stdin)
    mapping = {
        "name": "default",
        "spatial_mapping": {"D1": [f"C, {asked['rows']}"], "D2": [f"K, {asked['columns']}"]},
        "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
    }
    found = {}
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "array.yaml").write_text(yaml.safe_dump(accelerator(asked), sort_keys=False))
        (folder / "mapping.yaml").write_text(yaml.safe_dump([mapping]))
        for layer in asked["layers"]:
            (folder / "layer.yaml").write_text(yaml.safe_dump([workload(layer)]))
            _, cycles, _ = get_hardware_performance_zigzag(
                workload=str(folder / "layer.yaml"), accelerator=str(folder / "array.yaml"),
                mapping=str(folder / "mapping.yaml"), opt="latency", dump_folder=str(folder / "out"),
                pickle_filename=str(folder / "out.pickle"), loma_show_progress_bar=False, lpf_limit=6,
            )  # fmt: skip
            found[layer["name"]] = float(cycles)
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
