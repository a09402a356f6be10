"""Logs of failures, and what is said of them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.diagnosis.catalogue import Catalogue, Entry, Scope, load_catalogue
from orchestrator.diagnosis.compiler_errors import first_error
from orchestrator.diagnosis.diagnose import Diagnosis, diagnose

LOGS = Path(__file__).parents[1] / "captures" / "logs"
CATALOGUE = load_catalogue()
COMPATIBLE_CUDA = (
    "Installed CUDA version 12.4 does not match the version torch was compiled with 12.8 "
    "but since the APIs are compatible, accepting this combination"
)
KNOWN = [entry for entry in CATALOGUE.entries if entry.errors]


def lines_of(name: str) -> list[str]:
    return (LOGS / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def diagnosis_of(name: str) -> Diagnosis:
    found = diagnose(lines_of(name), CATALOGUE)
    assert found is not None
    return found


def test_every_entry_has_a_log_and_every_log_an_entry() -> None:
    assert sorted(path.stem for path in LOGS.glob("*.txt")) == sorted(entry.id for entry in KNOWN)


@pytest.mark.parametrize("entry", KNOWN, ids=lambda entry: entry.id)
def test_a_log_is_diagnosed_as_what_it_is(entry: Entry) -> None:
    found = diagnosis_of(entry.id)
    assert found.id == entry.id
    assert found.command
    assert found.line in lines_of(entry.id)[found.line_number - 1]


@pytest.mark.parametrize("entry", CATALOGUE.entries, ids=lambda entry: entry.id)
def test_what_an_entry_shows_is_caught_by_all_its_patterns(entry: Entry) -> None:
    texts = f"{entry.cause} {entry.fix} {entry.command}"
    shown = {name for _, name, _, _ in string.Formatter().parse(texts) if name}
    for pattern in entry.errors:
        assert shown <= set(re.compile(pattern).groupindex)


def test_entries_are_unique_and_say_something() -> None:
    ids = [entry.id for entry in CATALOGUE.entries]
    assert len(set(ids)) == len(ids)
    assert len(KNOWN) >= 20
    for entry in CATALOGUE.entries:
        assert entry.cause.endswith(".")
        assert entry.fix.endswith(".")
        assert entry.errors or entry.noise


def test_the_values_of_the_line_are_in_the_cause() -> None:
    found = diagnosis_of("cuda-major-mismatch")
    assert found.values == {"nvcc": "13.0", "torch": "12.8"}
    assert "13.0" in found.cause
    assert "12.8" in found.cause


def test_noise_alone_is_no_diagnosis() -> None:
    log = [
        "\x1b[93m [WARNING] \x1b[0m async_io requires the dev libaio .so object and headers but these were not found.",
        "\x1b[93m [WARNING] \x1b[0m please install triton==1.0.0 if you want to use sparse attention",
        COMPATIBLE_CUDA,
        "x.h:1:2: warning: AVX512F vector return without AVX512F enabled changes the ABI [-Wpsabi]",
        "AttributeError: 'DeepSpeedCPUAdam' object has no attribute 'ds_opt_adam'",
    ]
    assert diagnose(log, CATALOGUE) is None


def test_the_first_known_error_wins() -> None:
    log = [*lines_of("python-headers-missing"), *lines_of("compiler-killed-out-of-memory")]
    found = diagnose(log, CATALOGUE)
    assert found is not None
    assert found.id == "python-headers-missing"


def test_an_unknown_compiler_error_is_not_blamed_on_what_follows() -> None:
    log = ["csrc/adam/cpu_adam.cpp:7:1: error: expected ';' before '}' token", *lines_of("parallel-build-collision")]
    assert diagnose(log, CATALOGUE) is None


def test_a_diagnosis_is_reached_without_reading_on() -> None:
    def log() -> Iterator[str]:
        yield from lines_of("oneccl-missing")
        raise AssertionError("read past the error")

    found = diagnose(log(), CATALOGUE)
    assert found is not None
    assert found.id == "oneccl-missing"


@given(st.lists(st.text(max_size=200), max_size=20))
def test_any_text_can_be_read(lines: list[str]) -> None:
    found = diagnose(lines, CATALOGUE)
    assert found is None or found.line_number <= len(lines)
    first_error(lines)


def test_a_catalogue_without_entries_knows_nothing() -> None:
    assert diagnose(lines_of("oneccl-missing"), Catalogue(entries=())) is None


def test_a_brace_in_a_value_is_no_format() -> None:
    entry = Entry(id="x", scope=Scope.BUILD, cause="found {what}", fix="none", errors=("bad (?P<what>.*)",))
    found = diagnose(["bad {cause} {0}"], Catalogue(entries=(entry,)))
    assert found is not None
    assert found.cause == "found {cause} {0}"


@pytest.mark.parametrize(
    ("log", "file", "source", "text"),
    [
        ("oneccl-missing", "csrc/cpu/comm/ccl.cpp", "csrc/cpu/comm/ccl.cpp", "oneapi/ccl.hpp: No such file"),
        ("cuda-library-not-found", None, None, "cannot find -lcurand"),
        ("gpu-arch-unknown-to-nvcc", None, None, "Unsupported gpu architecture 'compute_60'"),
        ("compiler-killed-out-of-memory", None, None, "Killed signal terminated program cc1plus"),
        (
            "python-headers-missing",
            "/home/ml/venv/lib/python3.11/site-packages/torch/include/torch/csrc/python_headers.h",
            "t17.cpp",
            "Python.h: No such file",
        ),
        (
            "avx512-macro-without-march",
            "/usr/lib/gcc/x86_64-linux-gnu/12/include/avx512fintrin.h",
            "/build/csrc/adam/cpu_adam_impl.cpp",
            "inlining failed in call to",
        ),
    ],
)
def test_the_first_compiler_error_names_its_source(log: str, file: str | None, source: str | None, text: str) -> None:
    found = first_error(lines_of(log))
    assert found is not None
    assert (found.file, found.source) == (file, source)
    assert found.text.startswith(text)


def test_nvccs_front_end_is_understood() -> None:
    found = first_error(['csrc/x.cu(12): error: identifier "y" is undefined', "1 error detected in the compilation"])
    assert found is not None
    assert (found.file, found.line, found.source, found.log_line) == ("csrc/x.cu", 12, "csrc/x.cu", 1)


def test_a_file_that_only_an_option_names_is_an_error_of_the_command_line() -> None:
    found = first_error(["c++ -include no.h -c x.cpp", "<command-line>: fatal error: no.h: No such file or directory"])
    assert found is not None
    assert (found.file, found.text, found.log_line) == (None, "no.h: No such file or directory", 2)


def test_a_log_without_compiler_errors_has_none() -> None:
    assert (
        first_error(["-Werror=format", "x.cpp:1:2: warning: error: maybe", *lines_of("torch-missing-at-build")]) is None
    )
