"""What one host must hold before anything is installed: the wheel, pip, and the dependencies that it lacks."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import InstallError
from orchestrator.model.codec import digest_of
from orchestrator.model.facts import Facts, Interpreter, System
from orchestrator.model.wheels import Artifact
from orchestrator.planning.requirements import kept_distributions, missing_requirements
from orchestrator.ports import PackageFile, PackageIndex, Parcel, Store, TargetTags

PIP = "pip>=23.1"
"""Sent along and run from its own wheel: environments made by uv have no pip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Everything that goes to one host; hosts need no internet."""

    wheel: Parcel
    pip: Parcel
    dependencies: tuple[Parcel, ...]

    @property
    def parcels(self) -> tuple[Parcel, ...]:
        """All files, the wheel first."""
        return (self.wheel, self.pip, *self.dependencies)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(parcel.size_bytes for parcel in self.parcels)


def wheel_parcel(artifact: Artifact, store: Store) -> Parcel:
    """Return a stored wheel as it goes to hosts; raises StoreError when the file is not what its digest says."""
    return Parcel(
        source=store.path_of(artifact),
        path=f"cache:wheels/{artifact.sha256}/{artifact.filename}",
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
    )


class Bundler:
    """Makes the bundles of one wheel's hosts; hosts in which the same is installed share one."""

    def __init__(self, wheel: Parcel, requires: tuple[str, ...], index: PackageIndex) -> None:
        """Take the wheel and its Requires-Dist lines."""
        self._wheel = wheel
        self._requires = requires
        self._index = index
        self._made: dict[str, Bundle] = {}

    def bundle_for(self, facts: Facts) -> Bundle:
        """Return the bundle of one host.

        Raises InstallError when the host has no interpreter, and TransferError when a dependency cannot be had.
        """
        interpreter = facts.interpreter
        if interpreter is None:
            raise InstallError(f"no target interpreter: {facts.interpreter_error}")
        tags = target_tags(interpreter, facts)
        key = digest_of(tags, facts.system.kernel, interpreter.distributions)  # all that markers and tags look at
        if key not in self._made:
            self._made[key] = self._make(tags, interpreter, facts.system)
        return self._made[key]

    def _make(self, tags: TargetTags, interpreter: Interpreter, system: System) -> Bundle:
        missing = missing_requirements(self._requires, interpreter, system)
        kept = kept_distributions(interpreter, missing)
        dependencies = self._index.wheels(missing, tags, constraints=kept) if missing else ()
        (pip,) = self._index.wheels((PIP,), tags, constraints={})
        return Bundle(wheel=self._wheel, pip=_parcel(pip), dependencies=tuple(_parcel(file) for file in dependencies))


def target_tags(interpreter: Interpreter, facts: Facts) -> TargetTags:
    """Return for what wheels must be compatible to be installed on this host."""
    return TargetTags(
        python_version=interpreter.version,
        abi_tag=interpreter.abi_tag,
        machine=facts.system.machine,
        glibc=facts.system.glibc or "",
    )


def _parcel(file: PackageFile) -> Parcel:
    return Parcel(
        source=file.path,
        path=f"cache:wheels/{file.sha256}/{file.filename}",
        sha256=file.sha256,
        size_bytes=file.path.stat().st_size,
    )
