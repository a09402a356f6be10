"""What of a finished wheel is refused, and what is written down of it: made from values, no compiler runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from build_parts import SIGNATURE, make_order, make_spec

from orchestrator.build.assembly import Assembly
from orchestrator.build.manifest import Draft, make_manifest
from orchestrator.build.ops import CompiledOp
from orchestrator.errors import BuildError
from orchestrator.model.recipe import BuildStrategy, PtxPolicy
from orchestrator.model.signature import Accelerator

CUDA = replace(
    SIGNATURE,
    accelerator=Accelerator.CUDA,
    gpu_archs=("sm_75", "sm_80"),
    torch_version="2.11.0+cu130",
    torch_cuda="13.0",
)
CUDA_SPECS = tuple(
    replace(spec, accelerator=Accelerator.CUDA)
    for spec in (make_spec("cpu_adam"), make_spec("fused_adam"), make_spec("ragged_ops", min_arch="sm_80"))
)
ROCM = replace(CUDA, accelerator=Accelerator.ROCM, gpu_archs=("gfx942",), torch_cuda=None, torch_hip="6.4")
WORKSHOP = "/home/b/.cache/dsdeploy/work"


@dataclass(frozen=True)
class Library:
    """What was read from a library."""

    gpu_archs: tuple[str, ...] = ()
    ptx_archs: tuple[str, ...] = ()
    has_device_code: bool = False
    has_debug_sections: bool = False
    glibc: str | None = "2.34"
    glibcxx: str | None = "3.4.21"
    needed: tuple[str, ...] = ("libc10.so",)
    search_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What was read from a wheel."""

    shared_objects: Mapping[str, Library]
    installed_ops: Mapping[str, bool] = field(default_factory=dict)
    accelerator: str | None = "cuda"


def gpu_library(*archs: str, ptx: tuple[str, ...] = ()) -> Library:
    return Library(gpu_archs=archs, ptx_archs=ptx, has_device_code=True)


RIGHT = {
    "cpu_adam": Library(),
    "fused_adam": gpu_library("sm_75", "sm_80"),
    "ragged_ops": gpu_library("sm_80"),
}


def make_draft(changes: Mapping[str, Library] | None = None, *, content: bytes = b"\x7fELF", **order: object) -> Draft:
    """The draft of a CUDA wheel of three ops; `changes` are other libraries than the right ones."""
    libraries = {f"ops/{op}_op.so": library for op, library in {**RIGHT, **(changes or {})}.items()}
    return Draft(
        order=make_order(**{"specs": CUDA_SPECS, "signature": CUDA, **order}),  # type: ignore[arg-type]
        assembly=Assembly(wheel="w", modules={op: f"ops.{op}_op" for op in RIGHT}, compilers={"nvcc": "13.0"}),
        compiled=(),
        source_sha256="0" * 64,
        version="0.19.8+x",
        members=dict.fromkeys(libraries, content),
        contents=Contents(libraries, dict.fromkeys(RIGHT, True)),
        cuda_ops=frozenset({"fused_adam", "ragged_ops"}),
        private_paths=("/root", WORKSHOP),
    )


def refusal(draft: Draft) -> str:
    with pytest.raises(BuildError) as caught:
        make_manifest(draft)
    return caught.value.message


def with_recipe(draft: Draft, **changes: object) -> Draft:
    recipe = replace(draft.order.recipe, **changes)  # type: ignore[arg-type]
    return replace(draft, order=replace(draft.order, recipe=recipe))


def test_what_was_read_is_what_is_written_down() -> None:
    searched = replace(RIGHT["fused_adam"], glibc="2.38", search_path=("$ORIGIN/../lib",))
    manifest = make_manifest(make_draft({"fused_adam": searched}))
    cpu_adam, fused_adam, ragged_ops = manifest.ops
    assert (cpu_adam.gpu_archs, cpu_adam.ptx_archs) == ((), ())
    assert fused_adam.gpu_archs == ("sm_75", "sm_80")
    assert fused_adam.search_path == ("$ORIGIN/../lib",)
    assert fused_adam.needed == ("libc10.so",)
    assert ragged_ops.gpu_archs == ("sm_80",)
    assert (manifest.glibc, manifest.glibcxx) == ("2.38", "3.4.21")
    assert manifest.flags["archs"] == "7.5;8.0"


