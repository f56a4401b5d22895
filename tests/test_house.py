"""What holds the house together: who may depend on whom, how long a file gets, what may not leak."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = {".py", ".pyi", ".rs", ".proto"}
TEXT = CODE | {".md", ".toml", ".lock", ".txt", ".yml", ".sh", ""}
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")

# Arrows point one way: engine <- wire, journal <- node <- door <- python; engine <- sim <- python;
# wire <- load <- python.
MAY_USE = {
    "csroute-engine": set[str](),
    "csroute-wire": {"csroute-engine"},
    "csroute-journal": set[str](),
    "csroute-node": {"csroute-engine", "csroute-wire", "csroute-journal"},
    "csroute-door": {"csroute-engine", "csroute-wire", "csroute-node"},
    "csroute-sim": {"csroute-engine"},
    "csroute-load": {"csroute-wire"},
    "csroute-python": {
        "csroute-engine",
        "csroute-wire",
        "csroute-journal",
        "csroute-node",
        "csroute-door",
        "csroute-sim",
        "csroute-load",
    },
}

# What would bring a clock, a thread, a file, a socket, a random number or Python into the engine.
NOT_IN_THE_ENGINE = {
    "chrono", "crossbeam", "fastrand", "getrandom", "hyper", "jiff", "libc", "log", "memmap2", "mio", "parking_lot",
    "polling", "prost", "pyo3", "pyo3-ffi", "quanta", "rand", "rand_core", "rayon", "rustix", "socket2", "tempfile",
    "time", "tokio", "tonic", "tracing", "web-time",
}  # fmt: skip

LINES_MAX = 600
# Longer ones, each with its reason.
LONG: dict[str, str] = {}


def files() -> list[Path]:
    """Every file that is, or would be, committed."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in sorted(set(names)) if (path := ROOT / name).is_file()]


def manifests() -> dict[str, dict[str, object]]:
    found = [tomllib.loads(path.read_text()) for path in ROOT.glob("rust_core/*/Cargo.toml")]
    return {manifest["package"]["name"]: manifest.get("dependencies", {}) for manifest in found}


def test_arrows_point_one_way() -> None:
    uses = {crate: {name for name in needs if name.startswith("csroute-")} for crate, needs in manifests().items()}
    assert uses.keys() == MAY_USE.keys(), "a new crate states here what it may use"
    for crate, used in uses.items():
        assert used <= MAY_USE[crate], f"{crate} uses {used - MAY_USE[crate]}"


def test_the_engine_is_pure() -> None:
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    needs: dict[str, set[str]] = {}
    for package in packages:
        needs.setdefault(package["name"], set()).update(name.split()[0] for name in package.get("dependencies", []))
    reached, todo = set[str](), set(manifests()["csroute-engine"])
    while todo:
        name = todo.pop()
        reached.add(name)
        todo |= needs[name] - reached
    assert len(reached) > 3
    assert not reached & NOT_IN_THE_ENGINE


def test_no_file_is_too_long() -> None:
    for path in files():
        name = str(path.relative_to(ROOT))
        if path.suffix in CODE and not GENERATED.search(name):
            lines = len(path.read_text().splitlines())
            assert lines <= LINES_MAX or name in LONG, f"{name} has {lines} lines: split it, or state its reason here"
    assert all((ROOT / name).is_file() for name in LONG)


# Paths of one machine, and work left undone. Split, so that this file passes itself.
UNWANTED = re.compile(
    r"(?<![\w.$}>])/(?:root|work|home|Users)/\w" + r"|\bTO" + r"DO\b|\bFIX" + r"ME\b|\btodo!|\bunimplemented!"
)


def test_nothing_leaks_and_nothing_is_left() -> None:
    for path in files():
        if path.suffix in TEXT:
            assert not UNWANTED.findall(path.read_text()), path.relative_to(ROOT)


def test_the_locks_name_no_host() -> None:
    sources = {package.get("source") for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    assert sources <= {None, "registry+https://github.com/rust-lang/crates.io-index"}
    pins = (ROOT / "requirements-dev.txt").read_text().splitlines()
    assert all(re.match(r"[\w.-]+==[\w.]+( ;|$)", pin) for pin in pins), "exact versions, nothing else"
    configs = {".cargo/config.toml", "pip.conf", ".npmrc", "rust-toolchain.toml"}
    assert not configs & {str(path.relative_to(ROOT)) for path in files()}


def test_one_version() -> None:
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert f"## {workspace}" in (ROOT / "CHANGELOG.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]


def test_the_readme_shows_the_policy_of_the_examples() -> None:
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    kept = (ROOT / "examples" / "shop.py").read_text()
    assert kept.split() in [text.split() for text in shown]
