"""Wheels made by hand: real files, a few hundred bytes each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wheel.wheelfile import WheelFile

from orchestrator.model.codec import canonical_json
from orchestrator.model.recipe import Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.model.wheels import MANIFEST_NAME, BuildKey, Manifest, OpRecord


def make_signature(**changes: object) -> Signature:
    values: dict[str, object] = {
        "accelerator": Accelerator.CPU,
        "torch_version": "2.13.0+cpu",
        "python_tag": "cp311",
        "machine": "x86_64",
        "cpu_level": CpuLevel.X86_64_V3,
        "glibc": "2.36",
        "glibcxx": "3.4.30",
    }
    return Signature(**{**values, **changes})  # type: ignore[arg-type]


def make_manifest(**changes: object) -> Manifest:
    values: dict[str, object] = {
        "build_key": BuildKey("0123456789abcdef0123456789abcdef"),
        "signature": make_signature(),
        "recipe": "cpu-training",
        "recipe_digest": "d" * 64,
        "source": Source(kind=SourceKind.VERSION, value="0.19.8"),
        "source_sha256": "e" * 64,
        "deepspeed_version": "0.19.8+torch2.13.cpu",
        "ops": (OpRecord(name="cpu_adam", is_built=True, module="deepspeed.ops.adam.cpu_adam_op"),),
    }
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


def make_wheel(
    folder: Path,
    *,
    name: str = "deepspeed",
    version: str = "0.19.8+torch2.13.cpu",
    tag: str = "cp311-cp311-linux_x86_64",
    files: Mapping[str, bytes] | None = None,
    requires: Sequence[str] = (),
    manifest: Manifest | None = None,
) -> Path:
    """A valid wheel with a right RECORD, and our manifest when one is given."""
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    metadata += [f"Requires-Dist: {requirement}\n" for requirement in requires]
    with WheelFile(path, "w") as wheel:
        for inside, content in (files or {}).items():
            wheel.writestr(inside, content)
        wheel.writestr(f"{wheel.dist_info_path}/METADATA", "".join(metadata).encode())
        wheel.writestr(f"{wheel.dist_info_path}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        if manifest is not None:
            wheel.writestr(f"{wheel.dist_info_path}/{MANIFEST_NAME}", canonical_json(manifest))
    return path
