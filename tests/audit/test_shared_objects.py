"""Reading real shared objects: small ones compiled here, and the machine's own libstdc++."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.audit.shared_objects import highest_version, read_shared_object, version_order
from orchestrator.model.audit import SharedObject

pytestmark = pytest.mark.process

FATBINS = Path(__file__).parents[1] / "captures" / "fatbin"

C_SOURCE = """
#include <stdio.h>
#include <string.h>
void *copy(void *to, void *from) { puts("copied"); return memcpy(to, from, 1000000); }
"""
CPP_SOURCE = """
#include <stdexcept>
#include <string>
#include <vector>
std::string join(const std::vector<std::string>& words) {
    std::string all;
    for (const auto& word : words) all += word;
    if (all.empty()) throw std::runtime_error("no words");
    return all;
}
"""


def compile_object(folder: Path, source: str, *flags: str, language: str = "c") -> Path:
    (folder / "op.src").write_text(source)
    target = folder / "op.so"
    program = "gcc" if language == "c" else "g++"
    command = [program, "-x", language, "op.src", "-x", "none", "-shared", "-fPIC", "-O1", "-o", str(target), *flags]
    subprocess.run(command, cwd=folder, check=True)
    return target


def readelf(path: Path, *options: str) -> str:
    return subprocess.run(["readelf", "-W", *options, path], check=True, capture_output=True, text=True).stdout


def the_libstdcxx() -> Path:
    answer = subprocess.run(["g++", "-print-file-name=libstdc++.so.6"], check=True, capture_output=True, text=True)
    return Path(answer.stdout.strip()).resolve()


@pytest.fixture(scope="module")
def cpp_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_object(
        tmp_path_factory.mktemp("cpp"), CPP_SOURCE, "-g", "-Wl,-rpath,$ORIGIN:/opt/lib", language="c++"
    )


def test_a_c_object_needs_glibc_alone(tmp_path: Path) -> None:
    found = read_shared_object(compile_object(tmp_path, C_SOURCE))
    assert found.machine == platform.machine()
    assert found.needed == ("libc.so.6",)
    assert found.glibc is not None
    assert version_order(found.glibc) >= (2, 2, 5)
    assert found.glibcxx is None
    assert found.cxxabi is None
    assert found.search_path == ()
    assert not found.has_debug_sections
    assert not found.has_device_code


def test_a_cpp_object_needs_libstdcxx(cpp_object: Path) -> None:
    found = read_shared_object(cpp_object)
    assert "libstdc++.so.6" in found.needed
    assert found.glibcxx is not None
    assert version_order(found.glibcxx) >= (3, 4, 21)
    assert found.cxxabi is not None
    assert found.size_bytes == cpp_object.stat().st_size


def test_debug_sections_and_search_path_are_seen(cpp_object: Path) -> None:
    found = read_shared_object(cpp_object)
    assert found.has_debug_sections
    assert found.search_path == ("$ORIGIN", "/opt/lib")


def test_the_older_rpath_is_seen_too(tmp_path: Path) -> None:
    flags = ("-Wl,--disable-new-dtags", "-Wl,-rpath,/opt/old")
    assert read_shared_object(compile_object(tmp_path, C_SOURCE, *flags)).search_path == ("/opt/old",)


def test_stripping_takes_the_debug_sections_away(cpp_object: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "op.so"
    subprocess.run(["strip", "--strip-debug", "-o", stripped, cpp_object], check=True)
    before, after = read_shared_object(cpp_object), read_shared_object(stripped)
    assert not after.has_debug_sections
    assert after.size_bytes < before.size_bytes
    assert (after.needed, after.glibc, after.glibcxx) == (before.needed, before.glibc, before.glibcxx)


def add_section(library: Path, name: str, content: Path, folder: Path) -> Path:
    target = folder / f"with{name}.so"
    subprocess.run(["objcopy", "--add-section", f"{name}={content}", library, target], check=True)
    return target


def test_cuda_code_is_read_out_of_its_section(cpp_object: Path, tmp_path: Path) -> None:
    assert read_shared_object(cpp_object).gpu_archs == ()
    found = read_shared_object(
        add_section(cpp_object, ".nv_fatbin", FATBINS / "sm_80+sm_90+compute_90.fatbin", tmp_path)
    )
    assert found.has_device_code
    assert (found.gpu_archs, found.ptx_archs) == (("sm_80", "sm_90"), ("compute_90",))


def test_hip_code_is_only_noticed(cpp_object: Path, tmp_path: Path) -> None:
    (tmp_path / "code").write_bytes(b"__CLANG_OFFLOAD_BUNDLE__")
    found = read_shared_object(add_section(cpp_object, ".hip_fatbin", tmp_path / "code", tmp_path))
    assert found.has_device_code
    assert (found.gpu_archs, found.ptx_archs) == ((), ())


def test_cuda_code_that_cannot_be_read_is_said_to_be_there(cpp_object: Path, tmp_path: Path) -> None:
    (tmp_path / "code").write_bytes(b"cubin")
    found = read_shared_object(add_section(cpp_object, ".nv_fatbin", tmp_path / "code", tmp_path))
    assert found.has_device_code
    assert (found.gpu_archs, found.ptx_archs) == ((), ())
    assert found.unread_gpu_code == "a fat binary is cut off at byte 0"


def find_nvcc() -> str | None:
    home = os.environ.get("CUDA_HOME")
    return shutil.which("nvcc", path=f"{home}/bin" if home else None)


@pytest.mark.skipif(find_nvcc() is None, reason="no nvcc on PATH or in CUDA_HOME")
def test_what_a_real_nvcc_compiles_now_is_read(tmp_path: Path) -> None:
    nvcc = find_nvcc()
    assert nvcc is not None
    (tmp_path / "kernel.cu").write_text("__global__ void store(int *p) { *p = 1; }")
    archs = ["-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90a,code=[sm_90a,compute_90a]"]
    command = [nvcc, "-shared", "-Xcompiler", "-fPIC", "-cudart", "none", *archs, "kernel.cu", "-o", "kernel.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = read_shared_object(tmp_path / "kernel.so")
    assert (found.gpu_archs, found.ptx_archs) == (("sm_80", "sm_90a"), ("compute_90a",))


def test_an_object_that_needs_nothing(tmp_path: Path) -> None:
    found = read_shared_object(compile_object(tmp_path, "", "-nostdlib"))
    assert (found.needed, found.glibc, found.glibcxx, found.cxxabi) == ((), None, None, None)


def test_bytes_and_file_give_the_same(cpp_object: Path) -> None:
    assert read_shared_object(cpp_object.read_bytes()) == read_shared_object(cpp_object)


def test_the_machines_libstdcxx_agrees_with_readelf() -> None:
    path = the_libstdcxx()
    found: SharedObject = read_shared_object(path)
    needs = readelf(path, "--version-info").partition("Version needs section")[2]
    words = [word for word in needs.split() if word.startswith("GLIBC_")]
    assert found.glibc == highest_version("GLIBC", words)
    assert "libc.so.6" in found.needed
    assert found.glibcxx is None


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"MZ" * 100, b"import torch\n"])
def test_what_is_no_elf_file_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="no readable ELF file"):
        read_shared_object(content)


def test_versions_are_compared_by_number() -> None:
    assert highest_version("GLIBC", ["GLIBC_2.9", "GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_PRIVATE"]) == "2.34"
    assert highest_version("GLIBCXX", ["GLIBC_2.34", "GLIBCXX_3.4.9", "GLIBCXX_3.4.30", "GLIBCXX_LDBL_3.4"]) == "3.4.30"
    assert highest_version("CXXABI", []) is None
