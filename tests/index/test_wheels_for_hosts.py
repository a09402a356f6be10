"""Wheels for hosts that are not this machine: real pip, and a folder of hand-made wheels as the index."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.wheels import make_wheel

from orchestrator.errors import TransferError
from orchestrator.index.pip_index import PipIndex
from orchestrator.ports import TargetTags

pytestmark = pytest.mark.process

TAGS = TargetTags(python_version="3.8.18", abi_tag="cp38", machine="x86_64", glibc="2.31")


def environ_of(links: str | Path, **more: str) -> dict[str, str]:
    """The environment of a user whose only index is a folder."""
    own = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links)}
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **own, **more}


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("links")
    for name, version, tag, requires in (
        (
            "app",
            "1.0",
            "py3-none-any",
            ["dep>=1", 'backport; python_version < "3.9"', 'arm; platform_machine == "arm"'],
        ),
        ("dep", "1.0", "py3-none-any", []),
        ("dep", "2.0", "py3-none-any", []),
        ("backport", "1.0", "py3-none-any", []),
        ("native", "1.0", "cp38-cp38-manylinux_2_17_x86_64", []),
        ("native", "1.1", "cp38-abi3-manylinux2014_x86_64", []),
        ("native", "2.0", "cp38-cp38-manylinux_2_39_x86_64", []),
        ("native", "3.0", "cp311-cp311-manylinux_2_17_x86_64", []),
        ("native", "4.0", "cp38-cp38-manylinux_2_17_aarch64", []),
        ("wants-torch", "1.0", "py3-none-any", ["torch>=2"]),
        ("torch", "2.5.0", "py3-none-any", ["cuda-gigabytes"]),
        ("cuda-gigabytes", "1.0", "py3-none-any", []),
    ):
        make_wheel(folder, name=name, version=version, tag=tag, requires=requires)
    return folder


@pytest.fixture
def index(tmp_path: Path, links: Path) -> PipIndex:
    return PipIndex(tmp_path / "cache", environ=environ_of(links))


def names(
    index: PipIndex, *requirements: str, tags: TargetTags = TAGS, constraints: Mapping[str, str] | None = None
) -> list[str]:
    found = index.wheels(requirements, tags, constraints=constraints or {})
    return ["-".join(file.filename.split("-")[:2]) for file in found]


def test_dependencies_come_along_and_markers_follow_the_target(index: PipIndex) -> None:
    assert names(index, "app") == ["app-1.0", "backport-1.0", "dep-2.0"]
    newer = replace(TAGS, python_version="3.11.7", abi_tag="cp311")
    assert names(index, "app", tags=newer) == ["app-1.0", "dep-2.0"]


def test_the_newest_wheel_that_the_host_can_use_is_taken(index: PipIndex) -> None:
    unreadable = {"odd": "a version that pip cannot read", "-umpy": "1.0"}
    assert names(index, "native", constraints=unreadable) == ["native-1.1"]
    assert names(index, "native", tags=replace(TAGS, machine="aarch64")) == ["native-4.0"]


def test_what_the_host_has_is_neither_changed_nor_returned(index: PipIndex) -> None:
    constraints = {"Dep": "1.5", "backport": "0.1", "torch": "2.13.0+cpu"}
    assert names(index, "app", "backport", "wants-torch", constraints=constraints) == ["app-1.0", "wants_torch-1.0"]


def test_torch_is_never_fetched(index: PipIndex) -> None:
    with pytest.raises(TransferError, match="torch is needed and the host has none"):
        names(index, "wants-torch")


def test_a_version_of_the_host_that_does_not_do_is_told(index: PipIndex) -> None:
    with pytest.raises(TransferError) as raised:
        names(index, "app", constraints={"dep": "0.5"})
    assert raised.value.message.endswith("app 1.0 depends on dep>=1; the host has dep 0.5")


def test_a_package_without_a_wheel_for_the_host_is_named(index: PipIndex) -> None:
    with pytest.raises(TransferError) as raised:
        names(index, "native", tags=replace(TAGS, glibc="2.12"))
    assert raised.value.message.startswith("the package index has no wheel for cp38, x86_64, glibc 2.12 of native")
    assert "pip wheel" in str(raised.value.hint)


def test_a_requirement_is_never_an_option_of_pip(index: PipIndex, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="pip failed: Invalid requirement"):
        names(index, f"--dest={tmp_path}")


def test_no_requirements_need_no_pip(tmp_path: Path) -> None:
    assert PipIndex(tmp_path, environ={}).wheels([], TAGS, constraints={}) == ()


def test_a_second_time_nothing_is_asked(index: PipIndex, tmp_path: Path) -> None:
    first = index.wheels(["app", "native"], TAGS, constraints={"torch": "2.5.0"})
    offline = PipIndex(tmp_path / "cache", environ=environ_of("/nonexistent"))
    assert offline.wheels(["native", "app", "app"], TAGS, constraints={"torch": "2.5.0"}) == first
    assert all(file.path.is_file() for file in first)


def test_warnings_of_pip_do_not_confuse(tmp_path: Path, links: Path) -> None:
    lines: list[str] = []
    environ = environ_of(f"{links} /nonexistent/wheels", PIP_REQUIRE_VIRTUALENV="1")
    index = PipIndex(tmp_path, environ=environ, on_line=lines.append)
    assert names(index, "dep") == ["dep-2.0"]
    assert any(line.startswith("WARNING: Location") for line in lines)
    assert any(line.startswith("Processing") for line in lines)


def test_an_index_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    environ = {**environ_of(""), "PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    index = PipIndex(tmp_path, environ=environ)
    with pytest.raises(TransferError, match=r"could not be reached: .*Connection refused"):
        names(index, "dep")


def test_the_users_configured_index_is_used(tmp_path: Path) -> None:
    index = PipIndex(tmp_path, environ=os.environ)
    (file,) = index.wheels(["hjson==3.1.0"], TAGS, constraints={})
    assert file.filename == "hjson-3.1.0-py3-none-any.whl"
    assert file.sha256 == "65713cdcf13214fb554eb8b4ef803419733f4f5e551047c9b711098ab7186b89"
