"""Whole builds of a tiny DeepSpeed on this machine, through a real agent: what comes out, and how they fail."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from build_parts import SIGNATURE, SPECS, EventList, make_order, make_spec, make_tools, order_for
from tiny_deepspeed import TREE, make_torch_python, write_tree

from orchestrator.audit.wheels import read_wheel
from orchestrator.build.order import BuildOrder, BuildTools, BuiltWheel
from orchestrator.build.wheel import make_wheel
from orchestrator.errors import BuildError
from orchestrator.index.pip_index import PipIndex
from orchestrator.model.events import BuildStep, Note, OpFinished, OpStarted
from orchestrator.model.recipe import BuildStrategy
from orchestrator.remote.local import open_local
from orchestrator.remote.session import AgentSession

pytestmark = pytest.mark.build


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def index(shared: Path) -> PipIndex:
    return PipIndex(shared / "packages", environ=os.environ)


@pytest.fixture(scope="module")
def python(shared: Path) -> str:
    return make_torch_python(shared / "target")


@pytest.fixture(scope="module")
def builder(shared: Path) -> Iterator[AgentSession]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        session = open_local()
    yield session
    session.close()


@pytest.fixture
def tools(tmp_path: Path, builder: AgentSession, index: PipIndex) -> BuildTools:
    return make_tools(tmp_path, remote=builder, index=index)


@pytest.fixture
def order(tmp_path: Path, python: str) -> BuildOrder:
    return replace(order_for(write_tree(tmp_path / "tree"), make_order()), python=python)


def workspaces(shared: Path) -> list[Path]:
    return list((shared / "cache" / "dsdeploy" / "work").iterdir())


def events_of(tools: BuildTools) -> EventList:
    assert isinstance(tools.reporter, EventList)
    return tools.reporter


@pytest.fixture(scope="module")
def built(shared: Path, builder: AgentSession, index: PipIndex, python: str) -> BuiltWheel:
    """One wheel for all tests that only look."""
    tree = write_tree(shared / "tree")
    order = replace(order_for(tree, make_order(skipped={"not_implemented": "off in the recipe"})), python=python)
    return make_wheel(order, make_tools(shared / "built", remote=builder, index=index))


def test_the_wheel_holds_the_ordered_ops_and_says_why_not_the_others(built: BuiltWheel) -> None:
    contents = read_wheel(built.path)
    names = {Path(path).name.split(".")[0] for path in contents.shared_objects}
    assert names == {"cpu_adam_op", "async_io_op", "pin_memory_op"}
    assert built.manifest.built_ops == ("cpu_adam", "async_io", "pin_memory")
    assert built.manifest.ops[-1].reason == "off in the recipe"


def test_the_manifest_inside_is_the_one_returned_but_for_times(built: BuiltWheel) -> None:
    ops = tuple(replace(op, compile_s=None) for op in built.manifest.ops)
    assert read_wheel(built.path).manifest == replace(built.manifest, ops=ops)
    assert all(op.compile_s for op in built.manifest.ops if op.is_built)


def test_every_record_was_read_from_its_library(built: BuiltWheel) -> None:
    libraries = read_wheel(built.path).shared_objects
    for op in built.manifest.ops[:3]:
        assert op.path is not None
        assert op.module == f"deepspeed.ops.{op.name}_op"
        assert op.size_bytes == libraries[op.path].size_bytes
        assert op.needed == libraries[op.path].needed
        assert not libraries[op.path].has_debug_sections


def test_the_version_names_the_signature_and_torch_is_pinned(built: BuiltWheel) -> None:
    contents = read_wheel(built.path)
    assert contents.version.startswith("0.19.8+torch2.13.cpu.x8664v3.k")
    assert contents.version == built.manifest.deepspeed_version
    assert "torch==2.13.*" in contents.requires


def test_the_cpu_level_is_the_signatures(built: BuiltWheel) -> None:
    assert built.manifest.flags == {"march": "-march=x86-64-v3", "simd": "-D__AVX256__"}
    assert "c++" in built.manifest.compilers


def test_progress_is_told_step_by_step_and_op_by_op(order: BuildOrder, tools: BuildTools) -> None:
    make_wheel(order, tools)
    events = events_of(tools).events
    assert [event.text for event in events if isinstance(event, BuildStep)] == [
        "environment",
        "source",
        "commands",
        "wheel",
        "loading",
    ]
    started = [event.op for event in events if isinstance(event, OpStarted)]
    assert started[:2] == ["not_implemented", "async_io"]  # only to be linked; the longest
    assert sorted(started) == sorted(spec.name for spec in SPECS)
    assert {event.op for event in events if isinstance(event, OpFinished) and event.is_ok} == set(started)


def test_both_strategies_give_the_same_ops(order: BuildOrder, tools: BuildTools) -> None:
    literal = replace(order, recipe=replace(order.recipe, strategy=BuildStrategy.UPSTREAM))
    ours, theirs = make_wheel(order, tools), make_wheel(literal, replace(tools, folder=tools.folder / "upstream"))
    assert ours.manifest.built_ops == theirs.manifest.built_ops
    assert read_wheel(ours.path).installed_ops == read_wheel(theirs.path).installed_ops
    assert set(read_wheel(ours.path).shared_objects) == set(read_wheel(theirs.path).shared_objects)


def test_an_op_without_sources_is_built_but_has_no_module_to_load(order: BuildOrder, tools: BuildTools) -> None:
    record = make_wheel(order, tools).manifest.ops[-1]
    assert (record.name, record.is_built, record.module) == ("not_implemented", True, None)


def test_two_builds_of_one_order_give_equal_bytes(
    tmp_path: Path, order: BuildOrder, builder: AgentSession, index: PipIndex
) -> None:
    first, second = (make_wheel(order, make_tools(tmp_path / name, remote=builder, index=index)) for name in "ab")
    assert (first.timings.reused, second.timings.reused) == ((), ())
    assert first.path.read_bytes() == second.path.read_bytes()


def test_the_controller_builds_with_a_torch_that_it_keeps(order: BuildOrder, tools: BuildTools, python: str) -> None:
    (site_packages,) = Path(python).parents[1].glob("lib/python*/site-packages")
    kept = tools.cache / "torch" / f"{SIGNATURE.python_tag}-{SIGNATURE.torch_version}"
    kept.parent.mkdir(parents=True)
    kept.symlink_to(site_packages)
    built = make_wheel(replace(order, python=None), tools)
    assert built.manifest.built_ops == tuple(spec.name for spec in SPECS)


def test_a_failed_op_names_itself_its_source_and_the_first_error(
    tmp_path: Path, order: BuildOrder, tools: BuildTools, shared: Path
) -> None:
    tree = write_tree(tmp_path / "broken", csrc__pin_memory="#include <no_such_header.h>\n")
    with pytest.raises(BuildError) as failure:
        make_wheel(order_for(tree, order), tools)
    assert "op pin_memory failed on controller: csrc/pin_memory.c:1: no_such_header.h" in failure.value.message
    assert str(tools.logs / "pin_memory-csrc-pin_memory.c.log") in failure.value.message
    assert [event.op for event in events_of(tools).events if isinstance(event, OpFinished) and not event.is_ok] == [
        "pin_memory"
    ]
    assert workspaces(shared) == []


def test_an_op_that_cannot_be_loaded_fails_the_build(order: BuildOrder, tools: BuildTools) -> None:
    lonely = tuple(make_spec(spec.name, is_empty=spec.is_empty) for spec in SPECS)  # async_io without its pin_memory
    with pytest.raises(BuildError, match=r"async_io: ImportError: .*undefined symbol: pin_count"):
        make_wheel(replace(order, specs=lonely), tools)


def test_an_op_that_crashes_when_loaded_fails_the_build(tmp_path: Path, order: BuildOrder, tools: BuildTools) -> None:
    crash = "#include <stdlib.h>\n__attribute__((constructor)) static void crash(void) { abort(); }\n"
    tree = write_tree(tmp_path / "broken", csrc__cpu_adam=TREE["csrc/cpu_adam.c"] + crash)
    with pytest.raises(BuildError, match="cpu_adam: ended by signal 6"):
        make_wheel(order_for(tree, order), tools)


def test_an_op_that_setup_leaves_out_fails_the_build(tmp_path: Path, order: BuildOrder, tools: BuildTools) -> None:
    setup = TREE["setup.py"].replace("op.is_compatible()", 'name != "pin_memory"')
    with pytest.raises(BuildError, match="left out pin_memory"):
        make_wheel(order_for(write_tree(tmp_path / "broken", setup=setup), order), tools)


def test_an_op_that_deepspeed_thinks_incompatible_fails_the_build_before_anything_is_compiled(
    tmp_path: Path, order: BuildOrder, tools: BuildTools
) -> None:
    ops = TREE["op_builder/all_ops.py"].replace("return True", 'return self.name != "pin_memory"')
    with pytest.raises(BuildError, match=r"pin_memory: its is_compatible\(\) says no"):
        make_wheel(order_for(write_tree(tmp_path / "broken", op_builder__all_ops=ops), order), tools)
    assert not any(isinstance(event, OpStarted) for event in events_of(tools).events)


def test_a_wheel_whose_own_record_differs_is_refused(tmp_path: Path, order: BuildOrder, tools: BuildTools) -> None:
    setup = TREE["setup.py"].replace("installed_ops={installed_ops}", "installed_ops={dict()}")
    with pytest.raises(BuildError, match="installed_ops are none"):
        make_wheel(order_for(write_tree(tmp_path / "broken", setup=setup), order), tools)


def test_a_library_that_setup_compiles_again_is_refused(tmp_path: Path, order: BuildOrder, tools: BuildTools) -> None:
    setup = TREE["setup.py"].replace("default =", "ALL_OPS['cpu_adam'].sources = ['csrc/other.c']\ndefault =")
    setup = setup.replace("import os\n", "import os, shutil\nshutil.rmtree('build')\n", 1)
    tree = write_tree(tmp_path / "broken", setup=setup)
    (tree / "csrc" / "other.c").write_text(TREE["csrc/cpu_adam.c"] + "int other(void) { return 2; }\n")
    with pytest.raises(BuildError, match="compiled cpu_adam again"):
        make_wheel(order_for(tree, order), tools)


def test_a_torch_of_another_version_is_refused(tmp_path: Path, order: BuildOrder, tools: BuildTools) -> None:
    python = make_torch_python(tmp_path / "other", torch_version="2.12.1+cpu")
    with pytest.raises(BuildError, match=r"is 2\.12\.1\+cpu, not 2\.13\.0\+cpu"):
        make_wheel(replace(order, python=python), tools)


def test_a_python_of_another_tag_is_refused(order: BuildOrder, tools: BuildTools) -> None:
    with pytest.raises(BuildError, match="no Python for cp37"):
        make_wheel(replace(order, signature=replace(order.signature, python_tag="cp37")), tools)


def test_a_python_that_is_not_there_is_refused(order: BuildOrder, tools: BuildTools) -> None:
    with pytest.raises(BuildError, match="none that runs"):
        make_wheel(replace(order, python="/no/such/python"), tools)


def test_an_op_that_was_compiled_before_is_not_compiled_again(order: BuildOrder, tools: BuildTools) -> None:
    first, second = (make_wheel(order, replace(tools, folder=tools.folder / name)) for name in "ab")
    assert {span.op for span in first.timings.spans} == {spec.name for spec in SPECS}
    assert (second.timings.spans, second.timings.reused) == ((), tuple(spec.name for spec in SPECS))
    assert second.path.read_bytes() == first.path.read_bytes()


@pytest.mark.skipif(not shutil.which("ccache"), reason="there is no ccache")
def test_ccache_answers_for_the_same_sources_in_another_folder(
    tmp_path: Path, order: BuildOrder, builder: AgentSession, index: PipIndex
) -> None:
    recipe = replace(order.recipe, environment={"CCACHE_DIR": str(tmp_path / "ccache")})
    cached = replace(order, recipe=recipe, ccache=shutil.which("ccache"))
    for name in "ab":  # the folder on the builder is another one each time, and so are op cache and history
        make_wheel(cached, make_tools(tmp_path / name, remote=builder, index=index))
    command = ("ccache", "--dir", str(tmp_path / "ccache"), "--print-stats")
    counts = dict(line.split("\t") for line in subprocess.check_output(command, text=True).splitlines())
    assert (counts["cache_miss"], counts["direct_cache_hit"]) == ("3", "3")


def test_an_order_with_one_more_op_compiles_one_op(order: BuildOrder, tools: BuildTools) -> None:
    make_wheel(replace(order, decisions=order.decisions[1:]), tools)
    more = make_wheel(order, replace(tools, folder=tools.folder / "more"))
    assert {span.op for span in more.timings.spans} == {"cpu_adam"}
    assert more.manifest.built_ops == tuple(spec.name for spec in SPECS)


def test_a_build_that_failed_goes_on_at_the_op_where_it_stood(
    order: BuildOrder, tools: BuildTools, moody: Callable[[str], BuildOrder]
) -> None:
    trying = replace(moody("exit 1"), cores=1)
    with pytest.raises(BuildError, match="op pin_memory failed"):
        make_wheel(trying, tools)
    done = {event.op for event in events_of(tools).events if isinstance(event, OpFinished) and event.is_ok}
    again = make_wheel(trying, tools)
    assert set(again.timings.reused) == done
    assert done
    assert {span.op for span in again.timings.spans} == {spec.name for spec in SPECS} - done


def test_a_compiler_that_was_killed_starts_once_more(tools: BuildTools, moody: Callable[[str], BuildOrder]) -> None:
    built = make_wheel(moody("kill -9 $$"), tools)
    assert [span.op for span in built.timings.spans if span.is_retry] == ["pin_memory"]
    assert any(isinstance(event, Note) and "pin_memory.c" in event.text for event in events_of(tools).events)
    assert built.manifest.built_ops == tuple(spec.name for spec in SPECS)


def test_a_compiler_that_is_killed_again_fails_the_build(order: BuildOrder, tools: BuildTools, tmp_path: Path) -> None:
    killed = compile_with(order, tmp_path, "kill -9 $$")
    with pytest.raises(BuildError, match="op pin_memory failed"):
        make_wheel(killed, tools)


def compile_with(order: BuildOrder, folder: Path, instead: str) -> BuildOrder:
    """Return the order with a compiler that does something else for pin_memory's source."""
    compiler = folder / "c++"
    compiler.write_text(f'#!/bin/sh\ncase "$*" in *-c*pin_memory.c*) {instead} ;; esac\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    (folder / "cc").symlink_to(compiler)
    return replace(order, toolchain=replace(order.toolchain, cxx=str(compiler)))


@pytest.fixture
def moody(tmp_path: Path, order: BuildOrder) -> Callable[[str], BuildOrder]:
    """Makes an order whose compiler does something else for pin_memory's source, but only once."""

    def make(instead: str) -> BuildOrder:
        mark = tmp_path / "mark"
        return compile_with(order, tmp_path, f"[ -e {mark} ] || {{ touch {mark} ; {instead} ; }}")

    return make


HANGING_COMPILER = """\
#!/bin/sh
case "$*" in
    *pin_memory*) read -r _ < {go} ; exit 1 ;;
    *) exec > {life} ; echo started ; exec sleep 600 ;;
esac
"""


@dataclass(frozen=True)
class Hanging:
    """An order whose compiler hangs, but for pin_memory, which fails when something is written into `go`."""

    order: BuildOrder
    go: Path
    life: Path
    """A pipe that the hanging compiler holds open as long as it lives."""

    def when_started(self, then: Callable[[], object]) -> Future[int]:
        """Call `then` once the compiler hangs; the result is the pipe's reading end."""

        def wait() -> int:
            reading = os.open(self.life, os.O_RDONLY)
            assert os.read(reading, 100) == b"started\n"
            then()
            return reading

        return ThreadPoolExecutor(1).submit(wait)


@pytest.fixture
def hanging(tmp_path: Path, order: BuildOrder) -> Hanging:
    found = Hanging(
        order=replace(
            order,
            recipe=replace(order.recipe, environment={"CC": str(tmp_path / "cc")}),
            decisions=tuple(decision for decision in order.decisions if decision.op in ("async_io", "pin_memory")),
        ),
        go=tmp_path / "go",
        life=tmp_path / "life",
    )
    os.mkfifo(found.go)
    os.mkfifo(found.life)
    (tmp_path / "cc").write_text(HANGING_COMPILER.format(life=found.life, go=found.go))
    (tmp_path / "cc").chmod(0o755)
    return found


def has_ended(reading: int) -> bool:
    """Whether nobody holds the pipe's other end any more, or soon does not."""
    is_readable = bool(select.select([reading], [], [], 30)[0])
    return is_readable and os.read(reading, 1) == b""


def test_when_an_op_fails_the_compilers_of_the_others_are_ended(
    hanging: Hanging, tools: BuildTools, shared: Path
) -> None:
    reading = hanging.when_started(lambda: hanging.go.write_text("\n"))
    with pytest.raises(BuildError, match="op pin_memory failed"):
        make_wheel(hanging.order, tools)
    assert has_ended(reading.result())
    assert workspaces(shared) == []


def test_an_interrupt_ends_the_compilers_and_leaves_nothing(hanging: Hanging, tools: BuildTools, shared: Path) -> None:
    reading = hanging.when_started(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        make_wheel(hanging.order, tools)
    assert has_ended(reading.result())
    assert workspaces(shared) == []
    assert list(tools.folder.iterdir()) == []
