"""The smallest controller: one real agent over pipes, started as it is over SSH, asked one thing at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.agent.packing import PackedAgent, pack

START = ("-I", "-S", "-X", "utf8", "-u", "-c", "import sys; exec(sys.stdin.buffer.readline())")


class Refused(Exception):  # noqa: N818 - an answer, not a failure of the test
    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["message"])
        self.kind: str = error["kind"]
        self.message: str = error["message"]
        self.hint: str | None = error["hint"]


class AgentProcess:
    """Its cache is `home/dsdeploy`; `events` are those of the last request."""

    def __init__(
        self,
        home: Path,
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        packed: PackedAgent | None = None,
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self.cache = home / "dsdeploy"
        self.process = subprocess.Popen(
            [python, *START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "XDG_CACHE_HOME": str(home), **(environment or {})},
        )
        self._number = 0
        packed = packed or pack()
        self.send_raw(packed.first_line)
        self.offer = self.read()
        if not self.offer.get("have"):
            self.send_raw(packed.content)
        self.hello = self.read()

    def __enter__(self) -> AgentProcess:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def hang_up(self) -> int:
        """Close its standard input and return how it ended."""
        assert self.process.stdin
        assert self.process.stdout
        if not self.process.stdin.closed:
            self.process.stdin.close()
        returncode = self.process.wait(30)
        self.process.stdout.close()
        return returncode

    def send_raw(self, content: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(content)
        self.process.stdin.flush()

    def send(self, frame: Mapping[str, Any], payload: bytes = b"") -> None:
        self.send_raw(json.dumps(frame).encode() + b"\n" + payload)

    def read(self) -> dict[str, Any]:
        """Return the next frame, with its raw bytes as `payload`; an empty one at the end."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            return {}
        frame: dict[str, Any] = json.loads(line)
        if "bytes" in frame:
            frame["payload"] = self.process.stdout.read(frame["bytes"])
        return frame

    def begin(self, operation: str, **parameters: Any) -> int:
        """Send a request and return its number."""
        self._number += 1
        self.send({"id": self._number, "op": operation, **parameters})
        return self._number

    def end(self, number: int) -> Any:
        """Return the result of a request, keeping its events; raise Refused for an error."""
        self.events = []
        while True:
            frame = self.read()
            assert frame, "the agent ended"
            if frame["id"] != number:
                continue
            if "event" in frame:
                self.events.append(frame)
            elif "error" in frame:
                raise Refused(frame["error"])
            else:
                return frame["result"]

    def ask(self, operation: str, **parameters: Any) -> Any:
        return self.end(self.begin(operation, **parameters))

    def put(self, path: str, content: bytes, *, sha256: str | None = None, chunk: int = 1 << 16) -> Any:
        digest = sha256 or hashlib.sha256(content).hexdigest()
        number = self.begin("put", path=path, size=len(content), sha256=digest, mode=0o600)
        for start in range(0, len(content), chunk):
            piece = content[start : start + chunk]
            self.send({"id": number, "chunk": True, "bytes": len(piece)}, piece)
        return self.end(number)


def working_python(version: str) -> str | None:
    """Return a Python of that version from PATH or pyenv; pyenv's own names on PATH may be empty promises."""
    installed = Path.home().glob(f".pyenv/versions/{version}.*/bin/python3")
    for python in filter(None, [shutil.which(f"python{version}"), *map(str, installed)]):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None
