"""Runs one step of a build on the builder, with a log of its own, and turns its failure into a BuildError."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.build.failures import build_failure
from orchestrator.errors import BuildError
from orchestrator.ports import Command, Completed, Remote

_RESULT = "dsdeploy-result "
DRIVERS = Path(__file__).parent / "drivers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """A private folder on the builder, and where the logs of what happens there go."""

    remote: Remote
    folder: str
    """Absolute, on the builder."""
    logs: Path
    """On the controller."""

    def path(self, *parts: str) -> str:
        """Return a path in the folder."""
        return "/".join((self.folder, *parts))

    def send_driver(self, name: str) -> str:
        """Send one of our programs and return its path there."""
        path = self.path("drivers", f"{name}.py")
        self.remote.put(DRIVERS / f"{name}.py", path)
        return path

    def run(self, step: str, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run a step to its end; its lines go into a log named after it. Raises BuildError when it fails."""
        completed = self.attempt(step, command, on_line=on_line)
        if completed.returncode != 0:
            raise self.failure(step, completed)
        return completed

    def attempt(self, step: str, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run a step to its end, however it ends.

        Temporary files lie in the folder: a compiler that is killed leaves its own behind.
        """
        log = self._log_of(step)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8", errors="replace", buffering=1) as file:

            def take(line: str) -> None:
                file.write(f"{line}\n")
                if on_line is not None:
                    on_line(line)

            take("$ " + " ".join(command.argv))
            environment = {"TMPDIR": self.folder, **command.environment}
            return self.remote.run(replace(command, environment=environment), on_line=take)

    def failure(self, step: str, completed: Completed, *, of: str | None = None) -> BuildError:
        """Return the error of a step that failed, out of its log; `of` is what failed with it, for people."""
        return build_failure(of or step, completed.returncode, self._log_of(step), host=self.remote.host)

    def _log_of(self, step: str) -> Path:
        return self.logs / f"{log_name(step)}.log"


def log_name(text: str) -> str:
    """Return a file name like the text: `cpu_adam csrc/adam/x.cpp` → `cpu_adam-csrc-adam-x.cpp`."""
    return re.sub(r"[^\w.+-]+", "-", text)


def result_of(completed: Completed) -> Any:  # noqa: ANN401 - a JSON document
    """Return the result that one of our programs told as its last line."""
    line = next((line for line in reversed(completed.tail) if line.startswith(_RESULT)), None)
    if line is None:
        raise BuildError("a build program ended without a result", hint="its log says more; please report this")
    return json.loads(line.removeprefix(_RESULT))
