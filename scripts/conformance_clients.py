"""Builds the conformance suite's clients in other languages, from the protos, below `target/conformance`.

    python scripts/conformance_clients.py

Go: protoc (of grpcio-tools) with Go's own two plugins, then `go build`. Node: grpc-js, which reads the protos itself.
Needs go, node and npm; nothing of what is made is committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
SOURCES = ROOT / "tests" / "conformance" / "clients"
OUT = ROOT / "target" / "conformance"
PLUGINS = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1",
)


def run(*command: str | Path, cwd: Path) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, env={**os.environ, "GOBIN": str(OUT / "bin")})


def go() -> None:
    out = OUT / "go"
    shutil.copytree(SOURCES / "go", out, dirs_exist_ok=True)
    for plugin in PLUGINS:
        run("go", "install", plugin, cwd=out)
    files = sorted(file.relative_to(PROTOS) for file in (PROTOS / "csroute" / "v1").glob("*.proto"))
    plugins = [f"--plugin={name}={OUT / 'bin' / name}" for name in ("protoc-gen-go", "protoc-gen-go-grpc")]
    outs = [f"--{kind}_{what}" for kind in ("go", "go-grpc") for what in (f"out={out}", "opt=module=csroute")]
    # The module is `csroute`, the package below it `csroute/v1`: one `csroute` more in front keeps them apart.
    packages = [f"--{kind}_opt=M{file}=csroute/csroute/v1;csroutev1" for kind in ("go", "go-grpc") for file in files]
    run(sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *plugins, *outs, *packages, *files, cwd=PROTOS)
    run("go", "mod", "tidy", cwd=out)
    run("go", "build", "-o", "client", ".", cwd=out)


def node() -> None:
    out = OUT / "node"
    shutil.copytree(SOURCES / "node", out, dirs_exist_ok=True)
    run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", cwd=out)


if __name__ == "__main__":
    go()
    node()