@pytest.mark.parametrize(
    ("op", "library", "says"),
    [
        ("fused_adam", gpu_library("sm_80"), "fused_adam holds GPU code for sm_80, ordered was sm_75, sm_80"),
        ("fused_adam", gpu_library("sm_75", "sm_80", "sm_90"), "for sm_75, sm_80, sm_90, ordered"),
        ("fused_adam", gpu_library(ptx=("compute_80",)), "holds GPU code for none, ordered"),
        ("ragged_ops", gpu_library("sm_75", "sm_80"), "ragged_ops holds GPU code for sm_75, sm_80, ordered was sm_80"),
        ("cpu_adam", gpu_library("sm_90"), "cpu_adam holds GPU code for sm_90"),
        (
            "fused_adam",
            gpu_library("sm_75", "sm_80", ptx=("compute_80",)),
            "holds PTX for compute_80, ordered was none",
        ),
        ("fused_adam", Library(), "fused_adam has sources for GPUs, and no GPU code"),
        ("cpu_adam", Library(has_debug_sections=True), "cpu_adam has debug sections"),
        ("cpu_adam", Library(search_path=("/opt/conda/lib",)), "cpu_adam looks for libraries in /opt/conda/lib"),
    ],
)
def test_a_library_that_is_not_what_was_ordered_is_refused(op: str, library: Library, says: str) -> None:
    assert says in refusal(make_draft({op: library}))


def test_all_faults_of_all_ops_are_told_together() -> None:
    told = refusal(make_draft({"fused_adam": Library(has_debug_sections=True), "ragged_ops": Library()}))
    assert len(told.splitlines()) == len(("headline", "no GPU code", "debug sections", "no GPU code"))


def test_ptx_is_there_exactly_where_it_was_ordered() -> None:
    ptx = ("compute_80",)
    both = {"fused_adam": gpu_library("sm_75", "sm_80", ptx=ptx), "ragged_ops": gpu_library("sm_80", ptx=ptx)}
    manifest = make_manifest(with_recipe(make_draft(both), ptx=PtxPolicy.NEWEST))
    assert manifest.ops[1].ptx_archs == ptx
    told = refusal(with_recipe(make_draft({"fused_adam": both["fused_adam"]}), ptx=PtxPolicy.NEWEST))
    assert "ragged_ops holds PTX for none, ordered was compute_80" in told
    assert "fused_adam" not in told


def test_unstripped_libraries_pass_where_the_recipe_keeps_debug_sections() -> None:
    draft = make_draft({"cpu_adam": Library(has_debug_sections=True)})
    assert make_manifest(with_recipe(draft, strip=False)).built_ops == tuple(RIGHT)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\0" + WORKSHOP.encode() + b"/torch/Exception.h\0", f"{WORKSHOP}/torch/Exception.h"),
        (b"-I/root/include \0", "/root/include"),
        (b"/root\0", "/root"),
    ],
)
def test_a_library_that_names_a_folder_of_the_builder_is_refused(content: bytes, named: str) -> None:
    assert f"fused_adam names {named}, which only the builder has" in refusal(make_draft(content=content))


@pytest.mark.parametrize("content", [b"/rootless/x", b"/root-2", b"csrc/adam/fused_adam.cu", b"/home/b/.cache"])
def test_other_names_do_no_harm(content: bytes) -> None:
    assert make_manifest(make_draft(content=content)).built_ops == tuple(RIGHT)


def test_upstreams_own_command_may_leave_its_paths() -> None:
    draft = make_draft(content=b"/root/include")
    assert make_manifest(with_recipe(draft, strategy=BuildStrategy.UPSTREAM)).built_ops == tuple(RIGHT)


def test_a_library_that_setup_compiled_again_is_refused() -> None:
    draft = make_draft()
    digest = hashlib.sha256(b"\x7fELF").hexdigest()
    good = replace(draft, compiled=(CompiledOp(op="cpu_adam", sha256=digest, compile_s=1.0),))
    assert make_manifest(good).ops[0].sha256 == digest
    bad = replace(draft, compiled=(CompiledOp(op="cpu_adam", sha256="1" * 64, compile_s=1.0),))
    assert "setup.py compiled cpu_adam again" in refusal(bad)


def test_a_wheel_that_deepspeed_made_for_the_cpu_is_refused() -> None:
    draft = make_draft()
    contents = replace(draft.contents, accelerator="cpu")  # type: ignore[type-var]
    assert refusal(replace(draft, contents=contents)) == "DeepSpeed made a wheel for cpu, ordered was cuda"


def test_the_archs_of_hip_code_are_not_read_but_it_must_be_there() -> None:
    hip = dict.fromkeys(("fused_adam", "ragged_ops"), Library(has_device_code=True))
    assert make_manifest(make_draft(hip, signature=ROCM)).ops[1].gpu_archs == ()
    assert "ragged_ops has sources for GPUs" in refusal(make_draft({**hip, "ragged_ops": Library()}, signature=ROCM))
