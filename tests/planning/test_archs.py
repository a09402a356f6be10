from __future__ import annotations

import pytest

from orchestrator.model.recipe import PtxPolicy
from orchestrator.planning.archs import arch_list, arch_of, runs_on


@pytest.mark.parametrize(("capability", "arch"), [("9.0", "sm_90"), ("8.6", "sm_86"), ("12.0", "sm_120")])
def test_a_compute_capability_has_an_arch(capability: str, arch: str) -> None:
    assert arch_of(capability) == arch


@pytest.mark.parametrize(
    ("archs", "ptx", "text"),
    [
        ((), PtxPolicy.NEWEST, ""),
        (("sm_90",), PtxPolicy.NEVER, "9.0"),
        (("sm_90a",), PtxPolicy.NEVER, "9.0a"),
        (("sm_120", "sm_80", "sm_90"), PtxPolicy.NEVER, "8.0;9.0;12.0"),
        (("sm_120", "sm_80"), PtxPolicy.NEWEST, "8.0;12.0+PTX"),
    ],
)
def test_archs_become_torch_s_list(archs: tuple[str, ...], ptx: PtxPolicy, text: str) -> None:
    assert arch_list(archs, ptx) == text


def test_an_amd_arch_is_no_cuda_arch() -> None:
    with pytest.raises(ValueError, match="gfx942"):
        arch_list(("gfx942",), PtxPolicy.NEVER)


@pytest.mark.parametrize(
    ("code", "gpu", "runs"),
    [
        ("sm_80", "sm_80", True),
        ("sm_80", "sm_86", True),
        ("sm_86", "sm_80", False),
        ("sm_80", "sm_90", False),
        ("sm_90a", "sm_90", True),
        ("sm_100a", "sm_103", False),
        ("sm_100f", "sm_103", True),
        ("gfx942", "gfx942", True),
        ("gfx90a", "gfx942", False),
        ("sm_90", "gfx942", False),
    ],
)
def test_machine_code_runs_within_its_major_version(code: str, gpu: str, *, runs: bool) -> None:
    assert runs_on(code, gpu) is runs
