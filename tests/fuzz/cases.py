"""Makes cases: which file is mutated, how, and which commands read it."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from haqc import targets
from tests.fuzz.bytes import mutate_bytes, mutate_text
from tests.fuzz.case import SECRET, Case
from tests.fuzz.compiled import compiled
from tests.fuzz.evil import NAMES
from tests.fuzz.model import mutate_model
from tests.fuzz.seeds import Seed, networks, operators, small, tiny

COMPILE = (
    "--budget",
    "energy=0.9",
    "--finetune",
    "0",
    "--reconstruct",
    "16",
    "--evaluations",
    "1",
    "--jobs",
    "1",
    "--no-default-pins",
    "--out",
    "out",
)
_MODEL_WORDS = (
    *[("inspect", "in.onnx")] * 2,
    ("inspect", "in.onnx", "--json", "--target", "cloud"),
    *[("cost", "in.onnx", "--target", "edge")] * 3,
    ("cost", "in.onnx", "--compare", "t4,cortex-m4", "--format", "json"),
    ("cost", "in.onnx", "--target", "bitfusion", "--format", "csv", "--bits", "4/8"),
    ("verify", "in.onnx"),
)
_BUILT_IN = targets.names()


def make(seed: int, index: int, kinds: tuple[str, ...] = ()) -> Case:
    """Makes the case of a seed and an index: a kind by turns, weighted by how much there is to go wrong."""
    rng = random.Random(f"{seed}/{index}")
    kind = rng.choice(kinds or _WEIGHTED)
    return KINDS[kind](rng)


def model(rng: random.Random) -> Case:
    """Mutates a model and inspects, prices or verifies it."""
    seed = rng.choice(rng.choice((small, small, networks, networks, networks, operators))())
    data, done = _mutated_model(rng, seed)
    words = rng.choice(_MODEL_WORDS)
    if rng.random() < 0.1:
        words = (*words, "--shape", rng.choice(("x=1,8,8", "i=7,1", "x=1,1,8,8", *NAMES)))
    elif rng.random() < 0.8:
        words = (*words, *seed.shapes)
    return Case("model", words, _model_files(seed, data), (seed.name, *done))


def training(rng: random.Random) -> Case:
    """Mutates a small model and compiles it."""
    seed = rng.choice(rng.choice((small, small, small, operators))())
    data, done = _mutated_model(rng, seed)
    words = ("compile", "in.onnx", "--target", "edge", *COMPILE, *seed.shapes)
    return Case("training", words, _model_files(seed, data), (seed.name, *done))


def target(rng: random.Random) -> Case:
    """Mutates a target file."""
    names = rng.sample(_BUILT_IN, 2)
    data, other = (targets.load(name).text.encode() for name in names)
    data, done = _several(rng, mutate_text, data, other)
    measured = _MEASURED if rng.random() < 0.5 else _several(rng, mutate_text, _MEASURED, data)[0]
    words = rng.choice(
        [
            *[("targets", "check", "t.toml")] * 3,
            ("targets", "show", "t.toml"),
            *[("cost", "in.onnx", "--target", "t.toml")] * 2,
            ("targets", "new", "--from", "t.toml", "out/new.toml"),
            ("targets", "calibrate", "t.toml", "--measurements", "m.csv", "--out", "out/new.toml"),
        ]
    )
    return Case("target", words, {"t.toml": data, "in.onnx": tiny(), "m.csv": measured, "out/x": b""}, done)


def policy(rng: random.Random) -> Case:
    """Mutates a policy and prices a model with it."""
    files = compiled()
    data, done = _several(rng, mutate_text, files["policy.json"], files["report.json"])
    words = ("cost", "in.onnx", "--target", "edge", "--policy", "p.json")
    return Case("policy", words, {"p.json": data, "in.onnx": tiny()}, done)


def folder(rng: random.Random) -> Case:
    """Mutates one file of a compiled folder and reads the folder again."""
    files = dict(compiled())
    done: tuple[str, ...] = ()
    for name in rng.sample(sorted(files), rng.choice((1, 1, 2))):
        if rng.random() < 0.1:
            del files[name]
            done += (f"without {name}",)
            continue
        is_text = name.endswith((".json", ".jsonl", ".csv", ".toml"))
        mutate = mutate_text if is_text else mutate_bytes
        data, what = _several(rng, mutate, files[name], rng.choice(list(files.values())))
        if name.endswith(".onnx") and rng.random() < 0.7:
            data, what = _structured(rng, files[name])
        files[name] = data
        done += (f"{name}: {', '.join(what)}",)
    words = rng.choice(
        [
            *[("report", "out")] * 2,
            ("report", "out", "--json"),
            *[("verify", "out")] * 2,
            ("verify", "out/model.onnx"),
            ("cost", "out/model.onnx", "--target", "edge", "--policy", "out/policy.json"),
            ("compile", "in.onnx", "--target", "edge", *COMPILE, "--resume"),
            ("compile", "in.onnx", "--target", "edge", *COMPILE, "--force"),
        ]
    )
    return Case("folder", words, {"in.onnx": tiny()} | {f"out/{name}": data for name, data in files.items()}, done)


def data(rng: random.Random) -> Case:
    """Mutates an archive of arrays, or a description of data, and begins to compile with it."""
    files: dict[str, bytes | int] = {"in.onnx": tiny()}
    action = rng.random()
    if action < 0.3:
        files["d.npz"], source, done = archive(rng), "d.npz", ("archive",)
    elif action < 0.6:
        content, done = _several(rng, mutate_bytes, archive(rng), archive(rng))
        files["d.npz"], source = content, "d.npz"
    else:
        content, done = _several(rng, mutate_text, _DESCRIPTION, targets.load("edge").text.encode())
        files["d.npz"], source = archive(rng), rng.choice(("in.data.toml", "d.toml"))
        files[source] = content
    given = () if source == "in.data.toml" else ("--data", source)
    return Case("data", ("compile", "in.onnx", "--target", "edge", *COMPILE, *given), files, done)


def line(rng: random.Random) -> Case:
    """Puts odd words on the command line."""
    word = rng.choice((*NAMES, "1", "8/8", "9/9", "energy=0", "latency=1ms", "energy=-1", "x=1", "edge", "in.onnx"))
    word = rng.choice((word, f"energy={word}", f"x={word}", f"{word}=1,2"))
    options = ("--budget", "--target", "--shape", "--bits", "--pin", "--data", "--mode", "--batch", "--compare")
    option = rng.choice((*options, "--policy", "--seed", "--format"))
    if option == "--data" and (":" in word or SECRET in word):
        word = "d.npz"  # what is named on the command line may be called, or read
    start = rng.choice(
        (
            ("cost", "in.onnx", "--target", "edge"),
            ("inspect", "in.onnx"),
            ("compile", "in.onnx", "-t", "edge", *COMPILE),
        )
    )
    words = (rng.choice(("verify", "report", "targets")), word) if rng.random() < 0.1 else (*start, option, word)
    return Case("line", tuple(text.replace("\0", "") for text in words), {"in.onnx": tiny()}, (option,))


KINDS: Mapping[str, Callable[[random.Random], Case]] = {
    function.__name__: function for function in (model, training, target, policy, folder, data, line)
}
_WEIGHTED = (*["model"] * 12, *["training"] * 2, *["target"] * 3, "policy", *["folder"] * 2, "data", "line")


def _mutated_model(rng: random.Random, seed: Seed) -> tuple[bytes, tuple[str, ...]]:
    if rng.random() < 0.1:
        return _several(rng, mutate_bytes, seed.data, rng.choice(networks()).data)
    return _structured(rng, seed.data)


def _structured(rng: random.Random, given: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Mutates a model, mostly until ONNX's checker has no objection: what it refuses does not come far."""
    data, done = given, ()
    tries = rng.choice((1, 8, 8))
    for _ in range(tries):
        proto = onnx.load_from_string(given)
        done = mutate_model(rng, proto, rng.choice((1, 1, 1, 2, 2, 3, 5)))
        try:
            data = bytes(proto.SerializeToString())
            if tries > 1:
                onnx.checker.check_model(data)
        except onnx.checker.ValidationError as error:
            if "should be stored in" in str(error):  # external data, which are not here
                break
            continue
        except RuntimeError:  # the checker looks for external data in a file whose name no file can have
            break
        except (ValueError, DecodeError):  # protobuf does not write it
            continue
        break
    return data, done


