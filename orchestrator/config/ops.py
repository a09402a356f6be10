"""The ops that DeepSpeed can compile, from the catalogue beside this module."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import yaml

from orchestrator.model.codec import from_document
from orchestrator.model.ops import Need, OpSpec
from orchestrator.model.signature import Accelerator

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's is 7 times faster, and not in every PyYAML."""

_CUDA_ONLY_KEYS = {"min_arch", "only_archs", "nvcc"}
_CUDA_ONLY_NEEDS = {Need.NVCC, Need.CUFILE, Need.NCCL}
"""What an entry that serves CUDA and ROCm says of CUDA alone: ROCm compiles the same sources with tools of its own."""


@functools.cache
def load_op_catalogue() -> tuple[OpSpec, ...]:
    """Return every op of every known DeepSpeed version, one value per accelerator."""
    text = resources.files(__package__).joinpath("ops.yaml").read_text(encoding="utf-8")
    entries = yaml.load(text, Loader=_Loader)  # noqa: S506 - both loaders are the safe ones
    return tuple(spec for entry in entries for spec in _specs_of(entry))


def ops_for(catalogue: Sequence[OpSpec], version: str, accelerator: Accelerator) -> tuple[OpSpec, ...]:
    """Return the ops that a DeepSpeed version (PEP 440) has on an accelerator, in catalogue order."""
    return tuple(spec for spec in catalogue if spec.accelerator is accelerator and spec.exists_in(version))


def _specs_of(entry: Mapping[str, Any]) -> Iterator[OpSpec]:
    for accelerator in from_document(tuple[Accelerator, ...], entry["accelerators"]):
        keys = dict(entry)
        if accelerator is not Accelerator.CUDA:
            keys = {key: value for key, value in entry.items() if key not in _CUDA_ONLY_KEYS}
            keys["needs"] = [need for need in entry.get("needs", []) if need not in _CUDA_ONLY_NEEDS]
        yield from_document(OpSpec, {**keys, "accelerator": accelerator.value})
