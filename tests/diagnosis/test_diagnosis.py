"""Logs of failures, and what is said of them."""

from __future__ import annotations

import gzip
import io
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.diagnosis.catalogue import Catalogue, Confidence, Entry, Scope, Sign, load_catalogue
from orchestrator.diagnosis.compiler_errors import first_error
from orchestrator.diagnosis.explain_log import Cause, Explanation, Verdict, diagnose, explain_log

LOGS = Path(__file__).parents[1] / "captures" / "logs"
CATALOGUE = load_catalogue()
IDS = [entry.id for entry in CATALOGUE.entries]
NEVER_A_CAUSE = {"ds-opt-adam-destructor"}
COMPATIBLE_CUDA = (
    "Installed CUDA version 12.4 does not match the version torch was compiled with 12.8 "
    "but since the APIs are compatible, accepting this combination"
)
VERDICTS = {verdict.value for verdict in Verdict}
ALL_LOGS = sorted(LOGS.glob("*/*.txt"))


def explained(*lines: str) -> Explanation:
    return explain_log(io.BytesIO("\n".join(lines).encode()))


def explained_log(name: str) -> Explanation:
    with (LOGS / name).open("rb") as stream:
        return explain_log(stream)


def cause_of(name: str) -> Cause:
    return explained_log(name).causes[0]


