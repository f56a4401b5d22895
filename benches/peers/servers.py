"""Redis and Postgres for a while: on a unix socket in a folder of their own, ended by their process ids.

with redis(folder) as (path, pid): ...
with postgres(folder) as psql: psql("select 1")
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.peers import POSTGRES, REDIS, WHERE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["REDIS_DURABLE", "REDIS_IN_MEMORY", "Psql", "cpu_s", "postgres", "redis"]

_LIBRARIES = WHERE / "root/usr/lib/x86_64-linux-gnu"
_ENVIRONMENT = {**os.environ, "LD_LIBRARY_PATH": f"{_LIBRARIES}:{POSTGRES.parent / 'lib'}", "LC_ALL": "C.UTF-8"}
_PATIENCE_S = 30.0

REDIS_IN_MEMORY = ("--appendonly", "no")
REDIS_DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


def _until(ready: object, what: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not (callable(ready) and ready()):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{what} did not start: exit code {process.poll()}")
        time.sleep(0.05)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes], signal: int) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal)
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def redis(folder: Path, *options: str) -> Iterator[tuple[Path, int]]:
    """A Redis: the socket that it listens on, and its process id."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "redis.sock"
    command: list[str | Path] = [REDIS, "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", *options]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, env=_ENVIRONMENT, stdout=log, stderr=log)
        with _ended(process, 15):
            _until(lambda: _connects(path), "Redis", process)
            yield path, process.pid


def cpu_s(pid: int) -> float:
    """The time that a process and its children, those that ended too, had a core so far."""
    ticks = 0
    for one in (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended: its parent has its time
            ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one, contextlib.suppress(OSError):
        one.connect(str(path))
        return True
    return False


class Psql:
    """Runs SQL by `psql`, one connection a call."""

    def __init__(self, folder: Path, user: str | None, pid: int) -> None:
        self.folder, self.user, self.pid = folder, user, pid

    def __call__(self, sql: str) -> str:
        """What it printed: rows a line, columns by |. Raises RuntimeError with what Postgres said."""
        script = self.folder / "script.sql"
        script.write_text(sql)
        return self.run(script)

    def run(self, script: Path) -> str:
        """The same, of a file."""
        command: list[str | Path] = [POSTGRES / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", self.folder, "-d", "postgres"]
        if self.user:
            command += ["-U", self.user]
        done = subprocess.run([*command, "-f", script], env=_ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Psql]:
    """A Postgres with a new cluster, durable as it comes (fsync, synchronous_commit on)."""
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    # It does not run as root.
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
        for parent in folder.parents:
            with contextlib.suppress(PermissionError):
                parent.chmod(parent.stat().st_mode | 0o011)
            if parent == Path(os.sep) or parent.stat().st_uid != os.geteuid():
                break
    name = user or pwd.getpwuid(os.geteuid()).pw_name
    share = WHERE / "root/usr/share/postgresql/15"
    create: list[str | Path] = [
        POSTGRES / "initdb",
        "-D",
        data,
        "-A",
        "trust",
        "-U",
        name,
        "-E",
        "UTF8",
        "--no-locale",
        "-L",
        share,
    ]
    subprocess.run(create, env=_ENVIRONMENT, user=user, check=True, capture_output=True)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "shared_buffers": "256MB",
        "synchronous_commit": "on",
        "max_connections": "8",
        "jit": "off",
    }
    command: list[str | Path] = [POSTGRES / "postgres", "-D", data]
    for option, value in options.items():
        command += ["-c", f"{option}={value}"]
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(command, env=_ENVIRONMENT, user=user, stdout=log, stderr=log)
        psql = Psql(folder, name, process.pid)

        def answers() -> bool:
            try:
                return psql("select 1").strip() == "1"
            except RuntimeError:
                return False

        with _ended(process, 2):  # SIGINT: a fast shutdown
            _until(answers, "Postgres", process)
            yield psql
