"""Provides a CUDA toolkit that the builder has already: the controller's own, or a host's."""

from __future__ import annotations

import posixpath
import re

from orchestrator.errors import BuildError
from orchestrator.model.toolchain import Toolchain
from orchestrator.ports import Command, Remote, TargetTags

_PLAN_AGAIN = "the builder changed since it was planned: plan again"


class InstalledToolchains:
    """Implements the port ToolchainProvider; nothing is fetched, nothing is changed."""

    def provide(
        self,
        toolchain: Toolchain,
        remote: Remote,
        tags: TargetTags,  # noqa: ARG002 - nothing is fetched
        python: str,  # noqa: ARG002 - nothing is unpacked
    ) -> tuple[str, ...]:
        """Return the toolkit's folder, after its nvcc was run there.

        An nvcc that only calls another one is followed to its toolkit. Raises BuildError when nvcc is gone or of
        another version.
        """
        if toolchain.cuda_home is None:
            return ()
        nvcc = f"{toolchain.cuda_home}/bin/nvcc"
        version = _ask(remote, r"release [\d.]+, V([\d.]+)", nvcc, "--version")
        if version is None:
            raise BuildError(f"{nvcc} on {remote.host} does not run any more", hint=_PLAN_AGAIN)
        if version != toolchain.nvcc_version:
            raise BuildError(
                f"{nvcc} on {remote.host} is version {version}, not {toolchain.nvcc_version}", hint=_PLAN_AGAIN
            )
        top = _ask(remote, r"#\$ TOP=(.+)", nvcc, "--dryrun", "-x", "cu", "--compile", "/dev/null")
        return (posixpath.normpath(top or toolchain.cuda_home),)


def _ask(remote: Remote, pattern: str, *argv: str) -> str | None:
    """Return what the pattern finds in what a program says; it may be missing: `env` then ends with 127."""
    completed = remote.run(Command(argv=("env", *argv), timeout_s=60))
    matches = (re.search(pattern, line) for line in completed.tail)
    return next((match[1] for match in matches if match), None)