def lines_of(name: str) -> list[str]:
    return (LOGS / name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", ALL_LOGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_log_is_explained_as_what_it_is(path: Path) -> None:
    explanation = explained_log(f"{path.parent.name}/{path.name}")
    told = explanation.causes[0].id if explanation.causes else explanation.verdict.value
    assert told == path.parent.name
    assert (explanation.verdict is Verdict.FAILURE) == bool(explanation.causes)
    assert not {cause.id for cause in explanation.causes} & NEVER_A_CAUSE
    assert all(cause.lines for cause in explanation.causes)


def test_every_entry_has_a_log_and_every_log_an_entry() -> None:
    assert {path.parent.name for path in ALL_LOGS} == (set(IDS) - NEVER_A_CAUSE) | (VERDICTS - {"failure"})


@pytest.mark.parametrize("entry", CATALOGUE.entries, ids=lambda entry: entry.id)
def test_what_an_entry_shows_is_caught_by_all_its_expressions(entry: Entry) -> None:
    texts = f"{entry.cause} {entry.fix} {entry.command}"
    shown = {name for _, name, _, _ in string.Formatter().parse(texts) if name}
    for sign in (*entry.all_signs, *entry.endings):
        assert shown <= set(re.compile(sign.match).groupindex)


@pytest.mark.parametrize("entry", CATALOGUE.entries, ids=lambda entry: entry.id)
def test_conditions_name_contexts_that_exist(entry: Entry) -> None:
    for sign in (*entry.all_signs, *entry.endings):
        assert set(sign.needs) | set(sign.unless) <= set(CATALOGUE.contexts)


def test_entries_are_unique_and_say_something() -> None:
    assert len(set(IDS)) == len(IDS) >= 76
    for entry in CATALOGUE.entries:
        assert entry.cause.endswith((".", ")."))
        assert entry.fix.endswith((".", ")."))
        assert entry.all_signs or entry.endings or entry.noise
        assert entry.command or not entry.all_signs
        assert entry.link is None or entry.link.startswith("https://github.com/")


def test_the_values_of_the_log_are_in_the_cause() -> None:
    found = cause_of("cuda-major-mismatch/recorded.txt")
    assert found.values == {"nvcc": "13.0", "torch": "12.8"}
    assert "13.0" in found.cause
    assert "12.8" in found.cause


def test_a_phrase_that_is_broken_over_lines_is_shown_with_all_of_them() -> None:
    found = cause_of("torch-version-mismatch/held-out-k34.txt")
    assert found.values == {"built": "2.1", "found": "2.4"}
    assert [line.number for line in found.lines] == [1, 2, 3]


def test_a_phrase_that_is_broken_within_a_word_is_found() -> None:
    whole = "/opt/conda/lib/python3.10/site-packages/torch/utils/cpp_extension.py: CUDA_HOME does not exi"
    assert explained(whole, "st, unable to compile CUDA op(s)").causes[0].id == "cuda-home-missing"


def test_noise_alone_is_no_cause() -> None:
    log = [
        "\x1b[93m [WARNING] \x1b[0m async_io requires the dev libaio .so object and headers but these were not found.",
        "\x1b[93m [WARNING] \x1b[0m please install triton==1.0.0 if you want to use sparse attention",
        COMPATIBLE_CUDA,
        "x.h:1:2: warning: AVX512F vector return without AVX512F enabled changes the ABI [-Wpsabi]",
        "AttributeError: 'DeepSpeedCPUAdam' object has no attribute 'ds_opt_adam'",
    ]
    assert explained(*log) == Explanation(verdict=Verdict.NO_FAILURE)


def test_noise_is_the_cause_where_its_op_was_asked_for() -> None:
    noise = " [WARNING]  sparse_attn requires a torch version >= 1.5 and < 2.0 but detected 2.3"
    assert explained(noise, "DS_BUILD_SPARSE_ATTN=1 failed").causes[0].id == "sparse-attn-unsupported"


def test_the_reason_comes_after_the_op_that_is_missed() -> None:
    noise = " [WARNING]  async_io requires the dev libaio .so object and headers but these were not found."
    missed = "RuntimeError: Unable to JIT load the async_io op due to it not being compatible"
    assert [cause.id for cause in explained(noise, missed).causes] == ["op-cannot-jit", "libaio-missing"]


def test_the_first_known_error_wins_and_the_next_is_only_possible() -> None:
    log = [*lines_of("python-headers-missing/recorded.txt"), *lines_of("compiler-killed-out-of-memory/recorded.txt")]
    told = [(cause.id, cause.confidence) for cause in explained(*log).causes]
    assert told == [
        ("python-headers-missing", Confidence.CERTAIN),
        ("compiler-killed-out-of-memory", Confidence.POSSIBLE),
    ]


def test_an_unknown_compiler_error_is_not_blamed_on_what_follows() -> None:
    error = "csrc/adam/cpu_adam.cpp:7:1: error: expected ';' before '}' token"
    found = explained("make", error, *lines_of("parallel-build-collision/recorded.txt"))
    assert found.verdict is Verdict.UNKNOWN
    assert (2, error) in [(line.number, line.text) for line in found.first_error]


def test_an_unknown_error_before_a_known_one_leaves_less_than_certainty() -> None:
    log = ["ValueError: something else", *lines_of("no-kernel-image/recorded.txt")]
    assert explained(*log).causes[0].confidence is Confidence.LIKELY


def test_what_usually_follows_is_no_cause_after_an_unknown_error() -> None:
    missed = "ImportError: /root/.cache/torch_extensions/utils/utils.so: cannot open shared object file"
    assert explained("x.cu(3): error: no such thing", missed).verdict is Verdict.UNKNOWN
    assert explained(missed).causes[0].id == "jit-op-library-missing"


def test_one_line_means_what_the_rest_of_the_log_says() -> None:
    line = "ModuleNotFoundError: No module named 'torch'"
    assert explained(line).verdict is Verdict.UNKNOWN
    assert explained("Getting requirements to build wheel did not run", line).causes[0].id == "torch-missing-at-build"
    line = "AssertionError: CUDA_HOME does not exist, unable to compile CUDA op(s)"
    assert explained(line).causes[0].id == "cuda-home-missing"
    assert explained(line, "/opt/rocm/bin/hipcc").causes[0].id == "rocm-cuda-check"


def test_line_numbers_are_those_of_the_file() -> None:
    log = b"one\r\n\r\n 10%\r 50%\r100%\r\nCUDA_HOME does not exist\r\n"
    assert explain_log(io.BytesIO(log)).causes[0].lines[0].number == 4


def test_what_a_carriage_return_drew_over_is_read() -> None:
    log = b"\rBuilding 1/9\rRuntimeError: CUDA_HOME does not exist\rBuilding 2/9"
    assert explain_log(io.BytesIO(log)).causes[0].id == "cuda-home-missing"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_log_is_read_in_any_encoding(encoding: str) -> None:
    text = "line one\r\nversion \u2018GLIBC_2.38\u2019 not found (required by x.so)\r\n" * 30
    found = explain_log(io.BytesIO(text.encode(encoding)))
    assert found.causes[0].values == {"needed": "GLIBC_2.38"}
    assert found.causes[0].lines[0].number == 2


def test_a_packed_log_is_read_as_far_as_it_is_whole() -> None:
    packed = gzip.compress(b"CUDA_HOME does not exist\n")
    assert explain_log(io.BytesIO(packed)).causes[0].id == "cuda-home-missing"
    assert explain_log(io.BytesIO(packed[:-9])).causes[0].id == "cuda-home-missing"
    assert explain_log(io.BytesIO(packed[:10])).verdict is Verdict.NO_FAILURE


def test_a_log_without_line_ends_is_read_in_pieces() -> None:
    log = b"compiling and linking " * 200_000 + b"RuntimeError: CUDA_HOME does not exist " + b"cleaning up " * 200_000
    assert explain_log(io.BytesIO(log)).causes[0].id == "cuda-home-missing"


def test_a_line_is_found_wherever_blocks_are_cut() -> None:
    filler = b"copying deepspeed/ops/adam/fused_adam.py -> build/lib.linux-x86_64-cpython-311\n"
    log = filler * 60_000 + b"nvcc fatal   : Unsupported gpu architecture 'compute_60'\n" + filler * 60_000
    found = explain_log(io.BytesIO(log)).causes[0]
    assert (found.id, found.lines[0].number) == ("gpu-arch-unknown-to-nvcc", 60_001)


def test_lines_that_differ_in_one_digit_are_all_read() -> None:
    log = "\n".join(f"worker-{rank}: train.py exits with return code = -{9 - rank}" for rank in range(9))
    assert explained(log).causes[0].id == "illegal-instruction"


def test_a_stream_that_comes_in_drops_is_read() -> None:
    class Drops(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 7, 7))

    assert explain_log(Drops(b"x\n" * 50 + b"Hostfile contains a bad entry: x\n")).causes[0].lines[0].number == 51


