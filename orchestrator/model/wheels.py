"""Built wheels: the file, and the manifest that says what was really found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from orchestrator.model.codec import digest_of
from orchestrator.model.recipe import Recipe, Source
from orchestrator.model.signature import Signature

BuildKey = NewType("BuildKey", str)
"""Digest of signature + recipe + source: finds a wheel."""
OpKey = NewType("OpKey", str)
"""Digest of one op's sources, flags, toolchain, torch build, Python and archs: finds one compiled library."""
Sha256 = NewType("Sha256", str)
"""Hex digest of a file: proves a wheel."""

MANIFEST_SCHEMA = "dsdeploy.manifest/1"
MANIFEST_NAME = "dsdeploy.json"
"""The manifest's file name inside `*.dist-info/`."""


def make_build_key(signature: Signature, recipe: Recipe) -> BuildKey:
    """Return the build key: equal inputs, equal key; the recipe's digest covers the source."""
    return BuildKey(digest_of(signature, recipe.digest())[:32])


def make_wheel_filename(version: str, signature: Signature) -> str:
    """Return the file name that DeepSpeed's setup.py gives a wheel with ops (PEP 427)."""
    python = signature.python_tag.rstrip("t")  # the ABI of a free-threaded Python ends with t: cp313-cp313t
    return f"deepspeed-{version}-{python}-{signature.python_tag}-linux_{signature.machine}.whl"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpRecord:
    """One op as it is in the wheel (read from the file), or the reason why it is not."""

    name: str
    is_built: bool
    reason: str = ""
    """Why it was skipped; empty when built."""
    module: str | None = None
    """Import name: `deepspeed.ops.adam.cpu_adam_op`."""
    path: str | None = None
    """Path inside the wheel."""
    sha256: str | None = None
    size_bytes: int | None = None
    gpu_archs: tuple[str, ...] = ()
    """Archs of the machine code (cubins) in it: `sm_90`; empty when it has none."""
    ptx_archs: tuple[str, ...] = ()
    """Virtual archs of the PTX in it: `compute_90`."""
    glibc: str | None = None
    """Highest GLIBC symbol version that it needs."""
    glibcxx: str | None = None
    needed: tuple[str, ...] = ()
    """DT_NEEDED libraries."""
    search_path: tuple[str, ...] = ()
    """Folders where the loader looks for them first: DT_RUNPATH, or the older DT_RPATH."""
    compile_s: float | None = None
    """Always None inside the wheel's own copy: equal inputs must give equal bytes."""

    @property
    def foreign_folders(self) -> tuple[str, ...]:
        """Those of the search path that belong to one machine: the others start at the library itself (ld.so(8))."""
        return tuple(folder for folder in self.search_path if not folder.startswith(("$ORIGIN", "${ORIGIN}")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a wheel is, written into its dist-info."""

    schema: str = MANIFEST_SCHEMA
    build_key: BuildKey
    signature: Signature
    recipe: str
    """The recipe's name."""
    recipe_digest: str
    source: Source
    source_sha256: str
    """Digest of the source archive or tree that was compiled."""
    deepspeed_version: str
    """Full version with its local part."""
    ops: tuple[OpRecord, ...]
    compilers: Mapping[str, str] = field(default_factory=dict)
    """Name → version line."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """What was set for the CPU and GPU: `march`, `simd`, `archs`."""
    glibc: str | None = None
    """Highest over all ops: the wheel's true floor."""
    glibcxx: str | None = None

    @property
    def built_ops(self) -> tuple[str, ...]:
        """Names of the ops that the wheel holds, in manifest order."""
        return tuple(op.name for op in self.ops if op.is_built)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A wheel in the store, or one given with `--wheel`."""

    sha256: Sha256
    filename: str
    size_bytes: int
    manifest: Manifest
