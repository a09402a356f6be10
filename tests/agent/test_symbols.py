"""Which symbols a torch lacks: its libraries read by their hash tables alone, as a real agent does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest
from agent_client import AgentProcess, Refused, working_python

from orchestrator.agent.symbols import Exports

pytestmark = pytest.mark.process

ERROR = "_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
ZEROS = "_ZN2at4_ops5zeros4callEv"
MANY = tuple(f"_ZN3c106Number{number}Ev" for number in range(500))
SOURCE = """
void global(void) {}
__attribute__((weak)) void weak(void) {}
__attribute__((visibility("protected"))) void protected(void) {}
__attribute__((visibility("hidden"))) void hidden(void) {}
static void local(void) {}
int number = 1;
void undefined(void);
__attribute__((weak)) void undefined_weak(void);
void use(void) { local(); hidden(); undefined(); if (undefined_weak) undefined_weak(); }
"""


def compile_library(folder: Path, name: str, source: str, *flags: str) -> Path:
    target = folder / name
    command = ["gcc", "-x", "c", "-", "-shared", "-fPIC", "-nostdlib", "-o", str(target), *flags]
    subprocess.run(command, input=source.encode(), check=True)
    return target


def defining(*symbols: str) -> str:
    return "".join(f"void {symbol}(void) {{}}\n" for symbol in symbols)


@pytest.mark.parametrize("style", ["gnu", "sysv", "both"])
def test_exactly_what_a_library_exports_is_found(tmp_path: Path, style: str) -> None:
    exports = Exports(compile_library(tmp_path, "a.so", SOURCE, f"-Wl,--hash-style={style}").read_bytes())
    names = ("global", "weak", "protected", "hidden", "local", "number", "undefined", "undefined_weak", "use", "none")
    assert {name for name in names if exports.has(name.encode())} == {"global", "weak", "protected", "number", "use"}


@pytest.mark.parametrize("style", ["gnu", "sysv"])
def test_every_one_of_many_is_found_and_none_that_is_alike(tmp_path: Path, style: str) -> None:
    exports = Exports(compile_library(tmp_path, "a.so", defining(*MANY), f"-Wl,--hash-style={style}").read_bytes())
    assert all(exports.has(name.encode()) for name in MANY)
    assert not any(exports.has(name.encode()[:-1]) for name in MANY)
    assert not any(exports.has(name.encode() + b"v") for name in MANY)


def test_a_library_that_exports_nothing_is_read(tmp_path: Path) -> None:
    exports = Exports(compile_library(tmp_path, "a.so", "").read_bytes())
    assert not exports.has(b"global")


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF\x01\x01" + bytes(100), b"\x7fELF\x02\x02" + bytes(100)])
def test_what_is_no_such_library_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        Exports(content)


def test_a_library_without_dynamic_symbols_is_refused(tmp_path: Path) -> None:
    compile_library(tmp_path, "a.so", "", "-c")
    with pytest.raises(ValueError, match="no dynamic table"):
        Exports((tmp_path / "a.so").read_bytes())


@pytest.fixture
def torch(tmp_path: Path) -> Path:
    """A torch with two libraries, in a virtual environment of this Python."""
    venv.create(tmp_path / "venv", symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python3.*/site-packages")
    folder = site / "torch"
    (folder / "lib").mkdir(parents=True)
    (site / "torch-2.13.0.dist-info").mkdir()
    (site / "torch-2.13.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "version.py").write_text("__version__ = '2.13.0'\n")
    compile_library(folder / "lib", "libc10.so", defining(ERROR))
    compile_library(folder / "lib", "libtorch_cpu.so", defining(ZEROS, *MANY))
    (folder / "lib" / "libother.so").write_text("no library")
    return folder


def ask(torch: Path, symbols: object, python: str | None = None) -> object:
    with AgentProcess(torch.parents[4], python=python or "python3") as agent:
        return agent.ask("symbols", python=str(torch.parents[3] / "bin" / "python"), symbols=symbols)


def test_only_the_misses_come_back(torch: Path) -> None:
    wanted = {"libc10.so": [ERROR, "_ZN3c104GoneEv"], "libtorch_cpu.so": [ZEROS, *MANY]}
    assert ask(torch, wanted) == {"missing": {"libc10.so": ["_ZN3c104GoneEv"]}, "unread": None}


def test_a_symbol_may_be_in_another_library_than_its_name_says(torch: Path) -> None:
    assert ask(torch, {"libc10.so": [MANY[0]], "libtorch_cuda.so": [ZEROS]}) == {"missing": {}, "unread": None}


def test_an_agent_of_the_oldest_python_answers_the_same(torch: Path) -> None:
    python = working_python("3.8")
    if python is None:
        pytest.skip("no Python 3.8")
    assert ask(torch, {"libc10.so": [ERROR, "_ZN3c104GoneEv"]}, python) == {
        "missing": {"libc10.so": ["_ZN3c104GoneEv"]},
        "unread": None,
    }


def test_a_torch_of_conda_has_its_libraries_beside_python(torch: Path) -> None:
    (torch / "lib" / "libc10.so").rename(torch.parents[2] / "libc10.so")
    assert ask(torch, {"libc10.so": [ERROR, ZEROS]}) == {"missing": {}, "unread": None}


def test_a_torch_whose_libraries_are_elsewhere_is_told_and_refuses_nothing(torch: Path) -> None:
    shutil.rmtree(torch / "lib")
    answer = ask(torch, {"libc10.so": [ERROR]})
    assert isinstance(answer, dict)
    assert answer["missing"] == {}
    assert answer["unread"].startswith(f"there is no libc10.so in {torch}/lib or ")


def test_a_library_that_is_cut_off_is_told(torch: Path) -> None:
    os.truncate(torch / "lib" / "libc10.so", 200)
    with pytest.raises(Refused, match=r"libc10\.so cannot be read as a library"):
        ask(torch, {"libc10.so": [ERROR]})


def test_an_empty_library_is_told(torch: Path) -> None:
    os.truncate(torch / "lib" / "libc10.so", 0)
    with pytest.raises(Refused, match=r"libc10\.so cannot be read as a library"):
        ask(torch, {"libc10.so": [ERROR]})


def test_an_interpreter_without_torch_is_told(torch: Path) -> None:
    shutil.rmtree(torch)
    shutil.rmtree(torch.with_name("torch-2.13.0.dist-info"))
    with pytest.raises(Refused, match="has no torch"):
        ask(torch, {})


def test_a_request_of_another_shape_is_refused(torch: Path) -> None:
    with pytest.raises(Refused) as refused:
        ask(torch, [ERROR])
    assert refused.value.kind == "usage"
