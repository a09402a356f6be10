"""Which platform tags a host takes."""

from __future__ import annotations

import platform

import pytest
from packaging import tags as machine_tags

from orchestrator.index.target import describe, pip_options, platform_tags
from orchestrator.ports import TargetTags


def target(glibc: str = "2.17", machine: str = "x86_64") -> TargetTags:
    return TargetTags(python_version="3.11.7", abi_tag="cp311", machine=machine, glibc=glibc)


def test_newer_tags_come_first_each_with_its_older_name_and_linux_last() -> None:
    assert platform_tags(target())[:3] == ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_16_x86_64")
    assert platform_tags(target())[-3:] == ("manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64")


def test_aarch64_begins_with_manylinux2014() -> None:
    assert platform_tags(target(machine="aarch64")) == (
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
        "linux_aarch64",
    )


@pytest.mark.parametrize("glibc", ["", "1.2", "3"])
def test_a_host_without_a_glibc_2_takes_linux_alone(glibc: str) -> None:
    assert platform_tags(target(glibc)) == ("linux_x86_64",)


def test_this_machine_takes_what_packaging_says() -> None:
    _libc, glibc = platform.libc_ver()
    assert set(platform_tags(target(glibc, platform.machine()))) == set(machine_tags.platform_tags())


def test_pip_is_asked_for_binaries_of_that_interpreter() -> None:
    options = pip_options(target(machine="aarch64"))
    assert options[:8] == [
        *("--only-binary", ":all:", "--python-version", "3.11.7"),
        *("--implementation", "cp", "--abi", "cp311"),
    ]
    assert options[8:10] == ["--platform", "manylinux_2_17_aarch64"]


def test_a_target_in_words() -> None:
    assert describe(target("2.36")) == "cp311, x86_64, glibc 2.36"
