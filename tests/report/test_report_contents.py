"""How an explained wheel is told: to people, and to programs."""

from __future__ import annotations

import json

from fakes.contents import make_contents, make_library, with_code
from fakes.wheels import make_manifest
from report_samples import drawn

from orchestrator.model.audit import Aspect, FitVerdict, Misfit, SharedObject, WheelContents
from orchestrator.model.codec import from_document
from orchestrator.model.outcome import Failure, Outcome
from orchestrator.model.signature import CpuLevel
from orchestrator.report.documents import explain_wheel_document
from orchestrator.report.tables.contents import wheel_contents
from orchestrator.report.wording import size

SIZE = size(make_library().size_bytes).split()
NO = FitVerdict(
    misfits=(Misfit(aspect=Aspect.GLIBC, evidence="_C0 needs GLIBC_2.38, the host has 2.36"),),
    warnings=(Misfit(aspect=Aspect.GPU_ARCH, evidence="_C1 holds PTX only", is_warning=True),),
)
CONTENTS = make_contents(
    make_library(
        glibc="2.38", glibcxx="3.4.9", cxxabi="1.3.11", needed=("libfoo.so.1", "_C1.so"), search_path=("$ORIGIN",),
        torch_symbols=("_ZN3c105ErrorE",), cxx11_abi=True, cpu_level=CpuLevel.X86_64_V4, has_debug_sections=True,
    ),
    with_code("sm_80", "compute_90"),
    requires=("numpy", "torch==2.11.*", "torchvision"),
    size_bytes=7_500_000,
)  # fmt: skip


def tell(contents: WheelContents = CONTENTS, **verdicts: FitVerdict) -> list[list[str]]:
    """The words of each line."""
    return [text.split() for text in drawn(wheel_contents(contents, verdicts), width=160).splitlines()]


def test_a_person_reads_all_of_it() -> None:
    lines = tell()
    assert lines[0] == ["kernels-1.0-cp311-cp311-linux_x86_64.whl", "7.5", "MB"]
    assert ["for", "cp311-cp311-linux_x86_64"] in lines
    assert ["torch", "torch==2.11.*,", "C++11", "ABI", "on,", "1", "symbol"] in lines
    assert ["symbols", "GLIBC", "2.38,", "GLIBCXX", "3.4.9,", "CXXABI", "1.3.11"] in lines
    assert ["libraries", "libfoo.so.1"] in lines
    assert ["searched", "$ORIGIN"] in lines
    assert ["kernels/_C0.so", *SIZE, "x86-64-v4", "1", "debug", "sections,", "not", "stripped"] in lines
    assert ["kernels/_C1.so", *SIZE, "x86_64", "sm_80", "+", "PTX", "compute_90", "not", "stripped"] in lines
    assert ["on", "the", "hosts"] not in lines


def test_ops_and_recipe_of_a_deepspeed_are_told() -> None:
    ops = {"cpu_adam": True, "async_io": False}
    lines = tell(make_contents(installed_ops=ops, manifest=make_manifest(), torch={"version": "2.13"}))
    assert ["ops", "cpu_adam"] in lines
    assert ["without", "async_io"] in lines
    assert ["manifest", "of", "recipe", "cpu-training"] in lines
    assert ["torch", "2.13.0+cpu"] in lines
    assert ["torch", "2.13"] in tell(make_contents(torch={"version": "2.13"}))
    assert ["torch", "not", "used"] in tell(make_contents())


def test_hosts_of_one_verdict_are_told_together_with_the_evidence() -> None:
    lines = tell(w1=FitVerdict(), w2=NO, w3=FitVerdict(), w4=NO)
    told = lines[lines.index(["on", "the", "hosts"]) + 1 :]
    assert told == [
        ["✓", "w[1,3]:", "it", "fits"],
        ["✗", "w[2,4]:", "it", "cannot", "work"],
        ["✗", "_C0", "needs", "GLIBC_2.38,", "the", "host", "has", "2.36"],
        ["!", "_C1", "holds", "PTX", "only"],
    ]


def test_code_of_another_maker_is_told_as_unknown() -> None:
    assert "unknown" in [word for words in tell(make_contents(make_library(has_device_code=True))) for word in words]


def test_a_program_reads_the_values() -> None:
    failure: Outcome[object] = Outcome(host="w9", failure=Failure(message="it is off"))
    text = json.dumps(explain_wheel_document(CONTENTS, {"w1": FitVerdict(), "w2": NO}, (failure,)))
    document = json.loads(text)
    assert (document["schema"], document["kind"]) == ("dsdeploy.explain/1", "wheel")
    assert from_document(WheelContents, document["wheel"]) == CONTENTS
    assert from_document(SharedObject, document["wheel"]["shared_objects"]["kernels/_C1.so"]).gpu_archs == ("sm_80",)
    assert {host: found["fits"] for host, found in document["hosts"].items()} == {"w1": True, "w2": False}
    assert document["hosts"]["w2"]["misfits"][0]["aspect"] == "glibc"
    assert [each["host"] for each in document["failures"]] == ["w9"]
