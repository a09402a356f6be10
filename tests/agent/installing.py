"""A host to install on: a real agent that has its lock, the real pip, tiny wheels, a real virtual environment."""

from __future__ import annotations

import hashlib
import subprocess
import venv
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from agent_client import AgentProcess
from crashing_disk import Tree, tree
from tiny_wheels import DEEPSPEED, TORCH, pip_wheel, wheel

from orchestrator.model.codec import from_document, to_document
from orchestrator.model.deployment import HostLedger, Stamp
from orchestrator.model.verification import Verification

DEEPSPEED_WHEEL = wheel("deepspeed", "1.2.3+cpu", DEEPSPEED, requires=("torch", "hjson", "x; extra == 'dev'"))
HJSON_WHEEL = wheel("hjson", "3.1.0", {"hjson.py": ""})


class Host:
    """A virtual environment with a torch and no pip, an agent that holds the lock for d1, the bundle in its cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.site_packages,) = (folder / "venv").glob("lib/python3.*/site-packages")
        self.write(
            {
                **TORCH,
                "torch-2.13.0+cpu.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n",
            }
        )
        self.agent = AgentProcess(folder)
        self.parameters: dict[str, Any] = {
            "python": str(self.python),
            "way": "wheel",
            "version": "1.2.3+cpu",
            "pip": self.file("pip-99-py3-none-any.whl", pip_wheel()),
            "wheel": self.file("deepspeed-1.2.3+cpu-py3-none-any.whl", DEEPSPEED_WHEEL),
            "dependencies": [self.file("hjson-3.1.0-py3-none-any.whl", HJSON_WHEEL)],
            "need_bytes": 1000,
        }
        self.hold("d1")

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.site_packages / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def file(self, name: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        path = f"cache:wheels/{digest}/{name}"
        self.agent.put(path, content)
        return {"path": path, "sha256": digest, "size": len(content)}

    def has_deepspeed(self) -> None:
        """Put the tiny DeepSpeed there without pip, which takes its time."""
        self.write({**DEEPSPEED, "deepspeed-1.2.3+cpu.dist-info/RECORD": ""})

    def names(self) -> set[str]:
        return {path.name for path in self.site_packages.iterdir()}

    def verify(self, *ops: str, timeout_s: float = 60.0) -> Verification:
        asked = [{"name": op, "module": f"deepspeed.ops.{op}_op"} for op in ops]
        document = self.agent.ask(
            "verify", python=str(self.python), version="1.2.3+cpu", accelerator="cpu", ops=asked, timeout_s=timeout_s
        )
        return from_document(Verification, document)

    @property
    def prefix(self) -> str:
        return str(self.python.parent.parent)

    def hold(self, deployment: str) -> None:
        """Take the host's lock for a deployment; what is deployed from now on is that one."""
        self.parameters |= {"deployment": deployment, "author": "me@here", "stamp": self.stamp(deployment)}
        number = self.agent.begin("hold", deployment=deployment, author="me@here", pid=1)
        while (frame := self.agent.read()).get("event") != "held":
            assert "error" not in frame, frame
        self._hold = number
        committed = {ledger["prefix"]: ledger["committed"] for ledger in self.agent.ask("state")}
        self.parameters["committed"] = committed.get(self.prefix)

    def release(self) -> None:
        self.agent.send({"id": self._hold, "tell": {"do": "release"}})
        assert self.agent.end(self._hold) == {}

    def stamp(self, deployment: str) -> dict[str, Any]:
        stamp = Stamp(
            deployment=deployment,
            prefix=self.prefix,
            build_key="k",
            wheel_sha256="s",
            version="1.2.3+cpu",
            record_sha256="",
            torch_version="2.13.0+cpu",
            committed_at="2026-01-01T00:00:00Z",
            committed_by="me@here",
        )
        document: dict[str, Any] = to_document(stamp)
        return document

    def restart(self, deployment: str = "d1") -> None:
        """Have a new agent, with the lock for a deployment."""
        self.agent.hang_up()
        self.agent = AgentProcess(self.folder)
        self.hold(deployment)

    def step(self, operation: str) -> Any:
        """Take one of the steps after activate."""
        return self.agent.ask(operation, prefix=self.prefix, deployment=self.parameters["deployment"])

    def deploy(self, **parameters: Any) -> dict[str, Any]:
        """Go all the way from activate to commit, and return what activate said."""
        said: dict[str, Any] = self.agent.ask("activate", **{**self.parameters, **parameters})
        self.step("verified")
        self.step("commit")
        self.parameters["committed"] = self.parameters["deployment"]
        return said

    def ledger(self) -> HostLedger:
        (document,) = self.agent.ask("state")
        return from_document(HostLedger, document)

    def tree(self) -> Tree:
        """Return what is installed; scripts are."""
        return tree(self.site_packages, self.python.parent)

    def install_without_us(self, *wheels: tuple[str, str, Mapping[str, str]]) -> None:
        """Have the real pip put in wheels (name, version, files), as anybody would."""
        paths = []
        for name, version, files in wheels:
            path = self.folder / f"{name}-{version}-py3-none-any.whl"
            path.write_bytes(wheel(name, version, files))
            paths.append(str(path))
        options = ("--quiet", "--no-index", "--no-deps", "--root-user-action=ignore")
        pip = str(distribution("pip").locate_file("pip"))
        subprocess.run([str(self.python), pip, "install", *options, *paths], check=True)
