"""Where the benchmark works, and the environment of everything that it runs: no CUDA but what it fetched itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cudabench.errors import BenchError

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "scripts" / "cluster"
DSDEPLOY = ROOT / ".venv" / "bin" / "dsdeploy"
_FOREIGN = ("CC", "CPATH", "CUDA", "CXX", "DS_", "LD_LIB", "LIBRARY_", "MAX_JOBS", "NVCC", "PYT", "TORCH", "XDG_")
"""What of the caller's environment would change a build, by how it begins; CC covers ccache's settings."""
_QUESTION = """
import sys, sysconfig
print("%d.%d" % sys.version_info[:2])
print(getattr(sys, "_base_executable", sys.executable))
print(sysconfig.get_path("include"))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python of this machine that wheels are built for, and a virtual environment of it with the CUDA torch."""

    base: Path
    version: str
    """`3.12`."""
    venv: Path

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def abi_tag(self) -> str:
        """`cp312`."""
        return f"cp{self.version.replace('.', '')}"

    @property
    def site_packages(self) -> Path:
        """Where its torch is."""
        return self.venv / "lib" / f"python{self.version}" / "site-packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """The folder of one benchmark."""

    folder: Path
    torch: str
    """`2.11.0`."""
    first: Interpreter
    second: Interpreter

    @property
    def cuda_home(self) -> Path:
        """Upstream's CUDA toolkit."""
        return self.folder / "cuda-home"

    @property
    def sdist(self) -> Path:
        """DeepSpeed's source archive."""
        return self.folder / "deepspeed.tar.gz"

    def home(self, name: str) -> Path:
        """Return the folder of one user's files, for `dsdeploy`."""
        return self.folder / "homes" / name

    def recipe(self, name: str) -> Path:
        """Return a recipe's file."""
        return self.folder / "recipes" / f"{name}.yaml"

    def hostfile(self, name: str) -> Path:
        """Return a hostfile."""
        return self.folder / "hostfiles" / name

    def log(self, name: str) -> Path:
        """Return where a phase's output goes."""
        return self.folder / "logs" / f"{name}.log"

    def environment(self, home: Path | None = None) -> dict[str, str]:
        """Return the caller's environment less what would change a build; with a home, `dsdeploy` keeps to it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        kept["PATH"] = os.pathsep.join([str(self.folder / "pythons"), self._search_path()])
        if home is None:
            return kept
        folders = {f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("cache", "config", "data", "state")}
        return kept | folders | {"CCACHE_DIR": str(home / "ccache")}

    def _search_path(self) -> str:
        """Return the caller's PATH without nvcc: a folder that has one is replaced by links to all else in it."""
        folders = []
        for number, name in enumerate(os.environ["PATH"].split(os.pathsep)):
            folder = Path(name)
            if (folder / "nvcc").exists():
                folder = self.folder / "path" / str(number)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                for program in Path(name).iterdir():
                    if program.name != "nvcc":
                        (folder / program.name).symlink_to(program)
            folders.append(str(folder))
        return os.pathsep.join(folders)


def find_interpreter(program: str, venv: Path) -> Interpreter:
    """Return what a Python is. Raises BenchError when it does not run or has no headers."""
    try:
        done = subprocess.run([program, "-I", "-c", _QUESTION], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(f"{program} does not run: name another with --python or --second-python") from error
    version, base, headers = done.stdout.splitlines()
    if not Path(headers, "Python.h").exists():
        raise BenchError(f"{program} has no headers: {headers}/Python.h is missing")
    return Interpreter(base=Path(base), version=version, venv=venv)


def run_step(argv: list[str | Path], *, environment: Mapping[str, str], log: Path, cwd: Path | None = None) -> None:
    """Run a step that is not measured. Raises BenchError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            argv, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        raise BenchError(f"{' '.join(map(str, argv))[:200]} ended with {done.returncode}: see {log}")