@given(st.lists(st.text(max_size=200), max_size=20))
def test_any_text_can_be_read(lines: list[str]) -> None:
    explanation = explain_log(io.BytesIO("\n".join(lines).encode(errors="replace")))
    assert all(line.number <= len(lines) for cause in explanation.causes for line in cause.lines)
    first_error(lines)


@given(st.binary(max_size=2000))
def test_any_bytes_can_be_read(content: bytes) -> None:
    assert explain_log(io.BytesIO(content)).verdict in Verdict


def test_the_last_words_of_pip_or_an_op_have_a_cause() -> None:
    found = diagnose("op fused_adam: RuntimeError: CUDA error: no kernel image is available for execution")
    assert found is not None
    assert found.id == "no-kernel-image"
    assert diagnose("no space left") is None


def test_a_catalogue_without_entries_knows_nothing() -> None:
    empty = Catalogue(entries=(), fails=("Error",))
    assert explain_log(io.BytesIO(b"CUDA_HOME does not exist: Error"), empty).verdict is Verdict.UNKNOWN


def test_a_brace_in_a_value_is_no_format() -> None:
    entry = Entry(id="x", scope=Scope.BUILD, cause="found {what}", fix="none", signs=(Sign(match="bad (?P<what>.*)"),))
    found = diagnose("bad {cause} {0}", Catalogue(entries=(entry,)))
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
    found = first_error(lines_of(f"{log}/recorded.txt"))
    assert found is not None
    assert (found.file, found.source) == (file, source)
    assert found.text.startswith(text)


def test_nvccs_front_end_is_understood() -> None:
    found = first_error(['csrc/x.cu(12): error: identifier "y" is undefined', "1 error detected in the compilation"])
    assert found is not None
    assert (found.file, found.line, found.source, found.log_line) == ("csrc/x.cu", 12, "csrc/x.cu", 1)


def test_a_compiler_in_another_language_and_one_of_windows_are_understood() -> None:
    [line] = [
        each for each in lines_of("python-headers-missing/chinese.txt") if "Python.h" in each and ":12:10:" in each
    ]
    chinese = first_error([line])
    assert chinese is not None
    assert chinese.text.startswith("Python.h")
    windows = first_error(["C:\\My Files\\x.cpp(12): error C2039: 'z': is not a member of 'std'"])
    assert windows is not None
    assert (windows.file, windows.line) == ("C:\\My Files\\x.cpp", 12)


def test_a_file_that_only_an_option_names_is_an_error_of_the_command_line() -> None:
    found = first_error(["c++ -include no.h -c x.cpp", "<command-line>: fatal error: no.h: No such file or directory"])
    assert found is not None
    assert (found.file, found.text, found.log_line) == (None, "no.h: No such file or directory", 2)


def test_a_log_without_compiler_errors_has_none() -> None:
    lines = lines_of("torch-missing-at-build/recorded.txt")
    assert first_error(["-Werror=format", "x.cpp:1:2: warning: error: maybe", *lines]) is None
