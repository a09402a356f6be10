"""Which objects a build makes, and for which ops."""

from __future__ import annotations

from build_parts import make_spec
from fakes.op_cache import MemoryHistory

from orchestrator.build.commands import Captured, CompileJob, OpCommands
from orchestrator.build.tasks import Task, make_tasks
from orchestrator.ports import PastCompile

GIB = 1 << 30
SPECS = (
    make_spec("async_io", compile_cpu_s=60, peak_memory_bytes=2 * GIB),
    make_spec("gds", compile_cpu_s=90, peak_memory_bytes=3 * GIB),
)


def make_job(op: str, source: str, *flags: str) -> CompileJob:
    made = f"build/objects/{op}/{source}.o"
    argv = ("g++", "-c", source, "-o", made, *flags)
    return CompileJob(source=source, object=made, argv=argv, is_cuda=source.endswith(".cu"))


def make_commands(op: str, *jobs: CompileJob) -> OpCommands:
    library = f"build/lib/{op}.so"
    link = ("g++", "-shared", *(job.object for job in jobs), "-o", library)
    return OpCommands(module=f"deepspeed.ops.{op}_op", library=library, jobs=jobs, link=link)


def capture(**ops: OpCommands) -> Captured:
    return Captured(ops=ops, identity={"torch": "2.11"}, private_paths=())


TWO_OPS = capture(
    async_io=make_commands("async_io", make_job("async_io", "aio.cpp"), make_job("async_io", "bind.cpp", "-DNAME=a")),
    gds=make_commands("gds", make_job("gds", "aio.cpp"), make_job("gds", "bind.cpp", "-DNAME=g")),
)


def tasks_of(captured: Captured, *ops: str, history: MemoryHistory | None = None) -> tuple[Task, ...]:
    return make_tasks(captured, ops or tuple(captured.ops), SPECS, history or MemoryHistory())


def test_an_object_that_two_ops_share_is_made_once() -> None:
    shared = [task for task in tasks_of(TWO_OPS) if task.label == "aio.cpp"]
    assert [task.ops for task in shared] == [("async_io", "gds")]


def test_jobs_with_other_flags_are_no_shared_object() -> None:
    assert sum(task.label == "bind.cpp" for task in tasks_of(TWO_OPS)) == 2


def test_both_ops_link_the_shared_object() -> None:
    links = {task.ops[0]: task for task in tasks_of(TWO_OPS) if task.is_link}
    shared = "build/objects/async_io/aio.cpp.o"
    assert links["gds"].sources == (shared, "build/objects/gds/bind.cpp.o")
    assert links["gds"].argv == ("g++", "-shared", shared, "build/objects/gds/bind.cpp.o", "-o", "build/lib/gds.so")


def test_an_op_alone_makes_its_own_objects() -> None:
    (link,) = (task for task in tasks_of(TWO_OPS, "gds") if task.is_link)
    assert link.sources == ("build/objects/gds/aio.cpp.o", "build/objects/gds/bind.cpp.o")


def test_an_op_without_sources_is_only_linked() -> None:
    assert [task.is_link for task in tasks_of(capture(gds=make_commands("gds")))] == [True]


def test_a_source_that_was_never_compiled_takes_its_share_of_the_op() -> None:
    source = tasks_of(TWO_OPS, "async_io")[0]
    assert (source.cpu_s, source.memory_bytes) == (30, 2 * GIB)


def test_a_source_is_remembered_apart_for_each_set_of_gpu_archs() -> None:
    cuda = capture(gds=make_commands("gds", make_job("gds", "a.cu", "-gencode=arch=compute_90,code=sm_90")))
    history = MemoryHistory()
    history.remember({"a.cu -gencode=arch=compute_90,code=sm_90": PastCompile(cpu_s=55, peak_memory_bytes=5 * GIB)})
    (source, _) = tasks_of(cuda, history=history)
    assert (source.cpu_s, source.memory_bytes) == (55, 5 * GIB)


def test_the_op_key_holds_commands_and_identity() -> None:
    other_torch = Captured(ops=TWO_OPS.ops, identity={"torch": "2.12"}, private_paths=())
    keys = {TWO_OPS.key_of("async_io"), TWO_OPS.key_of("gds"), other_torch.key_of("gds")}
    assert len(keys) == 3


def test_the_op_key_is_the_same_on_machines_with_other_folders() -> None:
    elsewhere = Captured(ops=TWO_OPS.ops, identity=TWO_OPS.identity, private_paths=("/home/other",))
    assert elsewhere.key_of("gds") == TWO_OPS.key_of("gds")


def test_ops_with_cuda_sources_are_known() -> None:
    cuda = capture(
        gds=make_commands("gds", make_job("gds", "a.cu")),
        async_io=make_commands("async_io", make_job("async_io", "b.cpp")),
    )
    assert cuda.cuda_ops == {"gds"}
