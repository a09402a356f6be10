"""Provides a CUDA toolkit out of NVIDIA's wheels on the package index, unpacked once in the builder's cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestrator.build.steps import DRIVERS, result_of
from orchestrator.errors import BuildError
from orchestrator.model.codec import digest_of
from orchestrator.model.toolchain import Toolchain
from orchestrator.ports import Command, PackageFile, PackageIndex, Remote, TargetTags

_DRIVER = "unpack_wheels.py"
_HAS_TIMEOUT_S = 120.0


class WheelToolchains:
    """Implements the port ToolchainProvider; `tell` gets a line whenever something begins that takes a while."""

    def __init__(self, index: PackageIndex, tell: Callable[[str], None]) -> None:
        self._index = index
        self._tell = tell
        self._fetching = threading.Lock()

    def provide(self, toolchain: Toolchain, remote: Remote, tags: TargetTags, python: str) -> tuple[str, ...]:
        """Return the folders that the wheels unpack to, such as `…/nvidia/cu13`; the one with nvcc comes first.

        Raises TransferError when a wheel cannot be fetched or sent, BuildError when they hold no compiler or cannot be
        unpacked.
        """
        wheels = self._fetch(toolchain.requirements, tags)
        folder = f"cache:toolchains/{digest_of(sorted(wheel.sha256 for wheel in wheels))}"
        remote.put(DRIVERS / _DRIVER, f"{folder}/{_DRIVER}")
        roots = _unpack(remote, folder, python, ())
        if not roots:
            self._send(wheels, remote, folder)
            self._tell(f"CUDA toolkit: unpacking {len(wheels)} wheels")
            roots = _unpack(remote, folder, python, [wheel.filename for wheel in wheels])
        return roots

    def _fetch(self, requirements: Sequence[str], tags: TargetTags) -> tuple[PackageFile, ...]:
        """Return the wheels; builds that run at the same time, for whatever Pythons, fetch them once.

        The toolkit's wheels are for every Python (`py3-none-manylinux…`).
        """
        self._tell(f"CUDA toolkit: {', '.join(requirements)}")
        any_python = replace(tags, python_version="3.10.0", abi_tag="cp310")
        with self._fetching:
            return self._index.wheels(requirements, any_python, constraints={})

    def _send(self, wheels: Sequence[PackageFile], remote: Remote, folder: str) -> None:
        """Send the wheels that an earlier run, killed half-way, has not sent; the agent compares the digests."""
        paths = {f"{folder}/wheels/{wheel.filename}": wheel for wheel in wheels}
        files = [{"path": path, "sha256": wheel.sha256} for path, wheel in paths.items()]
        for path in remote.request("has", {"files": files}, timeout_s=_HAS_TIMEOUT_S)["missing"]:
            self._tell(f"CUDA toolkit: sending {paths[path].filename}")
            remote.put(paths[path].path, path)


def _unpack(remote: Remote, folder: str, python: str, filenames: Sequence[str]) -> tuple[str, ...]:
    """Return the folders of the unpacked wheels; none when they are not unpacked and no file names are given."""
    completed = remote.run(Command(argv=(python, "-I", _DRIVER, *filenames), cwd=folder))
    if completed.returncode != 0:
        reason = next((line for line in reversed(completed.tail) if line.strip()), f"ended with {completed.returncode}")
        raise BuildError(
            f"the CUDA toolkit could not be unpacked on {remote.host}: {reason}",
            hint="build where a complete toolkit is installed: `toolchain: system` or `toolchain: host` in the recipe",
        )
    return tuple(result_of(completed))