def _several(
    rng: random.Random, mutate: Callable[[random.Random, bytes, bytes], tuple[bytes, str]], given: bytes, other: bytes
) -> tuple[bytes, tuple[str, ...]]:
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        given, what = mutate(rng, given, other)
        done.append(what)
    return given, tuple(done)


def _model_files(seed: Seed, data: bytes) -> dict[str, bytes | int]:
    return {"in.onnx": data, "weights.bin": 1 << 20, **dict(seed.files)}


def archive(rng: random.Random) -> bytes:
    """Gives an archive of arrays for the tiny network: a good one, or one that is odd in some way."""
    count = rng.choice((0, 1, 50, 50, 50, 50))
    arrays: dict[str, np.ndarray] = {"x": np.zeros((count, 1, 8, 8), np.float32), "y": np.arange(count) % 4}
    if rng.random() < 0.6:
        del arrays["y"]  # what follows then goes by agreement
    odd = rng.choice(("", "", "", "", "", "", "object", "nan", "labels", "shape", "type", "names", "scalar"))
    if odd == "object":
        arrays["y"] = np.array([{"a": 1}] * count, dtype=object)
    elif odd == "nan":
        arrays["x"] = np.full_like(arrays["x"], np.nan)
    elif odd == "labels":
        arrays["y"] = np.arange(count) * rng.choice((-1, 10**9, 2**40)) + rng.choice((0, 5))
    elif odd == "shape":
        arrays["x"] = arrays["x"].reshape(rng.choice(((count, 64), (count * 64,), (1, count, 8, 8))))
    elif odd == "type":
        arrays["x"] = arrays["x"].astype(rng.choice(("float16", "complex64", "U3", "datetime64[s]", "bool")))
    elif odd == "names":
        arrays = {rng.choice([name for name in NAMES if name and "\0" not in name])[:100]: arrays["x"]}
    elif odd == "scalar":
        arrays["y"] = np.array(3)
    stream = io.BytesIO()
    np.savez(stream, **{name.lstrip("/") or "a": array for name, array in arrays.items()})  # type: ignore[arg-type]
    return stream.getvalue()


_MEASURED = b"""model,latency_s,layer,weight_bits,activation_bits,batch,energy_j
in.onnx,0.001,,8,8,1,0.002
in.onnx,0.0006,,4,4,1,0.001
in.onnx,0.002,,8,8,4,
"""
_DESCRIPTION = b"""# What the network was trained on.
format = "npz"
path = "d.npz"
layout = "NCHW"
scale = 0.00390625
mean = [0.5]
std = [0.25]
"""
