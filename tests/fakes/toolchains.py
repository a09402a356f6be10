"""A provider of toolchains that has them already; it keeps the contract of tests/build/test_toolchains.py."""

from __future__ import annotations

from orchestrator.errors import DsdeployError
from orchestrator.model.toolchain import Toolchain
from orchestrator.ports import Remote, TargetTags


class FakeToolchains:
    """Answers with `roots`, or raises `error`; `asked` remembers the toolchains and their builders."""

    def __init__(self, *roots: str, error: DsdeployError | None = None) -> None:
        self.asked: list[tuple[Toolchain, str]] = []
        self.roots = roots
        self.error = error

    def provide(
        self,
        toolchain: Toolchain,
        remote: Remote,
        tags: TargetTags,  # noqa: ARG002 - nothing is fetched
        python: str,  # noqa: ARG002 - nothing is unpacked
    ) -> tuple[str, ...]:
        self.asked.append((toolchain, remote.host))
        if self.error is not None:
            raise self.error
        return () if toolchain.cuda is None else self.roots
