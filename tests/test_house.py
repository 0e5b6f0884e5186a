"""The house rules that a machine can hold: what may import what, what is declared, what is documented."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]

# A module may import from its own layer and from those below it; passes may not import each other. A new module of
# haqc/ is given its layer here, and in docs/ where the layers are explained.
LAYERS = tuple(
    tuple(names.split())
    for names in (
        "errors",
        """
        budget
        calibration
        changes
        channelstatistics
        clock
        codes
        collector
        dimensions
        duration
        effect
        effort
        formats
        gap
        graph
        hardware
        inspection
        journal
        measurements
        memory
        mirrored
        npz
        packing
        plaintext
        policy
        precision
        probe
        quantisation
        recovery
        request
        result
        score
        scores
        searchlog
        stdout
        sweeping
        target
        terms
        ui
        weightonly
        """,
        """
        alternatives
        annotations
        clean
        content
        costmodel
        data
        datasheet
        device
        ddpg
        distil
        findings
        folder
        fused
        judge
        kmeans
        layerblock
        measured
        metrics
        mirror
        nodeorder
        onnxfile
        onnxprocess
        prefix
        pricing
        quant
        recall
        reconstruct
        replay
        runtime
        scored
        sensitivity
        storedtensors
        sweepfolder
        sweptfiles
        targets
        train
        tuned
        userfunction
        workbench
        workers
        """,
        "passes",
        """
        calibrate_target
        calibrated_file
        case
        check
        compiler
        earliertrials
        emitted
        enlarge
        equality
        fingerprint
        frontend
        learnedagent
        madeup
        measured_layers
        minimisation
        plan
        point
        preparation
        problem
        roles
        samples
        saved
        searcher
        searchprogress
        smoothing
        stages
        stated
        survey
        sweeper
        winner
        """,
        """
        __main__
        annotationsview
        api
        cli
        console
        figures
        fitview
        inspectview
        steps
        targetview
        terminal
        """,
    )
)
# The pass from ONNX to ONNX needs nothing of haqc, so the mirror, which takes models as they come, may call it.
CLEAN = "haqc.passes.clean"
LAYER = {name: depth for depth, names in enumerate(LAYERS) for name in names}
COMMANDS = ("annotations", "compile", "cost", "emit", "inspect", "plot", "report", "sweep", "targets", "verify")
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "base", "manager"}
HEAVY = {"onnxruntime", "torch"}
# Modules that import a library of an extra, inside a function that refuses in a sentence where it is missing.
OPTIONAL = {"haqc.figures": ("plot", "matplotlib")}

# One letter of each pattern stands in brackets, so that no pattern matches this file.
MACHINE_PATHS = re.compile(
    rb"/wor[k]/(?:main|shared|steering|holdout|\.library)|/ro[o]t/|/ho[m]e/\w|/Use[r]s/\w|/far[m]/|/op[t]/(?:wheels|pypi)"
)
WORKPLACE_WORDS = re.compile(
    r"py[p]i\.org|pythonhosted\.o[r]g|download\.pytorc[h]\.org|registry\.npm[j]s|deb\.debia[n]\.org"
    r"|\b(?:this|last|previous|next|earlier|another) ses[s]ion\b|\bissue[s]? ?#?\d+\b|\bCE[O]\b|\bthe far[m]\b"
    r"|/tm[p]/briefs",
    re.IGNORECASE,
)


def sources() -> Iterator[tuple[str, Path]]:
    """Every source file of the package with its dotted name, passes and targets under haqc's name."""
    for top, prefix in ((ROOT / "haqc", "haqc"), (ROOT / "passes", "haqc.passes"), (ROOT / "targets", "haqc.targets")):
        for path in sorted(top.rglob("*.py")):
            inside = path.relative_to(top)
            if prefix == "haqc" and inside.parts[0] in ("passes", "targets"):
                continue  # a link that this version of Python follows
            parts = [prefix, *inside.with_suffix("").parts]
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names of everything a file imports, inside functions too; ``from a import b`` counts as ``a.b``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)}:{node.lineno} imports relatively; write the full name"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def unit(name: str) -> str:
    """The module of haqc that a dotted name belongs to, as the layer table names it; empty for anything else."""
    if name == CLEAN or name.startswith(f"{CLEAN}."):
        return "clean"
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "haqc" else ""


def repository_files() -> list[Path]:
    """The files that are tracked or would be."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout, to know which files belong to the repository")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    return [path for path in (ROOT / name for name in listed if name) if path.is_file() and not path.is_symlink()]


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after ``code``."""
    script = f"import sys\n{code}\nprint('LOADED', *sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def documentation(*folders: str) -> str:
    """All pages of docs/, and the named files, as one text."""
    pages = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in folders)]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def test_every_module_has_a_layer() -> None:
    tops = {name.split(".")[1] for name, _ in sources() if name != "haqc"}
    assert sorted(tops - set(LAYER)) == [], "give these modules a layer in LAYERS"


def test_imports_point_down() -> None:
    wrong = []
    for name, path in sources():
        for other in imports(path):
            assert other.split(".")[0] not in ("passes", "targets"), f"{name} must import haqc.{other}"
            if name == "haqc":
                is_interface = other.startswith("haqc.api.")  # for type checkers; loaded when it is asked for
                assert is_interface or not other.startswith("haqc"), "haqc/__init__.py loads nothing of haqc"
            elif other.startswith("haqc.") and LAYER.get(unit(other), 0) > LAYER.get(unit(name), len(LAYERS)):
                wrong.append(f"{name} imports {other}")
    assert sorted(wrong) == []


