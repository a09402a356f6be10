"""The op catalogue, held against the op builders of DeepSpeed's real source."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fakes.hosts import make_facts
from packaging.specifiers import SpecifierSet
from upstream_trees import unpack_sdist

from orchestrator.config.ops import load_op_catalogue, ops_for
from orchestrator.config.recipe_text import parse_recipe
from orchestrator.model.ops import Need, OpSpec
from orchestrator.model.recipe import Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel, Signature
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.planning.archs import arch_of
from orchestrator.planning.op_needs import Circumstances, find_obstacle

ASK = Path(__file__).parent / "ask_op_builder.py"
VERSIONS = ["0.15.4", "0.16.9", "0.18.7", "0.18.8", "0.19.8"]
CAPABILITIES = ["5.0", "6.0", "6.1", "7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "9.0a", "10.0", "12.0"]
LIBRARIES = {Need.LIBAIO: "aio", Need.CUFILE: "cufile"}
TRITONS = {"2.2": "2.2.0", "2.3": "2.3.1", "2.4": "3.0.0", "2.5": "3.1.0", "2.6": "3.2.0", "2.7": "3.3.0"}
"""The triton that each torch brings."""
CATALOGUE = load_op_catalogue()
SIGNATURE = Signature(
    accelerator=Accelerator.CUDA,
    torch_version="2.3.0+cu121",
    python_tag="cp311",
    machine="x86_64",
    cpu_level=CpuLevel.X86_64_V3,
    glibc="2.36",
    glibcxx="3.4.30",
)
pytestmark = pytest.mark.process

Answers = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """The tree of one DeepSpeed version."""

    version: str
    tree: Path
    packages: Path
    """A folder to import a package from that looks like nvidia-cutlass."""

    def ask(
        self,
        accelerator: Accelerator = Accelerator.CUDA,
        *,
        torch: str = "2.3",
        libraries: Sequence[str] = tuple(LIBRARIES.values()),
        has_cutlass: bool = True,
    ) -> Answers:
        """Return what its builders say of a machine without a GPU that has all they need, but for what is said."""
        world = {
            "accelerator": accelerator.value,
            "torch": f"{torch}.0+cu121",
            "triton": TRITONS[torch],
            "cuda_home": "/usr/local/cuda",
            "libraries": libraries,
            "archs": CAPABILITIES,
        }
        return answers_of(self.tree, json.dumps(world), str(self.packages) if has_cutlass else "")

    def specs(self, accelerator: Accelerator = Accelerator.CUDA) -> dict[str, OpSpec]:
        """Return what the catalogue says of that version."""
        return {spec.name: spec for spec in ops_for(CATALOGUE, self.version, accelerator)}

    def possible(self) -> dict[str, OpSpec]:
        """Return the specs of ops that can be built on CUDA at all."""
        return {name: spec for name, spec in self.specs().items() if not spec.never}


@functools.cache
def answers_of(tree: Path, world: str, packages: str) -> Answers:
    ran = subprocess.run(
        [sys.executable, str(ASK), world],
        cwd=tree,
        env={"CUTLASS_PATH": "DS_USE_CUTLASS_PYTHON_BINDINGS", "PYTHONPATH": packages},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answers: Answers = json.loads(ran.stdout)
    return answers


@pytest.fixture(scope="module", params=VERSIONS)
def upstream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    folder = tmp_path_factory.mktemp("upstream")
    package = folder / "packages/cutlass_library"
    header = package / "source/include/cutlass/cutlass.h"
    header.parent.mkdir(parents=True)
    header.touch()
    (package / "__init__.py").touch()
    return Upstream(version=request.param, tree=unpack_sdist(request.param, folder), packages=folder / "packages")


@pytest.mark.parametrize("accelerator", [Accelerator.CPU, Accelerator.CUDA])
def test_the_catalogue_names_the_ops_and_switches_of_the_source(upstream: Upstream, accelerator: Accelerator) -> None:
    said = {name: answer["variable"] for name, answer in upstream.ask(accelerator).items()}
    assert said == {name: spec.build_variable for name, spec in upstream.specs(accelerator).items()}


def test_builders_compile_for_the_archs_that_the_catalogue_says(upstream: Upstream) -> None:
    answers = upstream.ask()
    for name, spec in upstream.possible().items():
        if Need.NVCC in spec.needs:
            expected = [capability for capability in CAPABILITIES if not obstacle_for(upstream, spec, capability)]
            assert (name, expected) == (name, answers[name]["archs"])


def test_with_all_that_the_catalogue_asks_for_every_op_is_compatible(upstream: Upstream) -> None:
    answers = upstream.ask()
    assert {name for name in upstream.possible() if not answers[name]["compatible"]} == set()


@pytest.mark.parametrize("need", LIBRARIES)
def test_without_a_library_the_ops_that_need_it_are_incompatible(upstream: Upstream, need: Need) -> None:
    answers = upstream.ask(libraries=[library for other, library in LIBRARIES.items() if other is not need])
    possible = upstream.possible()
    lost = {name for name in possible if not answers[name]["compatible"]}
    assert lost == {name for name, spec in possible.items() if need in spec.needs}


def test_without_cutlass_the_ops_with_its_package_are_incompatible(upstream: Upstream) -> None:
    answers = upstream.ask(has_cutlass=False)
    possible = upstream.possible()
    lost = {name for name in possible if not answers[name]["compatible"]}
    assert lost == {name for name, spec in possible.items() if packages_of(spec) == {"nvidia-cutlass"}}


def test_builders_that_import_dskernels_have_its_package(upstream: Upstream) -> None:
    answers = upstream.ask()
    missing = {name for name, answer in answers.items() if answer["missing"] == "dskernels"}
    assert missing == {name for name, spec in upstream.specs().items() if packages_of(spec) == {"deepspeed-kernels"}}


def test_ops_whose_source_speaks_of_nccl_need_it(upstream: Upstream) -> None:
    answers = upstream.ask()
    speaking = {name for name in answers if any("nccl" in text for text in texts_of(upstream.tree, answers[name]))}
    assert speaking == {name for name, spec in upstream.specs().items() if Need.NCCL in spec.needs}


@pytest.mark.parametrize("torch", TRITONS)
def test_torch_versions_are_those_whose_triton_the_builders_accept(upstream: Upstream, torch: str) -> None:
    answers = upstream.ask(torch=torch)
    for name, spec in upstream.possible().items():
        assert (name, SpecifierSet(spec.torch).contains(torch)) == (name, answers[name]["compatible"])


@pytest.mark.parametrize("accelerator", [Accelerator.CPU, Accelerator.CUDA])
def test_a_recipe_may_set_every_switch_of_the_source(upstream: Upstream, accelerator: Accelerator) -> None:
    answers = upstream.ask(accelerator)
    for name, answer in answers.items():
        text = f"deepspeed: {{version: {upstream.version}}}\nenv: {{{answer['variable']}: 0}}\n"
        assert parse_recipe(text, path=Path("/r/r.yaml"), catalogue=CATALOGUE).off == (name,)
        if not upstream.specs(accelerator)[name].never:
            text = text.replace(": 0}", ": 1, DS_BUILD_OPS: 0}")
            assert parse_recipe(text, path=Path("/r/r.yaml"), catalogue=CATALOGUE).wanted == (name,)


def obstacle_for(upstream: Upstream, spec: OpSpec, capability: str) -> str | None:
    """Why upstream's builder cannot compile the op for one GPU."""
    source = Source(kind=SourceKind.VERSION, value=upstream.version)
    given = Circumstances(
        recipe=Recipe(name="any", source=source),
        signature=replace(SIGNATURE, gpu_archs=(arch_of(capability),)),
        builder=make_facts(has_libaio=True),
        toolchain=Toolchain(kind=ToolchainKind.WHEELS, reason="", cxx="g++", cxx_version="12.2", cuda="13.0"),
    )
    return find_obstacle(replace(spec, torch="", nvcc="", only_archs=()), given)


def packages_of(spec: OpSpec) -> set[str]:
    return {package.partition("==")[0] for package in spec.build_packages}


def texts_of(tree: Path, answer: dict[str, Any]) -> list[str]:
    return [(tree / source).read_text(encoding="utf-8") for source in answer["sources"]]
