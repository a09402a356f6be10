from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from report_samples import (
    CPU_OPS,
    KEY,
    RECIPE,
    SIGNATURE,
    drawn,
    failed,
    make_accepted_plan,
    make_artifact,
    make_facts,
    make_fan_out_report,
    make_plan,
    make_results,
    make_verification,
)

from orchestrator.model.deployment import DeploymentResult, HostEnd
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Delivery, fold_failures
from orchestrator.model.plan import Builder, DeployPlan, HostVerdict
from orchestrator.model.signature import Accelerator
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.model.verification import CheckState, Finding, OpCheck, OpReport, Verification
from orchestrator.model.wheels import OpRecord
from orchestrator.planning.grouping import group
from orchestrator.report.tables.build import build_summary
from orchestrator.report.tables.deployment import deployment_summary
from orchestrator.report.tables.failures import failures_block
from orchestrator.report.tables.hosts import hosts_table
from orchestrator.report.tables.matrix import matrix_table
from orchestrator.report.tables.plan import plan_sum, plan_table
from orchestrator.report.tables.probe import probe_table
from orchestrator.report.tables.recipe import recipe_details
from orchestrator.report.tables.store import artifact_details, store_table

WIDTHS = pytest.mark.parametrize("width", [80, 100, 140])
CUDA_OPS = (*CPU_OPS, *(f"cuda_op_{number:02}" for number in range(13)))


