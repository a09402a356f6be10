"""Keeps torch on the controller for builds that no host can do: one folder per Python tag and torch version."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

from packaging.version import Version

from orchestrator.build.order import BuildOrder, BuildTools
from orchestrator.build.steps import Workshop
from orchestrator.build.target import Target
from orchestrator.errors import BuildError
from orchestrator.model.events import BuildStep
from orchestrator.ports import Command


def keep_torch(target: Target, pip: str, order: BuildOrder, tools: BuildTools, shop: Workshop) -> Path:
    """Return a folder that holds the signature's torch for the target, installed there at first use.

    `pip` is the path of a pip that `target` can run. Raises BuildError when the package index has no such torch.
    """
    version = order.signature.torch_version
    folder = tools.cache / "torch" / f"{target.abi_tag}-{version}"
    if folder.is_dir():
        return folder

    def tell(line: str) -> None:
        if line.lstrip().startswith("Downloading"):
            tools.reporter.emit(BuildStep(wheel=order.signature.label, text=f"environment: {line.strip()}"))

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="partial-") as partial:
        made = Path(partial, "torch")
        install = (target.executable, pip, "install", "--progress-bar", "off", "--target", str(made))
        # The main index names some builds without their local part: its 2.11.0 is 2.11.0+cu130.
        try:
            shop.run("torch", Command(argv=(*install, f"torch=={version}")), on_line=tell)
        except BuildError:
            shop.run("torch", Command(argv=(*install, f"torch=={Version(version).public}")), on_line=tell)
        _check_version(made, version)
        with contextlib.suppress(OSError):  # another build was faster
            made.rename(folder)
    return folder


def _check_version(site_folder: Path, version: str) -> None:
    text = (site_folder / "torch" / "version.py").read_text(encoding="utf-8")
    match = re.search(r"^__version__ = '(.+)'", text, re.MULTILINE)
    found = match[1] if match else "an unknown version"
    if found != version:
        raise BuildError(
            f"the package index has torch {found}, not {version}",
            hint="configure pip with the index that has it, or let a host of the group build: --builder HOST",
        )
