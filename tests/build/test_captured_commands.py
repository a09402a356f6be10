"""What becomes of DeepSpeed's own compiler commands before they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.build.drivers import build_ops

MACROS = ("-DNO_MAGIC",)
LIBRARY = "build/lib.linux-x86_64-cpython-312/deepspeed/ops/aio/async_io_op.so"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tree"
    for path in ("csrc/includes", "csrc/aio"):
        (folder / path).mkdir(parents=True)
    (folder / "csrc/plain.cpp").write_text("int f() { return 1; }")
    (folder / "csrc/kernel.cu").write_text("__global__ void f() {}")
    (folder / "csrc/binding.cpp").write_text("PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}")
    monkeypatch.chdir(folder)
    return folder


def job(source: str, *words: str, macros: tuple[str, ...] = ()) -> list[str]:
    command = ["g++", *words, "-c", source, "-o", "build/x.o", "-DTORCH_EXTENSION_NAME=async_io_op"]
    argv: list[str] = build_ops.job_of(command, macros)["argv"]
    return argv


@pytest.mark.usefixtures("tree")
def test_only_a_source_that_reads_the_modules_name_is_given_it() -> None:
    assert "-DTORCH_EXTENSION_NAME=async_io_op" not in job("csrc/plain.cpp")
    assert "-DTORCH_EXTENSION_NAME=async_io_op" in job("csrc/binding.cpp")


@pytest.mark.usefixtures("tree")
def test_libraries_named_to_a_compiler_mean_nothing_to_it() -> None:
    assert job("csrc/plain.cpp", "-lcufile") == job("csrc/plain.cpp")


@pytest.mark.usefixtures("tree")
def test_cuda_sources_are_known_and_given_the_macros() -> None:
    assert build_ops.job_of(["nvcc", "-c", "csrc/kernel.cu", "-o", "x.o"], MACROS) == {
        "source": "csrc/kernel.cu",
        "object": "x.o",
        "argv": ["nvcc", "-c", "csrc/kernel.cu", "-o", "x.o", "-DNO_MAGIC"],
        "is_cuda": True,
    }


@pytest.mark.usefixtures("tree")
def test_neither_other_sources_nor_those_with_headers_of_packages_are_given_the_macros() -> None:
    assert "-DNO_MAGIC" not in job("csrc/plain.cpp", macros=MACROS)
    assert "-DNO_MAGIC" not in job("csrc/kernel.cu", "-I.dsdeploy/packages/cutlass_library/source", macros=MACROS)


@pytest.mark.parametrize(
    ("text", "macros"),
    [
        ("thrust_me(); cubic::root();", build_ops.SAME_NAMES),
        ("#include <cub/cub.cuh>", ()),
        ("thrust::sort(a, b);", ()),
    ],
)
def test_a_tree_that_uses_cub_or_thrust_gets_no_macros_for_them(tree: Path, text: str, macros: tuple[str, ...]) -> None:
    (tree / "csrc/kernel.cu").write_text(text)
    (tree / ".dsdeploy/cuda").mkdir(parents=True)
    (tree / ".dsdeploy/cuda/thrust.h").write_text("namespace thrust:: {}")  # the toolkit's own does not count
    assert build_ops.cuda_macros() == macros


def test_no_folder_of_the_machine_is_left_in_a_command(tree: Path, tmp_path: Path) -> None:
    site, torch = tmp_path / "site-packages", tmp_path / "site-packages" / "torch"
    (torch / "include").mkdir(parents=True)
    words = [
        f"-I{tree}/csrc/includes",
        f"-I{torch}/include",
        f"-I{site}",
        f"-I{tree}",
        f"{tree}/.dsdeploy/cuda/bin/nvcc",
    ]
    paths = {str(torch): ".dsdeploy/torch", str(site): ".dsdeploy/packages"}
    found = build_ops.relative(words, paths)
    assert found == [
        "-I./csrc/includes",
        "-I.dsdeploy/torch/include",
        "-I.dsdeploy/packages",
        "-I.",
        "./.dsdeploy/cuda/bin/nvcc",
    ]


def test_a_folder_whose_name_only_begins_alike_is_left_alone(tree: Path) -> None:
    assert build_ops.relative([f"-D{tree}-2/x"], {}) == [f"-D{tree}-2/x"]


@pytest.mark.usefixtures("tree")
def test_search_folders_that_do_not_exist_are_left_out() -> None:
    assert build_ops.relative(["-I/no/such/folder", "-L/no/such/folder", "-lz"], {}) == ["-lz"]


@pytest.mark.usefixtures("tree")
def test_nvcc_is_not_told_to_take_more_than_its_share() -> None:
    assert build_ops.relative(["nvcc", "--threads=8", "-O3"], {}) == ["nvcc", "-O3"]


@pytest.mark.usefixtures("tree")
def test_a_library_looks_for_packages_from_where_it_lies() -> None:
    words = ["g++", "-Wl,-rpath,.dsdeploy/packages/dskernels", "-o", LIBRARY]
    assert "-Wl,-rpath,$ORIGIN/../../../dskernels" in build_ops.link_words(words, LIBRARY)


@pytest.mark.usefixtures("tree")
def test_a_library_looks_into_no_other_folder_of_the_machine() -> None:
    assert build_ops.link_words(["g++", "-Wl,-rpath,/opt/conda/lib", "-o", LIBRARY], LIBRARY) == ["g++", "-o", LIBRARY]


def test_with_a_toolkit_the_linker_finds_the_drivers_stub(tree: Path) -> None:
    (tree / ".dsdeploy/cuda").mkdir(parents=True)
    assert build_ops.link_words(["g++"], LIBRARY)[-1] == "-L.dsdeploy/cuda/lib64/stubs"


@pytest.mark.parametrize(("folder", "says_nothing"), [("/", True), ("/usr/lib", True), ("/home/me", False)])
def test_folders_that_every_machine_has_are_not_private(folder: str, says_nothing: bool) -> None:  # noqa: FBT001 - a case
    assert build_ops.is_everywhere(folder) is says_nothing


@pytest.mark.parametrize(
    ("cxx", "cc"),
    [
        ("/usr/bin/c++", "/usr/bin/cc"),
        ("g++-12", "gcc-12"),
        ("/opt/c++/x86_64-conda-linux-gnu-g++", "/opt/c++/x86_64-conda-linux-gnu-gcc"),
        ("/usr/bin/clang++-17", "/usr/bin/clang-17"),
        ("icpx", "icpx"),
    ],
)
def test_the_c_compiler_is_the_one_beside_the_cpp_compiler(cxx: str, cc: str) -> None:
    assert build_ops.c_compiler(cxx) == cc
