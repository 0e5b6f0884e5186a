"""How far data-free agreement can be trusted: agreement on made-up inputs against accuracy on real ones.

    python -m benchmarks.agreement [--only resnet8] [--write]

Each trained network is calibrated on inputs that were made of it, at seven uniform policies and ten random mixed ones.
Every policy's agreement with the float network is then measured on made-up inputs (a search split, on which it was not
calibrated) and on real ones, together with its real accuracy. Real images judge and choose nothing; they are a search
split, so that the reported one stays unread. With ``--write`` the tables go into ``docs/data-free.md``. Needs shared
data, and takes some minutes on one core; a network whose file is not there is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import spearmanr

from benchmarks.networks import Network, real_networks
from haqc import data, targets
from haqc.data import Counts, Dataset, Split
from haqc.data.synthetic import make_inputs
from haqc.effort import Effort
from haqc.frontend import Front, shapes_of
from haqc.madeup import make_up
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.calibrate import calibrate
from haqc.policy import Policy, Space
from haqc.samples import telling
from haqc.train import outputs

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "data-free.md"
UNIFORM = ((8, 8), (6, 6), (5, 5), (4, 8), (4, 4), (3, 3), (2, 4))
RANDOM = (2, 2, 3, 3, 3, 4, 4, 4, 5, 5)
"""The least width of each random policy."""

REAL = 600
MARKS = ("<!-- agreement: begin -->", "<!-- agreement: end -->")
"""Between these the tables stand in the page."""

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What policies came to, in percent, one row a policy.

    Attributes:
        network: the name.
        inputs: what they were calibrated on.
        floating: the float network's accuracy.
        accuracy: real accuracy.
        real: agreement with the float network on real inputs.
        made: agreement on made-up inputs.
    """

    network: str
    inputs: str
    floating: float
    accuracy: Reals
    real: Reals
    made: Reals

    @property
    def rank(self) -> float:
        """Spearman's rank correlation of made-up agreement with real accuracy."""
        return float(spearmanr(self.made, self.accuracy).statistic)


def main() -> None:
    """Measures the networks that are asked for, and prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="")
    parser.add_argument("--vit", type=Path, default=Path("build/vit/vit.onnx"), help="file of benchmarks/vit.py")
    parser.add_argument("--out", type=Path, default=Path("build/agreement"))
    parser.add_argument("--write", action="store_true", help="write docs/data-free.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    resnet8, fashion = real_networks(arguments.out)
    networks = (
        replace(resnet8, name="ResNet-8"),
        replace(fashion, name="Fashion"),
        Network("ViT", arguments.vit, fashion.data),
        Network("digits", ROOT / "models" / "digits.onnx", ROOT / "models" / "digits.data.toml"),
    )
    outcomes: list[Outcome] = []
    for network in networks:
        if network.model.is_file() and arguments.only.lower() in network.name.lower():
            for outcome in measure(network):
                outcomes.append(outcome)
                print(" | ".join(summary(outcome)), flush=True)
    text = tables(outcomes)
    print(text)
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.partition(MARKS[0])[0], page.partition(MARKS[1])[2]
        PAGE.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


def measure(network: Network) -> Iterator[Outcome]:
    """Yields what the policies come to on unit noise, and on inputs made of the network."""
    front = Front.read(network.model)
    specs = front.inputs()
    real = data.load(str(network.data), specs, network.model)
    bound = front.bound(shapes_of(real, front.model))
    graph, mirror = front.graph(bound), from_onnx(front.model)
    space = Space.of(graph, targets.load("edge").precision)
    effort = Effort.of(graph, sum(len(choice.widths) for choice in space.free))
    policies = list(_policies(space))
    scores = telling(front.model).tensor
    counts = Counts(*effort.made_up)
    noise = data.synthetic(make_inputs(specs, 0, None, counts), specs, counts, {})
    made_of_it = make_up(front, bound, mirror, network.model, effort, 0)
    for name, made in (("unit noise", noise), ("made of the network", made_of_it)):
        yield _outcome(network.name, name, from_onnx(front.model), scores, space, policies, made, real)


def _outcome(
    network: str,
    name: str,
    mirror: Mirror,
    scores: str,
    space: Space,
    policies: list[Policy],
    made: Dataset,
    real: Dataset,
) -> Outcome:
    judged = real.search.take(slice(0, REAL))
    assert judged.labels is not None
    calibration = calibrate(mirror, space, [made.train.inputs(slice(at, at + 64)) for at in range(0, 512, 64)])
    floating = [_classes(mirror, scores, split) for split in (judged, made.search)]
    rows = []
    for policy in policies:
        quantised = QuantisedMirror(mirror, policy, calibration)
        found = [_classes(quantised, scores, split) for split in (judged, made.search)]
        agreement = [one == other for one, other in zip(found, floating, strict=True)]
        rows.append([np.mean(found[0] == judged.labels), *(np.mean(each) for each in agreement)])
    accuracy, on_real, on_made = 100 * np.array(rows).T
    return Outcome(network, name, 100 * float(np.mean(floating[0] == judged.labels)), accuracy, on_real, on_made)


def _classes(network: Mirror | QuantisedMirror, scores: str, split: Split) -> npt.NDArray[np.int64]:
    classes: npt.NDArray[np.int64] = outputs(network, scores, split, 64).argmax(1)
    return classes


def _policies(space: Space) -> Iterator[Policy]:
    yield from (space.uniform(weight, activation) for weight, activation in UNIFORM)
    draw = np.random.default_rng(1)
    for least in RANDOM:
        yield space.policy(
            {
                choice.operand.tensor: int(draw.choice([bits for bits in choice.widths if bits >= least]))
                for choice in space.free
            }
        )


def summary(outcome: Outcome) -> tuple[str, ...]:
    """Gives the row of the first table."""
    over = outcome.made - outcome.real
    return (
        outcome.network,
        outcome.inputs,
        f"{outcome.floating:.1f}",
        f"{outcome.accuracy[0]:.1f}",
        f"{outcome.rank:.2f}",
        f"{over.mean():+.1f}",
        f"{np.abs(over).mean():.1f}",
        f"{over.min():+.0f} to {over.max():+.0f}",
    )


def tables(outcomes: list[Outcome]) -> str:
    """Gives both tables as Markdown."""
    titles = (
        "network",
        "inputs",
        "float",
        "8/8",
        "rank correlation",
        "made-up less real agreement",
        "its size",
        "range",
    )
    lines = [titles, ("---",) * len(titles), *(summary(outcome) for outcome in outcomes), ()]
    widths = tuple(f"{weight}/{activation}" for weight, activation in UNIFORM)
    lines += [("network", "", *widths), ("---",) * (2 + len(widths))]
    for outcome in outcomes:
        if outcome.inputs != "unit noise":
            for name in ("accuracy", "real", "made"):
                figures = [f"{value:.0f}" for value in getattr(outcome, name)[: len(UNIFORM)]]
                lines.append((outcome.network, _TITLES[name], *figures))
    return "\n".join(f"| {' | '.join(cells)} |" if cells else "" for cells in lines)


_TITLES = {"accuracy": "accuracy", "real": "agreement on real inputs", "made": "agreement on made-up inputs"}

if __name__ == "__main__":
    main()
