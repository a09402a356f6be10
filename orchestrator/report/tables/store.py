"""The wheels of the store: all of them, or one with everything that its manifest says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from orchestrator.model.signature import Signature
from orchestrator.model.wheels import Artifact, Manifest, OpRecord
from orchestrator.report.page import BAD, GOOD, Drawing, Page, line, make_details, make_table, said, stacked, titled
from orchestrator.report.tables.recipe import source_words
from orchestrator.report.wording import count, duration, size

DIGITS = 12
"""How much of a digest people are shown; the store finds a wheel by six."""


def store_table(artifacts: Sequence[Artifact]) -> RenderableType:
    """Draw a row per wheel."""
    return Drawing(lambda _: _table(artifacts))


def artifact_details(artifact: Artifact) -> RenderableType:
    """Draw all of one wheel: what it is for, its ops as built or skipped, flags and compilers."""
    return Drawing(lambda _: _details(artifact))


def findings_block(findings: Sequence[tuple[str, str, str | None]]) -> RenderableType:
    """Say what is wrong in the store: path, problem and hint of each finding."""
    return Drawing(lambda page: _findings(findings, page))


def _findings(findings: Sequence[tuple[str, str, str | None]], page: Page) -> RenderableType:
    if not findings:
        return said((page.marks.good, GOOD), "every wheel is whole")
    return stacked(*(said((page.marks.bad, BAD), f"{path}: {problem}", hint) for path, problem, hint in findings))


def _table(artifacts: Sequence[Artifact]) -> RenderableType:
    if not artifacts:
        return line("the store is empty")
    return make_table(("SHA256", "DEEPSPEED", "FOR", "RECIPE", "OPS", "SIZE"), map(_row, artifacts))


def _row(artifact: Artifact) -> Sequence[str]:
    manifest = artifact.manifest
    return (
        artifact.sha256[:DIGITS],
        manifest.deepspeed_version.partition("+")[0],
        manifest.signature.label,
        manifest.recipe,
        str(len(manifest.built_ops)),
        size(artifact.size_bytes),
    )


def _details(artifact: Artifact) -> RenderableType:
    manifest = artifact.manifest
    return stacked(
        titled(artifact.filename, make_details(_wheel_rows(artifact))),
        titled("for hosts with", make_details(_signature_rows(manifest.signature))),
        titled("built with", make_details(_build_rows(manifest))),
        _ops([op for op in manifest.ops if op.is_built]),
        _skipped([op for op in manifest.ops if not op.is_built]),
    )


def _wheel_rows(artifact: Artifact) -> Iterator[tuple[str, str]]:
    manifest = artifact.manifest
    yield "sha256", artifact.sha256
    yield "size", size(artifact.size_bytes)
    yield "DeepSpeed", manifest.deepspeed_version
    yield "recipe", f"{manifest.recipe} ({manifest.recipe_digest[:DIGITS]})"
    yield "source", f"{source_words(manifest.source)} ({manifest.source_sha256[:DIGITS]})"
    yield "build key", manifest.build_key
    yield "needs", _floors(manifest.glibc, manifest.glibcxx) or "no versioned symbol of glibc or libstdc++"
    if manifest.signature.gpu_archs:
        yield "GPU code", _gpu_code_words(manifest.ops)


def _signature_rows(signature: Signature) -> Iterator[tuple[str, str]]:
    yield "accelerator", " ".join([signature.accelerator.value, *signature.gpu_archs])
    runtimes = [("CUDA", signature.torch_cuda), ("HIP", signature.torch_hip)]
    runtime = "".join(f", {name} {version}" for name, version in runtimes if version)
    yield "torch", f"{signature.torch_version}{runtime}, C++11 ABI {'yes' if signature.cxx11_abi else 'no'}"
    yield "Python", signature.python_tag
    yield "machine", f"{signature.machine}, {signature.cpu_level.value} or above"
    yield "system", f"{_floors(signature.glibc, signature.glibcxx)} or above"


def _build_rows(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield from manifest.compilers.items()
    yield from manifest.flags.items()


def _ops(ops: Sequence[OpRecord]) -> RenderableType:
    return make_table(("OP", "SIZE", "SHA256", "NEEDS", "GPU CODE", "COMPILED IN"), map(_op_row, ops))


def _op_row(op: OpRecord) -> Sequence[str]:
    return (
        op.name,
        "" if op.size_bytes is None else size(op.size_bytes),
        (op.sha256 or "")[:DIGITS],
        _floors(op.glibc, op.glibcxx),
        _gpu_code([op]),
        "" if op.compile_s is None else duration(op.compile_s),
    )


def _gpu_code_words(ops: Sequence[OpRecord]) -> str:
    """Sum up the GPU code of a wheel: `sm_80 sm_90 + PTX compute_90, in 16 ops`."""
    holders = [op for op in ops if op.gpu_archs or op.ptx_archs]
    return f"{_gpu_code(holders)}, in {count(len(holders), 'op')}" if holders else "none"


def _gpu_code(ops: Sequence[OpRecord]) -> str:
    archs = " ".join(dict.fromkeys(arch for op in ops for arch in op.gpu_archs))
    ptx = " ".join(dict.fromkeys(arch for op in ops for arch in op.ptx_archs))
    return " + ".join(words for words in (archs, f"PTX {ptx}" if ptx else "") if words)


def _skipped(ops: Sequence[OpRecord]) -> RenderableType | None:
    return titled("not in it", make_details((op.name, op.reason) for op in ops)) if ops else None


def _floors(glibc: str | None, glibcxx: str | None) -> str:
    return ", ".join(f"{name} {version}" for name, version in (("GLIBC", glibc), ("GLIBCXX", glibcxx)) if version)
