"""Asks DeepSpeed's own builders for the commands that compile its ops, and reads them as values."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.build.steps import result_of
from orchestrator.build.tree import Tree
from orchestrator.errors import BuildError
from orchestrator.model.codec import digest_of, from_document
from orchestrator.model.wheels import OpKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileJob:
    """One source file of one op; all paths are relative to the tree's root."""

    source: str
    object: str
    argv: tuple[str, ...]
    is_cuda: bool

    @property
    def content(self) -> tuple[str, ...]:
        """What the object depends on: two jobs that are equal in it make equal objects."""
        return tuple(word for word in self.argv if word != self.object)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpCommands:
    """All that makes one op's library."""

    module: str
    """Import name: `deepspeed.ops.adam.cpu_adam_op`."""
    library: str
    """Path in the tree: `build/lib.…/deepspeed/ops/adam/cpu_adam_op.….so`."""
    jobs: tuple[CompileJob, ...]
    link: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The commands of every op of a build, and what their results depend on beside them."""

    ops: Mapping[str, OpCommands]
    identity: Mapping[str, str]
    """Compilers, torch, Python, C library, and the digest of the tree's sources."""
    private_paths: tuple[str, ...]
    """Folders of the builder that no library may name."""

    def key_of(self, op: str) -> OpKey:
        """Return the digest of everything that shapes this op's library; no path of a machine is in it."""
        return OpKey(digest_of(self.ops[op], self.identity)[:32])

    @property
    def cuda_ops(self) -> frozenset[str]:
        """The ops that have CUDA sources."""
        return frozenset(name for name, op in self.ops.items() if any(job.is_cuda for job in op.jobs))


def capture_commands(tree: Tree) -> Captured:
    """Return the commands of the order's ops; raises BuildError with every op whose builder refuses."""
    result = tree.shop.path("commands.json")
    names = [spec.name for spec in tree.order.built_specs]
    told = result_of(tree.shop.run("commands", tree.command("commands", result, *names)))
    with tempfile.TemporaryDirectory(dir=tree.shop.logs) as folder:  # too long for a line of output
        copy = Path(folder, "commands.json")
        tree.shop.remote.get(told["path"], copy)
        document = json.loads(copy.read_text(encoding="utf-8"))
    _refuse_errors(document["ops"], names)
    return from_document(Captured, document)


def _refuse_errors(ops: Mapping[str, Mapping[str, str]], names: Sequence[str]) -> None:
    faults = [f"{name}: {ops[name]['error']}" for name in names if "error" in ops[name]]
    if faults:
        raise BuildError(
            "\n  ".join(["DeepSpeed's own builders refuse before anything is compiled:", *faults]),
            hint="take the op out with `ops: skip` in the recipe, or give the builder what it lacks",
        )