def cells(text: str) -> list[list[str]]:
    """The cells of every line: what is parted by two spaces or more."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def words(text: str) -> str:
    """The text with every break and gap as one space, so that wrapping does not matter."""
    return " ".join(text.split())


def assert_fits(text: str, width: int) -> None:
    assert max(map(len, text.splitlines())) <= width


@WIDTHS
def test_64_equal_hosts_are_one_row_whatever_their_free_disk(width: int) -> None:
    facts = {f"worker-{number}": make_facts(free_bytes=(40 + number) * 10**9) for number in range(64)}
    text = drawn(probe_table(facts, group(facts, RECIPE)), width=width)
    assert_fits(text, width)
    assert [row[0] for row in cells(text) if row[0].startswith("worker")] == ["worker-[0-63]"]
    assert "64 hosts" in text
    assert "40 GB to 103 GB free" in words(drawn(probe_table(facts, group(facts, RECIPE)), width=140))


def test_a_row_of_the_probe_tells_every_fact_that_matters() -> None:
    facts = {"gpu-0": make_facts(gpus=8, torch="2.11.0+cu130")}
    text = drawn(probe_table(facts, group(facts, RECIPE)), width=140)
    found = {cell for row in cells(text) for cell in row}
    assert found >= {"Debian GNU/Linux 12", "glibc 2.36", "GLIBCXX 3.4.30", "512 GiB memory", "40 GB free"}
    assert found >= {"AMD EPYC 7763", "x86-64-v3, 64 cores", "8 x NVIDIA H100 80GB HBM3 sm_90", "driver 580.65.06"}
    assert found >= {"3.11.7 cp311", "torch 2.11.0+cu130", "DeepSpeed 0.19.8", "1 prebuilt op", "/opt/venv/bin/python"}
    assert found >= {"g++ 12.2.0", "nvcc 13.0.88", "ninja fails: must run as root", "libaio"}


def test_hosts_that_differ_are_two_rows_two_wheels_and_a_difference() -> None:
    facts = {f"worker-{number}": make_facts() for number in range(3)} | {"worker-3": make_facts(torch="2.12.1+cpu")}
    text = drawn(probe_table(facts, group(facts, RECIPE)))
    assert ["torch2.12.1+cpu cp311 x86-64-v3", "worker-3"] in cells(text)
    assert "worker-3: torch 2.12.1+cpu where 3 others have 2.13.0+cpu" in text


def test_rejected_and_silent_hosts_are_told_with_reason_and_hint() -> None:
    facts = {"worker-0": replace(make_facts(), interpreter=None, interpreter_error="python3.12 was not found")}
    silent = fold_failures([failed(f"worker-{number}", "timed out", hint="is sshd up?") for number in (1, 2)])
    text = drawn(probe_table(facts, group(facts, RECIPE), silent))
    assert "✗ worker-0: python3.12 was not found\n  hint: name another interpreter" in text
    assert "✗ worker-[1-2]: timed out\n  hint: is sshd up?" in text


def test_a_probe_without_any_answer_is_only_its_failures() -> None:
    silent = fold_failures([failed("worker-1", "timed out")])
    assert drawn(probe_table({}, group({}, RECIPE), silent)) == "No answer\n✗ worker-1: timed out\n"


def test_notes_of_hosts_are_told_once() -> None:
    facts = {f"worker-{number}": make_facts(notes=("home is on NFS",)) for number in range(2)}
    assert drawn(probe_table(facts, group(facts, RECIPE))).count("! worker-[0-1]: home is on NFS") == 1


@WIDTHS
def test_a_plan_hides_no_op_and_no_reason(width: int) -> None:
    text = drawn(plan_table(make_plan()), width=width)
    assert_fits(text, width)
    assert f"builds {', '.join(CPU_OPS)}" in words(text)
    assert "skips fused_lamb, quantizer: needs nvcc, which the builder lacks" in words(text)
    assert "refuses ccl_comm: oneCCL is not there" in words(text)
    assert "on the controller: its toolchain is complete" in words(text)


def test_a_plan_folds_hosts_by_what_happens_to_them() -> None:
    rows = cells(drawn(plan_table(make_plan())))
    assert ["worker-[0-1]", "install", "DeepSpeed is not installed"] in rows
    assert ["worker-2", "keep", "it has this wheel"] in rows
    assert ["worker-3", "reject", "no torch"] in rows
    assert ["hint: install torch"] in rows


def test_hosts_name_their_wheel_when_there_are_several() -> None:
    plan = make_plan()
    (wheel,) = plan.wheels
    other = replace(wheel, signature=replace(SIGNATURE, python_tag="cp312"), hosts=("worker-2",))
    text = drawn(plan_table(replace(plan, wheels=(replace(wheel, hosts=("worker-0", "worker-1")), other))))
    assert ["worker-2", "keep", "torch2.13.0+cpu cp312 x86-64-v3", "it has this wheel"] in cells(text)


WHEELS_TOOLCHAIN = Toolchain(
    kind=ToolchainKind.WHEELS, reason="the builder has no nvcc", cxx="/usr/bin/g++", cxx_version="12.2.0", cuda="13.0"
)


@pytest.mark.parametrize(
    ("toolchain", "told"),
    [
        (WHEELS_TOOLCHAIN, "CUDA 13.0 from NVIDIA's wheels, g++ 12.2: the builder has no nvcc"),
        (replace(WHEELS_TOOLCHAIN, kind=ToolchainKind.HOST, cuda=None, reason=""), "g++ 12.2"),
        (
            replace(
                WHEELS_TOOLCHAIN,
                kind=ToolchainKind.SYSTEM,
                reason="complete",
                nvcc_version="13.0.88",
                cuda_home="/opt/cuda",
            ),
            "CUDA 13.0 in /opt/cuda (nvcc 13.0.88), g++ 12.2: complete",
        ),
    ],
)
def test_a_plan_says_with_what_it_compiles(toolchain: Toolchain, told: str) -> None:
    plan = make_plan()
    builder = Builder(host=None, reason="its toolchain is complete", toolchain=toolchain)
    text = drawn(plan_table(replace(plan, wheels=(replace(plan.wheels[0], builder=builder),))))
    assert ["with", told] in cells(text)


def test_the_sum_of_a_plan_counts_every_bucket() -> None:
    plan = make_plan()
    assert plan_sum(plan) == "1 wheel to build, install 2 hosts, keep 1 host, reject 1 host"
    kept = DeployPlan(recipe=RECIPE, hosts=plan.of_verdict(HostVerdict.KEEP), wheels=())
    assert plan_sum(kept) == "nothing to do: 1 host kept"


def matrix_of(*, ops: tuple[str, ...] = CPU_OPS) -> dict[str, Verification]:
    good = {f"worker-{number}": make_verification(ops=ops) for number in range(8)}
    return good | {"worker-3": make_verification(ops=ops, bad={"cpu_adam": CheckState.CRASHED})}


def test_the_matrix_has_hosts_as_rows_where_it_fits() -> None:
    rows = cells(drawn(matrix_table(matrix_of()), width=140))
    assert rows[0] == ["HOSTS", "ds_report", *CPU_OPS]
    assert rows[1] == ["worker-[0-2,4-7]", "✓ read", "✓ ran", *["✓ loaded"] * 6]
    assert rows[2] == ["worker-3", "✓ read", "✗ crashed", *["✓ loaded"] * 6]


@WIDTHS
def test_a_matrix_of_20_ops_is_turned_round_and_fits(width: int) -> None:
    text = drawn(matrix_table(matrix_of(ops=CUDA_OPS)), width=width)
    assert_fits(text, width)
    rows = cells(text)
    assert rows[0] == ["OPS", "worker-[0-2,4-7]", "worker-3"]
    assert ["cpu_adam", "✓ ran", "✗ crashed"] in rows
    assert {row[0] for row in rows} >= {*CUDA_OPS}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_matrix_of_many_unequal_hosts_becomes_several_tables(encoding: str) -> None:
    different = {
        f"host-with-a-long-name-{number}": make_verification(ops=CUDA_OPS, bad={CUDA_OPS[number]: CheckState.TIMED_OUT})
        for number in range(9)
    }
    text = drawn(matrix_table(different), width=80, encoding=encoding)
    assert_fits(text, 80)
    heads = [row for row in cells(text) if row[0] == "OPS"]
    assert len(heads) > 1
    assert [name for head in heads for name in head[1:]] == list(different)
    assert all(len(row) == len(heads[0]) for row in cells(text)[: len(CUDA_OPS) + 2])


def test_failures_stand_under_the_matrix_once_with_their_text() -> None:
    crashed = {f"worker-{number}": make_verification(bad={"cpu_adam": CheckState.CRASHED}) for number in (1, 2)}
    unread = Verification(checks=(), report=None, report_error="ds_report exited with 1")
    text = drawn(matrix_table(crashed | {"worker-5": unread}))
    assert "✗ worker-[1-2]: cpu_adam crashed: signal 4 (SIGILL)" in text
    assert "✗ worker-5: ds_report: ds_report exited with 1" in text
    assert "✗ 3 hosts: 12 of 14 ops loaded or run" in text


def on_gpus(*fused_lamb: CheckState) -> Verification:
    """One CPU op, and one GPU op that ends so on as many GPUs."""
    checks = [OpCheck(op="cpu_adam", state=CheckState.RAN)]
    checks += [OpCheck(op="fused_lamb", gpu=gpu, state=state, text="no") for gpu, state in enumerate(fused_lamb)]
    return Verification(checks=tuple(checks), report=OpReport())


def test_a_host_whose_gpus_differ_has_a_row_for_each_kind_and_equal_ones_share_theirs() -> None:
    ran, lacks = CheckState.RAN, CheckState.NO_KERNEL_IMAGE
    good, bad = on_gpus(ran, ran), on_gpus(lacks, ran, ran, lacks)
    text = drawn(matrix_table({"worker-0": good, "worker-1": good, "worker-2": bad}))
    assert cells(text)[:4] == [
        ["HOSTS", "ds_report", "cpu_adam", "fused_lamb"],
        ["worker-[0-1] GPU [0-1]", "✓ read", "✓ ran", "✓ ran"],
        ["worker-2 GPU [0,3]", "✓ read", "✓ ran", "✗ no-kernel-image"],
        ["worker-2 GPU [1-2]", "✓ read", "✓ ran", "✓ ran"],
    ]
    assert "✗ worker-2: fused_lamb no-kernel-image on GPU [0,3]: no\n" in text
    assert "✗ 3 hosts with 8 GPUs: 9 of 11 ops loaded or run" in text


def test_why_ops_were_loaded_and_not_run_is_told_once() -> None:
    checks = [OpCheck(op=op, state=CheckState.LOADED, text="not run: no GPU") for op in ("fused_lamb", "quantizer")]
    loaded = Verification(checks=(*checks, OpCheck(op="gds", state=CheckState.LOADED)), report=OpReport())
    text = drawn(matrix_table({"worker-0": loaded, "worker-1": loaded}))
    assert text.count("loaded,") == 1
    assert "· worker-[0-1]: fused_lamb, quantizer: loaded, not run: no GPU\n" in text


def test_what_was_seen_on_the_way_is_a_note_and_no_failure() -> None:
    finding = Finding(kind="jit-lock-stale", text="a lock that nobody holds: /x/lock", hint="rm /x/lock")
    seen = replace(make_verification(), findings=(finding,))
    text = drawn(matrix_table({"worker-0": seen, "worker-1": seen}))
    assert "! worker-[0-1]: a lock that nobody holds: /x/lock\n  hint: rm /x/lock\n" in text
    assert "✓ 2 hosts: 14 of 14 ops loaded or run" in text


def test_a_good_matrix_ends_with_its_sum_and_no_failure() -> None:
    text = drawn(matrix_table({"worker-0": make_verification()}))
    assert "✓ 1 host: 7 of 7 ops loaded or run" in text
    assert "✗" not in text


def test_a_matrix_of_no_hosts_says_so() -> None:
    assert drawn(matrix_table({})) == "no host was verified\n"


def test_without_unicode_good_and_bad_are_words() -> None:
    text = drawn(matrix_table(matrix_of()), width=140, encoding="ascii")
    assert ["worker-3", "ok read", "FAIL crashed", *["ok loaded"] * 6] in cells(text)


def test_equal_failures_are_told_once_with_folded_hosts() -> None:
    outcomes = [failed(f"worker-{number}", f"worker-{number}: disk full", hint="free some") for number in (3, 7, 8, 9)]
    assert drawn(failures_block(fold_failures(outcomes))) == "✗ worker-[3,7-9]: disk full\n  hint: free some\n"


def test_a_failure_is_not_read_as_markup_and_cannot_drive_the_terminal() -> None:
    text = drawn(failures_block(fold_failures([failed("a", "[bold]x[/bold]\x1b[2J\nsecond")])))
    assert text == "✗ a: [bold]x[/bold]\n  second\n"


def test_hosts_that_differ_in_name_only_share_a_row_and_empty_columns_are_left_out() -> None:
    equal = [Host(name=f"worker-{number}", slots=(0, 1, 2, 3)) for number in range(4)]
    assert cells(drawn(hosts_table(equal))) == [["HOSTS", "SLOTS"], ["worker-[0-3]", "0-3"]]
    other = Host(name="b", slots=(0, 2), user="ml", port=2222, python="/opt/python")
    assert cells(drawn(hosts_table([*equal, other])))[2] == ["b", "0,2", "ml", "2222", "/opt/python"]


def test_the_store_has_a_row_per_wheel() -> None:
    header, row = cells(drawn(store_table([make_artifact()])))
    assert header == ["SHA256", "DEEPSPEED", "FOR", "RECIPE", "OPS", "SIZE"]
    assert row == ["abababababab", "0.19.8", SIGNATURE.label, "cpu-training", "1", "2.7 MB"]
    assert drawn(store_table([])) == "the store is empty\n"


@WIDTHS
def test_the_details_of_a_wheel_tell_its_manifest(width: int) -> None:
    text = drawn(artifact_details(make_artifact()), width=width)
    assert_fits(text, width)
    rows = cells(text)
    assert ["sha256", "ab" * 32] in rows
    assert ["torch", "2.13.0+cpu, C++11 ABI yes"] in rows
    assert ["system", "GLIBC 2.36, GLIBCXX 3.4.30 or above"] in rows
    assert ["march", "x86-64-v3"] in rows
    assert ["ccl_comm", "oneCCL is not there"] in rows
    assert ["OP", "SIZE", "SHA256", "NEEDS"] in rows
    assert "cpu_adam 310 kB cccccccccccc GLIBC 2.34, GLIBCXX 3.4.29" in words(text)


def test_the_details_of_a_gpu_wheel_tell_the_code_of_each_op() -> None:
    artifact = make_artifact()
    manifest = artifact.manifest
    signature = replace(SIGNATURE, accelerator=Accelerator.CUDA, gpu_archs=("sm_80", "sm_90"))
    fat = OpRecord(name="fused_adam", is_built=True, gpu_archs=("sm_80", "sm_90"), ptx_archs=("compute_90",))
    wheel = replace(artifact, manifest=replace(manifest, signature=signature, ops=(fat, *manifest.ops)))
    rows = cells(drawn(artifact_details(wheel)))
    assert ["GPU code", "sm_80 sm_90 + PTX compute_90, in 1 op"] in rows
    assert ["fused_adam", "sm_80 sm_90 + PTX compute_90"] in rows


def test_a_build_ends_with_a_line_for_every_signature_and_why_one_failed() -> None:
    text = drawn(build_summary(make_results(), 70.0, "/state/timings.html"))
    rows = cells(text)
    assert ["wheel", "built in 1 min 1 s, 2 ops reused from an earlier build"] in rows
    assert ["holds", "1 op, 2.7 MB, abababababab"] in rows
    assert ["wheel", "on every host already"] in rows
    assert ["failed", "op fused_adam failed"] in rows
    assert ["logs", "/state/logs/nnn"] in rows
    assert ["timings", "/state/timings.html"] in rows
    assert text.splitlines()[-1] == "✗ 1 wheel built, 1 wheel on every host already, 1 wheel failed, 1 min 10 s"


def test_a_build_without_any_signature_says_so() -> None:
    assert drawn(build_summary((), 1.0)).strip() == "✗ no host can take a wheel, 1.0 s"


def test_the_details_of_a_recipe_say_what_its_defaults_mean() -> None:
    rows = cells(drawn(recipe_details(replace(RECIPE, off=("gds",), environment={"DS_BUILD_CCL_COMM": "0"}))))
    assert ["source", "DeepSpeed 0.19.8"] in rows
    assert ["ops off", "gds"] in rows
    assert ["wanted ops", "every op of that DeepSpeed"] in rows
    assert ["environment", "DS_BUILD_CCL_COMM=0"] in rows


def test_the_summary_of_a_deployment_tells_what_was_built_copied_installed_and_kept() -> None:
    result = DeploymentResult(
        deployment="20260101-abc",
        built={KEY: make_artifact()},
        deliveries={f"worker-{number}": Delivery(sent_bytes=2_700_000, kept_bytes=0) for number in range(2)},
        fan_out=make_fan_out_report(),
        ends=dict.fromkeys(("worker-0", "worker-1"), HostEnd.NEW),
    )
    rows = cells(drawn(deployment_summary(make_accepted_plan(), result, 301.0)))
    assert ["built", f"{SIGNATURE.label}: 1 op, 2.7 MB, abababababab"] in rows
    assert ["copied", "5.4 MB to 2 hosts; 0 B were there already"] in rows
    took = "20 MB from the controller, 620 MB between hosts, 1.2 times the ideal, 3.9 s"
    assert ["fan-out", took] in rows
    assert ["installed", "worker-[0-1] (2 hosts)"] in rows
    assert ["kept", "worker-2 (1 host)"] in rows
    assert ["✓ deployment 20260101-abc, 5 min 1 s"] in rows


def ended(*ends: HostEnd, **changes: Any) -> DeploymentResult:
    """A run in which worker-1 failed, and each host has come to an end."""
    hosts = {f"worker-{number}": end for number, end in enumerate(ends)}
    return DeploymentResult(deployment="x", ends=hosts, failures=(failed("worker-1", "no"),), **changes)


def last_line(result: DeploymentResult) -> str:
    return drawn(deployment_summary(make_accepted_plan(), result, 3.0), width=200).splitlines()[-1]


def test_the_summary_names_the_hosts_of_every_end() -> None:
    result = ended(HostEnd.NEW, HostEnd.LEFT, HostEnd.UNKNOWN, HostEnd.OLD, HostEnd.OLD)
    rows = cells(drawn(deployment_summary(make_accepted_plan(), result, 3.0)))
    assert ["installed", "worker-0 (1 host)"] in rows
    assert ["left uncommitted", "worker-1 (1 host)"] in rows
    assert ["not known", "worker-2 (1 host)"] in rows
    assert ["as before", "worker-[3-4] (2 hosts)"] in rows
    assert ["failed", "worker-1 (1 host)"] in rows


def test_a_host_that_failed_twice_is_named_once() -> None:
    result = replace(ended(HostEnd.OLD), failures=(failed("worker-0", "no"), failed("worker-0", "still no")))
    assert ["failed", "worker-0 (1 host)"] in cells(drawn(deployment_summary(make_plan(), result, 3.0)))


@pytest.mark.parametrize("ends", [(), (HostEnd.OLD,), (HostEnd.OLD, HostEnd.OLD)])
def test_a_run_that_was_rolled_back_says_at_once_that_nothing_changed(ends: tuple[HostEnd, ...]) -> None:
    assert last_line(ended(*ends)) == "✗ nothing changed: every host has what it had; deployment x, 3.0 s"


def test_an_interrupted_run_says_so_and_what_hosts_have() -> None:
    stopped = replace(ended(HostEnd.OLD, interrupted=True), failures=())
    assert last_line(stopped) == "✗ interrupted; nothing changed: every host has what it had; deployment x, 3.0 s"


def test_a_run_that_dropped_a_host_counts_both_sorts() -> None:
    result = ended(HostEnd.NEW, HostEnd.OLD, HostEnd.NEW)
    assert last_line(result) == "✗ of 3 hosts 2 changed, 1 as before; deployment x, 3.0 s"


def test_hosts_that_nobody_knows_of_are_named_with_the_way_out() -> None:
    result = ended(HostEnd.OLD, HostEnd.UNKNOWN, HostEnd.UNKNOWN)
    known = "of 3 hosts 1 as before, 2 not known; dsdeploy recover brings worker-[1-2] to rest"
    assert last_line(result) == f"✗ {known}; deployment x, 3.0 s"


def test_a_run_that_changed_nothing_says_so() -> None:
    text = drawn(deployment_summary(make_accepted_plan(), DeploymentResult(deployment="x"), 2.0))
    assert text.endswith("✓ nothing to do, 2.0 s\n")


def test_a_run_that_left_a_host_out_is_not_called_good() -> None:
    rows = cells(drawn(deployment_summary(make_plan(), DeploymentResult(deployment="x"), 2.0)))
    assert ["rejected", "worker-3 (1 host)"] in rows
    assert rows[-1][0].startswith("✗")


def test_names_of_details_are_not_read_as_markup() -> None:
    artifact = make_artifact()
    manifest = replace(artifact.manifest, compilers={"[bold]c++": "[red]12[/red]"})
    rows = cells(drawn(artifact_details(replace(artifact, manifest=manifest))))
    assert ["[bold]c++", "[red]12[/red]"] in rows
