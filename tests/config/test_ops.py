"""The op catalogue."""

from __future__ import annotations

from importlib import resources

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from orchestrator.config.ops import load_op_catalogue, ops_for
from orchestrator.model.ops import Need
from orchestrator.model.signature import Accelerator

CATALOGUE = load_op_catalogue()
VERSIONS = ["0.15.0", "0.15.1", "0.16.8", "0.16.9", "0.18.7", "0.18.8", "0.19.6", "0.19.7", "0.19.8", "0.20.0"]
KEYS = {
    "name",
    "build_variable",
    "accelerators",
    "deepspeed",
    "needs",
    "depends_on",
    "is_empty",
    "never",
    "min_arch",
    "only_archs",
    "only_machines",
    "nvcc",
    "torch",
    "build_packages",
    "host_packages",
    "compile_cpu_s",
    "peak_memory_bytes",
}


def names_for(version: str, accelerator: Accelerator) -> set[str]:
    return {spec.name for spec in ops_for(CATALOGUE, version, accelerator)}


def test_the_catalogue_has_no_key_that_nobody_reads() -> None:
    entries = yaml.safe_load(resources.files("orchestrator.config").joinpath("ops.yaml").read_text(encoding="utf-8"))
    assert {key for entry in entries for key in entry} == KEYS


@pytest.mark.parametrize("accelerator", Accelerator)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_has_an_op_once(version: str, accelerator: Accelerator) -> None:
    names = [spec.name for spec in ops_for(CATALOGUE, version, accelerator)]
    assert len(set(names)) == len(names)
    assert names


def test_a_switch_belongs_to_one_op() -> None:
    assert len({spec.build_variable for spec in CATALOGUE}) == len({spec.name for spec in CATALOGUE})


def test_dependencies_are_ops_of_the_same_accelerator() -> None:
    for spec in CATALOGUE:
        assert set(spec.depends_on) <= names_for("0.19.8", spec.accelerator)


def test_versions_have_the_ops_that_they_have() -> None:
    assert "pin_memory" not in names_for("0.19.4", Accelerator.CPU)
    assert "pin_memory" in names_for("0.19.5", Accelerator.CPU)
    assert "cpu_lion" not in names_for("0.19.7", Accelerator.CPU)
    assert "sparse_attn" in names_for("0.19.6", Accelerator.CUDA)
    assert "sparse_attn" not in names_for("0.19.8.dev1", Accelerator.CUDA)


@pytest.mark.parametrize("version", ["0.18.8rc1", "0.18.8.dev3", "0.18.8.post1"])
def test_a_pre_release_has_the_ops_of_what_it_leads_to(version: str) -> None:
    (evoformer,) = [spec for spec in ops_for(CATALOGUE, version, Accelerator.CUDA) if spec.name == "evoformer_attn"]
    assert evoformer.never is None


def test_rocm_has_the_ops_of_cuda_and_none_of_its_limits() -> None:
    assert names_for("0.19.8", Accelerator.ROCM) == names_for("0.19.8", Accelerator.CUDA)
    for spec in CATALOGUE:
        if spec.accelerator is Accelerator.ROCM:
            assert not {Need.NVCC, Need.CUFILE, Need.NCCL} & set(spec.needs)
            assert (spec.min_arch, spec.only_archs, spec.nvcc, spec.host_packages) == (None, (), "", ())


def test_specifiers_and_requirements_can_be_read() -> None:
    for spec in CATALOGUE:
        assert [SpecifierSet(text) for text in (spec.deepspeed, spec.nvcc, spec.torch)]
        for package in (*spec.build_packages, *spec.host_packages):
            assert str(Requirement(package).specifier).startswith("==")


def test_asynchronous_io_needs_libaio_everywhere() -> None:
    specs = [spec for spec in CATALOGUE if spec.name == "async_io"]
    assert len(specs) == 3
    assert all(Need.LIBAIO in spec.needs and spec.depends_on == ("pin_memory",) for spec in specs)
