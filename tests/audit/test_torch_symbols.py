"""Torch's symbols: found in libraries, told apart, and named as people know them."""

from __future__ import annotations

from pathlib import Path

import pytest
from crafted_objects import compile_calling, compile_op

from orchestrator.audit.shared_objects import read_shared_object
from orchestrator.audit.torch_symbols import demangle, find_cxx11_abi, is_of_torch, library_of

CHECK_FAIL = "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
OLD_CHECK_FAIL = "_ZN3c106detail14torchCheckFailEPKcS2_jRKSs"
WRAP = "_Z16THPVariable_WrapRKN2at10TensorBaseE"


@pytest.mark.parametrize(
    "symbol",
    [
        CHECK_FAIL,
        WRAP,
        "_ZNK2at10TensorBase8data_ptrIfEEPT_v",
        "_ZTVN5torch8autograd12AutogradMetaE",
        "_ZTIN3c105ErrorE",
        "_ZN6caffe28TypeMeta13typeMetaDatasEv",
        "THPVariableClass",
        "aoti_torch_empty_strided",
    ],
)
def test_what_is_torchs_is_known(symbol: str) -> None:
    assert is_of_torch(symbol)


@pytest.mark.parametrize(
    "symbol",
    [
        "_ZNSt6vectorIN2at6TensorESaIS1_EED1Ev",
        "PyLong_FromLong",
        "_ZN4at22fooEv",
        "_ZN8pybind1112cpp_functionC1Ev",
        "puts",
    ],
)
def test_what_is_not_torchs_is_left_alone(symbol: str) -> None:
    assert not is_of_torch(symbol)


@pytest.mark.parametrize(
    ("symbol", "library"),
    [
        (CHECK_FAIL, "libc10.so"),
        ("_ZN3c104cuda20getCurrentCUDAStreamEa", "libc10_cuda.so"),
        ("_ZN2at4cuda26getCurrentDevicePropertiesEv", "libtorch_cuda.so"),
        (WRAP, "libtorch_python.so"),
        ("_ZN2at4_ops5zeros4callEv", "libtorch_cpu.so"),
    ],
)
def test_a_symbol_belongs_to_the_library_of_its_namespace(symbol: str, library: str) -> None:
    assert library_of(symbol) == library


@pytest.mark.parametrize(
    ("symbols", "abi"),
    [
        ([CHECK_FAIL], True),
        ([OLD_CHECK_FAIL], False),
        (["_ZN3c105ErrorC2ENS_14SourceLocationESs"], False),
        (["_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"], True),
        (["_ZN3c106detail19maybe_wrap_dim_slowIlEET_S2_S2_b"], None),
        ([], None),
    ],
)
def test_the_abi_is_told_by_strings(symbols: list[str], abi: bool | None) -> None:  # noqa: FBT001 - an expected value
    assert find_cxx11_abi(symbols) is abi


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        (CHECK_FAIL, "c10::detail::torchCheckFail"),
        ("_ZN3c105ErrorC2ENS_14SourceLocationESs", "c10::Error::Error"),
        ("_ZN3c1013MessageLoggerD1Ev", "c10::MessageLogger::~MessageLogger"),
        ("_ZNK3c1010TensorImpl4dataEv", "c10::TensorImpl::data"),
        ("_ZTVN5torch8autograd12AutogradMetaE", "torch::autograd::AutogradMeta"),
        ("_ZN3c10lsERSoNS_6DeviceE", "_ZN3c10lsERSoNS_6DeviceE"),
        ("_ZNK2at10TensorBase8data_ptrIfEEPT_v", "_ZNK2at10TensorBase8data_ptrIfEEPT_v"),
        ("_ZN3c10", "_ZN3c10"),
        ("_ZN3c1099E", "_ZN3c1099E"),
        (WRAP, WRAP),
        ("puts", "puts"),
        ("", ""),
    ],
)
def test_plain_names_are_demangled_and_others_left(symbol: str, name: str) -> None:
    assert demangle(symbol) == name


@pytest.mark.process
def test_a_librarys_undefined_torch_symbols_are_read(tmp_path: Path) -> None:
    library = read_shared_object(compile_calling(tmp_path, OLD_CHECK_FAIL, WRAP, "PyLong_FromLong"))
    assert library.torch_symbols == tuple(sorted((OLD_CHECK_FAIL, WRAP)))
    assert library.cxx11_abi is False


@pytest.mark.process
def test_what_it_defines_or_can_do_without_is_not_needed(tmp_path: Path) -> None:
    source = f"""
void {CHECK_FAIL}(void) {{}}
__attribute__((weak)) void {OLD_CHECK_FAIL}(void);
void use(void) {{ {CHECK_FAIL}(); if ({OLD_CHECK_FAIL}) {OLD_CHECK_FAIL}(); }}
"""
    assert read_shared_object(compile_op(tmp_path, source)).torch_symbols == ()


@pytest.mark.process
def test_whether_names_were_stripped_is_seen(tmp_path: Path) -> None:
    assert not read_shared_object(compile_calling(tmp_path, CHECK_FAIL)).is_stripped
    stripped = read_shared_object(compile_calling(tmp_path, CHECK_FAIL, flags=("-s",)))
    assert stripped.is_stripped
    assert stripped.torch_symbols == (CHECK_FAIL,)