def test_modules_import_each_other_one_way() -> None:
    edges: dict[str, set[str]] = {}
    for name, path in sources():
        edges.setdefault(unit(name), set()).update(unit(other) for other in imports(path))
    order = graphlib.TopologicalSorter({name: others - {name, ""} for name, others in edges.items()})
    order.prepare()  # raises CycleError, which names the circle


def test_passes_do_not_import_each_other() -> None:
    wrong = []
    for name, path in sources():
        if name.startswith("haqc.passes."):
            own = name.split(".")[2]
            others = {
                other for other in imports(path) if other.startswith("haqc.passes.") and other.split(".")[2] != own
            }
            wrong += [f"{name} imports {other}" for other in sorted(others)]
    assert wrong == []


def test_the_layer_ir_knows_neither_onnx_nor_torch() -> None:
    found = {name.split(".")[0] for name in imports(ROOT / "haqc" / "graph.py")}
    assert found.isdisjoint({"onnx", "onnx_ir", "onnxruntime", "onnxscript", "torch"})


def test_no_module_has_a_vague_name() -> None:
    wrong = [name for name, _ in sources() if VAGUE_NAMES & set(re.split(r"[._]", name))]
    assert wrong == []


HELP = """
from haqc.cli import main
sys.argv = ["haqc", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
"""


@pytest.mark.parametrize("code", ["import haqc", HELP], ids=["import", "help"])
def test_start_up_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code).isdisjoint(HEAVY)


def test_no_trace_of_a_machine_or_workplace() -> None:
    wrong = []
    for path in repository_files():
        data = path.read_bytes()
        found = [match.group().decode("latin-1") for match in MACHINE_PATHS.finditer(data)]
        if b"\0" not in data:
            found += [match.group() for match in WORKPLACE_WORDS.finditer(data.decode("utf-8"))]
        wrong += [f"{path.relative_to(ROOT)}: {text}" for text in found]
    assert wrong == []


def test_every_package_folder_is_shipped() -> None:
    folders = {name if path.name == "__init__.py" else name.rpartition(".")[0] for name, path in sources()}
    assert sorted(folders) == sorted(SETUPTOOLS["packages"])


def test_every_package_has_an_init() -> None:
    present = {name for name, path in sources() if path.name == "__init__.py"}
    assert sorted(set(SETUPTOOLS["packages"]) - present) == []


def test_every_data_file_is_shipped() -> None:
    packages = {path.parent: name for name, path in sources() if path.name == "__init__.py"}
    kept = {
        file
        for folder, name in packages.items()
        for pattern in SETUPTOOLS["package-data"].get(name, [])
        for file in folder.glob(pattern)
    }
    found = {file for top in ("haqc", "passes", "targets") for file in (ROOT / top).rglob("*") if file.is_file()}
    left_out = {file for file in found - kept if file.suffix not in (".py", ".pyc")}
    assert sorted(str(file.relative_to(ROOT)) for file in left_out) == []


def test_every_imported_library_is_declared() -> None:
    project = PYPROJECT["project"]
    declared = {re.split(r"[^\w.-]", line)[0].replace("_", "-") for line in project["dependencies"]}
    for module, (extra, library) in OPTIONAL.items():
        assert any(line.startswith(library) for line in project["optional-dependencies"][extra]), module
    provided_by = packages_distributions()
    wrong = set()
    for name, path in sources():
        for library in {other.split(".")[0] for other in imports(path)} - set(sys.stdlib_module_names) - {"haqc"}:
            names = {item.lower().replace("_", "-") for item in provided_by.get(library, [])}
            if not names & declared and OPTIONAL.get(name, ("", ""))[1] != library:
                wrong.add(f"{name} imports {library}")
    assert sorted(wrong) == []


def test_every_declared_library_is_pinned() -> None:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            assert re.fullmatch(r"[\w.]+", version), f"constraints.txt: '{line}' is no exact version"
            pins[name] = version
    project = PYPROJECT["project"]
    installed = re.search(r"--editable '\.\[([\w,]+)\]'", (ROOT / "Makefile").read_text(encoding="utf-8"))
    extras = installed[1].split(",") if installed else []
    assert {"dev", "docs", *(extra for extra, _ in OPTIONAL.values())} <= set(extras), "make test would skip tests"
    wanted = [
        re.split(r"[^\w.-]", line)[0]
        for extra in extras
        for line in [*project["dependencies"], *project["optional-dependencies"][extra]]
    ]
    assert [name for name in wanted if name not in pins] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"haqc {command}" in documentation(), f"no page of docs/ mentions 'haqc {command}'"


def test_the_commands_are_those_of_the_contract() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "haqc", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # Typer draws a box round its commands; each line of it begins with the command's name.
    listed = re.findall(r"^[│|\s]*([a-z-]+)\s{2,}\S", done.stdout.partition("Commands")[2], re.MULTILINE)
    assert sorted(listed) == list(COMMANDS)


def test_every_target_is_documented() -> None:
    text = documentation()
    stems = [path.stem for path in sorted((ROOT / "targets").glob("*.toml"))]
    assert stems, "targets/ holds no target file"
    assert [stem for stem in stems if not re.search(rf"(?<![\w-]){re.escape(stem)}(?![\w-])", text)] == []


def test_every_pass_is_documented() -> None:
    text = documentation("README.md")
    names = {name.split(".")[2] for name, _ in sources() if name.startswith("haqc.passes.")}
    assert [name for name in sorted(names) if f"`{name}`" not in text and f"passes/{name}" not in text] == []
