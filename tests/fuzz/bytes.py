"""Mutations of bytes and of text, which know nothing of what they mean."""

from __future__ import annotations

import random

from tests.fuzz.evil import NAMES, NUMBERS

TOKENS = tuple(
    text.encode() for text in (*map(str, NUMBERS), "nan", "inf", "-inf", "1e999", "null", "true", "[]", "{}", '""', "=")
)


def mutate_bytes(rng: random.Random, data: bytes, other: bytes) -> tuple[bytes, str]:
    """Changes bytes in one place or a few; gives them and what was done."""
    action = rng.choice(("flip", "flip", "flip", "cut", "drop", "repeat", "insert", "splice", "zero"))
    start = rng.randrange(len(data) + 1)
    length = min(len(data) - start, rng.choice((1, 2, 4, 16, 256, 4096)))
    if action == "flip":
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            if changed:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed), "flip bits"
    if action == "cut":
        return data[:start], f"cut at {start}"
    if action == "drop":
        return data[:start] + data[start + length :], f"drop {length} bytes at {start}"
    if action == "repeat":
        return data[: start + length] + data[start:], f"repeat {length} bytes at {start}"
    if action == "insert":
        return data[:start] + rng.randbytes(length) + data[start:], f"insert {length} bytes at {start}"
    if action == "zero":
        return data[:start] + rng.choice((b"\0", b"\xff")) * length + data[start + length :], f"fill at {start}"
    there = rng.randrange(len(other) + 1)
    return data[:start] + other[there : there + 4096] + data[start:], f"splice at {start}"


def mutate_text(rng: random.Random, data: bytes, other: bytes) -> tuple[bytes, str]:
    """Changes lines or tokens of a text; gives it and what was done."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    action = rng.choice(("token", "token", "token", "number", "drop", "repeat", "swap", "splice", "bytes", "name"))
    if action == "bytes":
        return mutate_bytes(rng, data, other)
    if action == "drop":
        del lines[place]
    elif action == "repeat":
        lines[place:place] = [lines[place]] * rng.choice((1, 2, 1000))
    elif action == "swap":
        there = rng.randrange(len(lines))
        lines[place], lines[there] = lines[there], lines[place]
    elif action == "splice":
        lines[place:place] = other.split(b"\n")[:20]
    else:
        lines[place] = _reworded(rng, lines[place], action)
    return b"\n".join(lines), f"{action} in line {place}"


def _reworded(rng: random.Random, line: bytes, action: str) -> bytes:
    """Replaces one word of a line."""
    separators = b" =,:[]{}\"'/"
    starts = [i for i in range(len(line)) if line[i] not in separators and (i == 0 or line[i - 1] in separators)]
    if not starts:
        return line + rng.choice(TOKENS)
    start = rng.choice(starts)
    end = next((i for i in range(start, len(line)) if line[i] in separators), len(line))
    if action == "number":
        word = str(rng.choice(NUMBERS)).encode()
    elif action == "name":
        word = rng.choice(NAMES).encode("utf-8", "surrogatepass")
    else:
        word = rng.choice(TOKENS)
    return line[:start] + word + line[end:]
