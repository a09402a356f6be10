"""Downloads through pip, with the user's own pip configuration."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import TransferError
from orchestrator.index.processes import Finished, run
from orchestrator.index.reasons import error_of
from orchestrator.index.stand_ins import name_of, write_constraints
from orchestrator.index.target import describe, pip_options
from orchestrator.ports import TargetTags

HERE = Path(__file__).parent
QUIET_PIP = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_REQUIRE_VIRTUALENV": "0"}
"""Never ask, never advertise; nothing is installed, so no virtual environment is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What pip fetched for a host, and what it found there already."""

    files: tuple[Path, ...]
    """Sorted by name."""
    used: Mapping[str, str]
    """Name → version of the installed distributions that the resolution came to."""


class Pip:
    """The pip of this interpreter, run as a program; `environ` is its whole environment."""

    def __init__(self, environ: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        self._environ = {**environ, **QUIET_PIP}
        self._on_line = on_line

    def wheels(
        self, requirements: Sequence[str], tags: TargetTags, *, installed: Mapping[str, str], scratch: Path
    ) -> Download:
        """Resolve requirements for a host and download into `scratch` what it lacks; raises TransferError."""
        stand_ins, target = scratch / "installed", scratch / "wheels"
        stand_ins.mkdir()
        target.mkdir()
        constraints = write_constraints(stand_ins, installed)
        finished = self._download(
            [*pip_options(tags), "--constraint", constraints, "--dest", target, "--", *requirements],
            python_version=tags.python_version,
            machine=tags.machine,
        )
        if finished.returncode:
            raise error_of(
                finished.lines,
                wanted=f"wheel for {describe(tags)}",
                hint="where no wheel exists, build one (`pip wheel NAME`) and let PIP_FIND_LINKS name its folder",
                installed=installed,
            )
        used = {name_of(path.name) for path in stand_ins.glob("*.whl") if (target / path.name).exists()}
        files = sorted(path for path in target.iterdir() if name_of(path.name) not in used)
        return Download(files=tuple(files), used={name: installed[name] for name in sorted(used)})

    def sdist(self, name: str, version: str, *, scratch: Path) -> Path:
        """Download one version's sdist into `scratch`, running no code of it; raises TransferError."""
        backend, target = scratch / "backend", scratch / "sdist"
        (backend / "setuptools").mkdir(parents=True)
        (backend / "setuptools" / "__init__.py").touch()
        shutil.copyfile(HERE / "sdist_backend.py", backend / "setuptools" / "build_meta.py")
        target.mkdir()
        python_path = os.pathsep.join(filter(None, [str(backend), self._environ.get("PYTHONPATH")]))
        options = ["--no-deps", "--no-binary", name, "--ignore-requires-python"]
        with_backend = ["--use-pep517", "--no-build-isolation"]
        finished = self._download(
            [*options, *with_backend, "--dest", target, "--", f"{name}=={version}"], PYTHONPATH=python_path
        )
        if finished.returncode:
            hint = f"`pip index versions {name}` shows which there are"
            raise error_of(finished.lines, wanted="source distribution", hint=hint)
        files = list(target.iterdir())
        if len(files) != 1:
            raise TransferError(f"pip fetched {len(files)} files for {name} {version}")
        return files[0]

    def _download(
        self,
        arguments: Sequence[str | Path],
        *,
        python_version: str = platform.python_version(),
        machine: str = platform.machine(),
        **environ: str,
    ) -> Finished:
        program = [sys.executable, str(HERE / "pip_as_target.py"), python_version, machine]
        argv = [*program, "download", "--progress-bar", "off", *arguments]
        return run(argv, environ={**self._environ, **environ}, on_line=self._on_line)
