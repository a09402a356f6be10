"""What goes into which interpreter of a host: a wheel, what was kept there before, or what another host writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.model.codec import to_document
from orchestrator.model.deployment import DeploymentIdentity, Stamp
from orchestrator.model.facts import Facts
from orchestrator.model.history import HostRecord
from orchestrator.model.wheels import Artifact
from orchestrator.ports import Parcel, Remote
from orchestrator.stages.bundle import Bundle
from orchestrator.stages.verify import VerifyOrder

_UNPACKED_RATIO = 5
"""A wheel needs about this many times its size on disk while it is unpacked beside what it replaces."""

FindVerification = Callable[[Remote], VerifyOrder | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """A wheel goes in, by pip."""

    artifact: Artifact
    bundle: Bundle

    def parameters(self) -> dict[str, Any]:
        """Return what the agent must know of it."""
        return {
            "way": "wheel",
            "pip": {"path": self.bundle.pip.path},
            "wheel": _file(self.bundle.wheel),
            "dependencies": [_file(parcel) for parcel in self.bundle.dependencies],
            "need_bytes": self.bundle.size_bytes * _UNPACKED_RATIO,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSource:
    """What an earlier deployment replaced goes back in."""

    id: str
    """Of the model's `Kept`."""

    def parameters(self) -> dict[str, Any]:
        """Return what the agent must know of it."""
        return {"way": "kept", "kept": self.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSource:
    """Another host, which shares the folder, puts it in."""

    def parameters(self) -> dict[str, Any]:
        """Return what the agent must know of it."""
        return {"way": "follow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallOrder:
    """What one host is to have."""

    python: str
    prefix: str
    """`sys.prefix` of that interpreter: what the host's ledger is kept under."""
    source: WheelSource | KeptSource | SharedSource
    version: str | None
    """DeepSpeed's version afterwards; None when it is to be gone."""
    before: str | None
    """DeepSpeed's version now."""
    committed: str | None = None
    """The deployment that the plan found there; when another one was committed since, nothing is changed."""
    stamp: Stamp | None
    """What commit leaves on the host, its digest of RECORD still empty; None when it is not ours to stamp."""
    find_verification: FindVerification
    """Says, once it is installed, what must work; None when nothing can be asked of it."""

    @property
    def bundle(self) -> Bundle | None:
        """The files that the host needs; None when it needs none."""
        return self.source.bundle if isinstance(self.source, WheelSource) else None

    def parameters(self, identity: DeploymentIdentity) -> dict[str, Any]:
        """Return the agent's parameters for `stage` and `activate`."""
        return {
            **self.source.parameters(),
            "python": self.python,
            "version": self.version,
            "committed": self.committed,
            "deployment": identity.id,
            "author": identity.author,
            "stamp": to_document(self.stamp),
        }

    def record(self, host: str) -> HostRecord:
        """Return what the journal keeps of it."""
        return HostRecord(
            host=host,
            version=self.version,
            before=self.before,
            wheel_sha256=self.stamp.wheel_sha256 if self.stamp else None,
            build_key=self.stamp.build_key if self.stamp else None,
            prefix=self.prefix,
        )

    def following(self) -> InstallOrder:
        """Return the order of a host that shares the folder with the one that carries this out."""
        return replace(self, source=SharedSource())


def order_wheel(
    artifact: Artifact, bundle: Bundle, *, python: str, facts: Facts, identity: DeploymentIdentity
) -> InstallOrder:
    """Return the order that brings a wheel to a host whose interpreter was found."""
    interpreter, manifest = facts.interpreter, artifact.manifest
    assert interpreter is not None  # the audit asks for one
    before = interpreter.deepspeed.version if interpreter.deepspeed else None
    verification = VerifyOrder.of_manifest(manifest, python)
    stamp = Stamp(
        deployment=identity.id,
        prefix=interpreter.prefix,
        build_key=manifest.build_key,
        wheel_sha256=artifact.sha256,
        version=manifest.deepspeed_version,
        record_sha256="",
        torch_version=manifest.signature.torch_version,
        committed_at=identity.started_at,
        committed_by=identity.author,
        gpus=tuple(gpu.name for gpu in facts.gpus),
        driver=next((gpu.driver for gpu in facts.gpus), None),
        torch_file=interpreter.torch.file if interpreter.torch else None,
        replaced=before,
    )
    return InstallOrder(
        python=python,
        prefix=interpreter.prefix,
        source=WheelSource(artifact=artifact, bundle=bundle),
        version=manifest.deepspeed_version,
        before=before,
        committed=facts.committed,
        stamp=stamp,
        find_verification=lambda _remote: verification,
    )


def _file(parcel: Parcel) -> dict[str, Any]:
    return {"path": parcel.path, "sha256": parcel.sha256, "size": parcel.size_bytes}
