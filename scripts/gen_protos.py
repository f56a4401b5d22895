"""Makes the Python stubs in `python/csroute/v1` from `protos/csroute/v1`.

    python scripts/gen_protos.py            # write them
    python scripts/gen_protos.py --check    # regenerate elsewhere, compare, exit 1 and name what differs

The stubs are committed, so that nobody needs a compiler to use the package; the check keeps them true. The types
come from mypy-protobuf: it alone types the service stubs, and it carries the comments of the .proto files along.
`google.rpc` is not generated: at run time it comes from googleapis-common-protos.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
OUT = ROOT / "python"
PACKAGE = Path("csroute/v1")
PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(out: Path) -> None:
    """Compiles every proto of the package below `out`; a file with services gets a `_pb2_grpc` module too."""
    files = sorted((PROTOS / PACKAGE).glob("*.proto"))
    services = [file for file in files if file.stem.endswith("_service")]
    run(out, "--python_out", "--mypy_out", files)
    run(out, "--grpc_python_out", "--mypy_grpc_out", services)


def run(out: Path, code: str, types: str, files: list[Path]) -> None:
    plugins = Path(sys.executable).parent  # protoc-gen-mypy and protoc-gen-mypy_grpc stand beside the interpreter
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"{code}={out}", f"{types}=quiet:{out}"]
    command += [f"--plugin={name}={plugins / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    command += [str(file.relative_to(PROTOS)) for file in files]
    subprocess.run(command, cwd=PROTOS, check=True)


def stubs(root: Path) -> dict[str, bytes]:
    """The generated files below `root`, by name."""
    return {file.name: file.read_bytes() for pattern in PATTERNS for file in (root / PACKAGE).glob(pattern)}


def main() -> int:
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, committed = stubs(Path(scratch)), stubs(OUT)
    differs = sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))
    if "--check" in sys.argv:
        for name in differs:
            print(f"{PACKAGE / name} does not match the .proto files: run `make protos`", file=sys.stderr)
        return 1 if differs else 0
    for name in differs:
        target = OUT / PACKAGE / name
        if name in fresh:
            target.write_bytes(fresh[name])
        else:
            target.unlink()
    print(f"{len(fresh)} stubs in {PACKAGE}, {len(differs)} changed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
