"""The op catalogue."""

from __future__ import annotations

from importlib import resources

import yaml

from orchestrator.config.ops import load_op_catalogue, ops_for
from orchestrator.model.ops import Need
from orchestrator.model.signature import Accelerator

CATALOGUE = load_op_catalogue()
KEYS = {
    "name",
    "build_variable",
    "accelerators",
    "deepspeed",
    "needs",
    "depends_on",
    "is_empty",
    "never",
    "compile_cpu_s",
    "peak_memory_bytes",
}


def names_for(version: str, accelerator: Accelerator) -> set[str]:
    return {spec.name for spec in ops_for(CATALOGUE, version, accelerator)}


def test_the_catalogue_has_no_key_that_nobody_reads() -> None:
    entries = yaml.safe_load(resources.files("orchestrator.config").joinpath("ops.yaml").read_text(encoding="utf-8"))
    assert {key for entry in entries for key in entry} == KEYS


def test_an_op_is_there_once_for_each_accelerator() -> None:
    keys = [(spec.name, spec.accelerator) for spec in CATALOGUE]
    assert len(set(keys)) == len(keys)


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


def test_rocm_has_the_ops_of_cuda_and_needs_no_nvcc() -> None:
    assert names_for("0.19.8", Accelerator.ROCM) == names_for("0.19.8", Accelerator.CUDA)
    assert not [spec for spec in CATALOGUE if spec.accelerator is Accelerator.ROCM and Need.NVCC in spec.needs]


def test_asynchronous_io_needs_libaio_everywhere() -> None:
    specs = [spec for spec in CATALOGUE if spec.name == "async_io"]
    assert len(specs) == 3
    assert all(Need.LIBAIO in spec.needs and spec.depends_on == ("pin_memory",) for spec in specs)
