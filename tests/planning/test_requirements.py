from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.markers import default_environment
from planning_worlds import PYTHON, SYSTEM

from orchestrator.errors import InstallError
from orchestrator.model.facts import Interpreter
from orchestrator.planning.requirements import make_marker_environment, missing_requirements


def missing(*lines: str, interpreter: Interpreter = PYTHON) -> tuple[str, ...]:
    return missing_requirements(lines, interpreter, SYSTEM)


def with_installed(**distributions: str) -> Interpreter:
    return replace(PYTHON, distributions={name.replace("_", "-"): version for name, version in distributions.items()})


def test_what_is_installed_in_a_fitting_version_is_not_missing() -> None:
    assert missing("numpy", "numpy>=2", "NumPy<3") == ()


def test_what_is_absent_or_does_not_fit_is_missing() -> None:
    assert missing("einops", "numpy>=3", "pydantic>=2.0.0") == ("einops", "numpy>=3", "pydantic>=2.0.0")


def test_names_are_compared_normalised() -> None:
    assert missing("py_cpuinfo", interpreter=with_installed(py_cpuinfo="9.0.0")) == ()


def test_extras_are_not_asked_for() -> None:
    assert missing('accelerate; extra == "dev"', 'x; sys_platform == "linux" and extra == "dev"') == ()


def test_markers_are_evaluated_for_the_host() -> None:
    old = replace(PYTHON, version="3.8.18")
    line = 'tomli>=1; python_version < "3.11"'
    assert missing(line) == ()
    assert missing(line, interpreter=old) == ("tomli>=1",)
    aarch64 = replace(SYSTEM, machine="aarch64")
    assert missing_requirements(['sve; platform_machine == "aarch64"'], PYTHON, aarch64) == ("sve",)


def test_pre_releases_that_are_installed_count() -> None:
    assert missing("ninja>=1.11", interpreter=with_installed(ninja="1.12.0rc1")) == ()


def test_an_unreadable_version_does_not_count() -> None:
    assert missing("ninja>=1.11", interpreter=with_installed(ninja="git-main")) == ("ninja>=1.11",)


def test_the_asked_extra_of_a_requirement_is_kept() -> None:
    assert missing('pydantic[email]>=2; python_version > "3"') == ("pydantic[email]>=2",)


def test_torch_that_fits_is_left_alone_with_its_local_version() -> None:
    assert missing("torch>=2.0.0", "torch==2.13.*") == ()


@pytest.mark.parametrize("interpreter", [PYTHON, with_installed(numpy="2.3.1")])
def test_torch_is_never_fetched(interpreter: Interpreter) -> None:
    with pytest.raises(InstallError, match=r"torch==2\.12"):
        missing("torch==2.12.*", interpreter=interpreter)


def test_the_environment_has_every_variable_of_pep_508() -> None:
    assert set(make_marker_environment(PYTHON, SYSTEM)) == {*default_environment(), "extra"}
