"""Fetches the benches' peers: Debian's redis-server and postgresql-15, unpacked under target/peers.

    python scripts/peers.py         # prints where they are; does nothing if they are there

Nothing is installed and no service is started: the packages are downloaded by apt and unpacked, as any user.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WHERE = Path(__file__).resolve().parent.parent / "target" / "peers"
WANTED = ("redis-server", "redis-tools", "postgresql-15", "postgresql-client-15")
# What they link to, which a machine with a server of another version or none may lack.
LIBRARIES = ("libjemalloc2", "liblua5.1-0", "liblzf1", "lua-bitop", "lua-cjson", "libhiredis0.14", "libatomic1",
             "libpq5", "libllvm14")  # fmt: skip
REDIS = WHERE / "root/usr/bin/redis-server"
POSTGRES = WHERE / "root/usr/lib/postgresql/15/bin"


def missing() -> list[str]:
    """Further packages that apt would install with them."""
    asked = ["apt-get", "install", "--simulate", "--no-install-recommends", *WANTED]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return [line.split()[1] for line in said.splitlines() if line.startswith("Inst ")]


def fetch() -> None:
    """Downloads and unpacks."""
    packages = WHERE / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys((*WANTED, *LIBRARIES, *missing()))
    got = subprocess.run(["apt-get", "download", *names], cwd=packages, capture_output=True, text=True, check=False)
    if got.returncode:
        sys.exit(f"{got.stderr.strip()}\nThe peers come from Debian 12's packages; `apt-get update` may help.")
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, WHERE / "root"], check=True)


def main() -> None:
    if not (REDIS.exists() and (POSTGRES / "postgres").exists()):
        fetch()
    print(REDIS, POSTGRES, sep="\n")


if __name__ == "__main__":
    main()
