"""Recipes: what is read from them, and what is said of faulty ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.ops import load_op_catalogue
from orchestrator.config.recipe_text import parse_recipe
from orchestrator.config.recipes import list_recipes, load_recipe, recipe_folders
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model.recipe import ArchPolicy, BuildStrategy, CpuPolicy, PtxPolicy, Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.model.toolchain import ToolchainPolicy

CATALOGUE = load_op_catalogue()
SHIPPED = Path(__file__).parents[2] / "recipes"
VERSION = "deepspeed: {version: 0.19.8}\n"


def parsed(text: str, *, path: Path = Path("/r/mine.yaml")) -> Recipe:
    return parse_recipe(text, path=path, catalogue=CATALOGUE)


def faults_of(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return [(fault.line, fault.message) for fault in caught.value.faults]


def test_a_recipe_of_all_keys_is_read() -> None:
    text = """
deepspeed: {git: "https://example.org/deepspeed.git", revision: v0.19.8}
accelerator: cuda
ops: {want: [fused_adam, utils], require: [cpu_adam], skip: [gds]}
python: /opt/venv/bin/python
env: {OMP_NUM_THREADS: 2, CC: gcc-12}
cpu: x86-64-v3
archs: ["9.0", sm_80, 10.0a]
ptx: newest
strip: false
skip_cuda_check: true
strategy: upstream
toolchain: wheels
"""
    assert parsed(text) == Recipe(
        name="mine",
        source=Source(kind=SourceKind.GIT, value="https://example.org/deepspeed.git", revision="v0.19.8"),
        accelerator=Accelerator.CUDA,
        wanted=("fused_adam", "utils"),
        required=("cpu_adam",),
        off=("gds",),
        python="/opt/venv/bin/python",
        environment={"OMP_NUM_THREADS": "2", "CC": "gcc-12"},
        cpu_level=CpuLevel.X86_64_V3,
        archs=("sm_90", "sm_80", "sm_100a"),
        ptx=PtxPolicy.NEWEST,
        strip=False,
        skip_cuda_check=True,
        strategy=BuildStrategy.UPSTREAM,
        toolchain=ToolchainPolicy.WHEELS,
    )


def test_what_is_left_out_has_the_models_defaults() -> None:
    assert parsed(VERSION) == Recipe(name="mine", source=Source(kind=SourceKind.VERSION, value="0.19.8"))


@pytest.mark.parametrize("version", ["0.19", "0.20", "1.0", "0.19.8rc1"])
def test_a_version_stays_the_text_that_was_written(version: str) -> None:
    assert parsed(f"deepspeed:\n  version: {version}\n").source.value == version


def test_policies_for_cpu_and_archs_are_words() -> None:
    recipe = parsed(VERSION + "cpu: per-level\narchs: union\n")
    assert (recipe.cpu_policy, recipe.cpu_level) == (CpuPolicy.PER_LEVEL, None)
    assert (recipe.arch_policy, recipe.archs) == (ArchPolicy.UNION, ())


def test_a_folder_is_meant_from_the_recipes_own(tmp_path: Path) -> None:
    (tmp_path / "DeepSpeed" / "op_builder").mkdir(parents=True)
    (tmp_path / "recipes").mkdir()
    recipe = parsed("deepspeed: {path: ../DeepSpeed}", path=tmp_path / "recipes" / "mine.yaml")
    assert recipe.source == Source(kind=SourceKind.FOLDER, value=str((tmp_path / "DeepSpeed").resolve()))


def test_switches_are_another_way_to_write_the_lists() -> None:
    by_switches = parsed(VERSION + "env: {DS_BUILD_OPS: 0, DS_BUILD_CPU_ADAM: 1, DS_BUILD_AIO: 0, CC: gcc}\n")
    by_lists = parsed(VERSION + "ops: {want: [cpu_adam], skip: [async_io]}\nenv: {CC: gcc}\n")
    assert by_switches == by_lists
    assert by_switches.digest() == by_lists.digest()


def test_a_switch_adds_to_the_wanted_ops_and_narrows_nothing() -> None:
    assert parsed(VERSION + "ops: {want: [utils]}\nenv: {DS_BUILD_FUSED_ADAM: 1}\n").wanted == ("utils", "fused_adam")
    assert parsed(VERSION + "env: {DS_BUILD_FUSED_ADAM: 1, DS_BUILD_OPS: 1}\n").wanted == ()


@pytest.mark.parametrize(
    ("text", "line", "path", "near"),
    [
        ("ops: {want: [cpu_adm]}", 2, "ops.want[0]", "cpu_adam"),
        ("ops:\n  skip:\n  - gds\n  - sparse_atn", 5, "ops.skip[1]", "sparse_attn"),
        ("opps: {}", 2, "opps", "ops"),
        ("ops: {requires: [cpu_adam]}", 2, "ops.requires", "require"),
        ("accelerator: cudda", 2, "accelerator", "cuda"),
        ("strategy: perop", 2, "strategy", "per-op"),
        ("toolchain: wheel", 2, "toolchain", "wheels"),
        ("cpu: x86-64-v5", 2, "cpu", "x86-64-v"),
        ("env: {DS_BUILD_CPU_ADAMS: 1}", 2, "env.DS_BUILD_CPU_ADAMS", "DS_BUILD_CPU_ADAM"),
    ],
)
def test_a_misspelt_word_is_told_with_line_key_path_and_the_near_one(
    text: str, line: int, path: str, near: str
) -> None:
    ((at, message),) = faults_of(VERSION + text)
    assert at == line
    assert message.startswith(f"{path}: ")
    assert f"did you mean {near}" in message


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("strip: yes", "strip"),
        ("strip: 1", "strip"),
        ("strip:", "strip"),
        ("skip_cuda_check: off", "skip_cuda_check"),
        ("ptx: [never]", "ptx"),
        ("ops: [cpu_adam]", "ops"),
        ("ops: {want: cpu_adam}", "ops.want"),
        ("ops: {want: []}", "ops.want"),
        ("ops: {want: [[cpu_adam]]}", "ops.want[0]"),
        ("ops: {want: [cpu_adam, cpu_adam]}", "ops.want[1]"),
        ("accelerator: rocm\nops: {want: [cutlass_ops]}", "ops.want[0]"),
        ("ops: {require: [sparse_attn]}", "ops.require[0]"),
        ("accelerator: cpu\nops: {require: [fused_lamb]}", "ops.require[0]"),
        ("accelerator: cpu\narchs: [sm_90]", "archs"),
        ("archs: [9.0+PTX]", "archs[0]"),
        ("python: -c", "python"),
        ("env: {TORCH_CUDA_ARCH_LIST: 9.0}", "env.TORCH_CUDA_ARCH_LIST"),
        ("env: {DS_ACCELERATOR: cpu}", "env.DS_ACCELERATOR"),
        ("env: {DS_BUILD_STRING: x}", "env.DS_BUILD_STRING"),
        ("env: {A B: x}", "env.A B"),
        ('env: {A: "x\\ny"}', "env.A"),
        ("env: {DS_BUILD_AIO: yes}", "env.DS_BUILD_AIO"),
        ("env: {DS_BUILD_OPS: 0}", "env.DS_BUILD_OPS"),
        ("ops: {want: [utils]}\nenv: {DS_BUILD_OPS: 1}", "env.DS_BUILD_OPS"),
        ("env: {DS_BUILD_SPARSE_ATTN: 1}", "env.DS_BUILD_SPARSE_ATTN"),
        ("ops: {want: [cpu_adam], skip: [cpu_adam]}", "ops.want[0]"),
        ("ops: {require: [cpu_adam]}\nenv: {DS_BUILD_CPU_ADAM: 0}", "ops.require[0]"),
        ("ops: {skip: [cpu_adam]}\nenv: {DS_BUILD_CPU_ADAM: 1}", "env.DS_BUILD_CPU_ADAM"),
        ("ops: {require: [async_io], skip: [pin_memory]}", "ops.require[0]"),
        ("deepspeed: {version: 0.19.8}", "deepspeed"),
        ("? [a, b]\n: c", "the file"),
    ],
)
def test_what_cannot_be_meant_is_one_fault_at_its_key(text: str, path: str) -> None:
    ((line, message),) = faults_of(VERSION + text)
    assert line is not None
    assert line > 1
    assert message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    "source",
    [
        "0.19.8",
        "{}",
        "{version: latest}",
        "{version: 0.19.8, path: x}",
        "{version: 0.19.8, revision: x}",
        "{git: 'https://example.org/x'}",
        "{git: 'ext::sh -c true', revision: main}",
        "{git: '--upload-pack=x', revision: main}",
        "{git: 'https://example.org/x', revision: --help}",
        "{git: 'ssh://-oProxyCommand=x/y', revision: main}",
        "{path: ~/DeepSpeed}",
        "{path: /nonexistent}",
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(source: str) -> None:
    assert [line for line, _ in faults_of(f"\ndeepspeed: {source}\n")] == [2]


def test_a_recipe_without_deepspeed_is_refused() -> None:
    ((_, message),) = faults_of("strip: true\n")
    assert message.startswith("deepspeed: is missing")


def test_all_faults_are_told_at_once_in_order_of_lines() -> None:
    text = "deepspeed: {version: x}\ncolour: red\nstrip: maybe\nstrip: true\nptx: 1\n"
    assert [line for line, _ in faults_of(text)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "text", ["", "- a\n", "a: [", "a: 'b", "x", "a: *b", "a: 1\n---\nb: 2\n", "[" * 3000, "a: \x01"]
)
def test_what_is_no_yaml_mapping_is_one_fault(text: str) -> None:
    assert len(faults_of(text)) == 1


@given(st.text(max_size=60))
def test_any_text_is_a_recipe_or_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parsed(text)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_that_ship_can_be_loaded_and_say_what_they_are(path: Path) -> None:
    recipe = load_recipe(path.stem, folders=[SHIPPED])
    assert recipe.name == path.stem
    assert recipe.source == Source(kind=SourceKind.VERSION, value="0.19.8")
    assert recipe.required
    (listed,) = (file for file in list_recipes([SHIPPED]) if file.name == path.stem)
    assert listed.summary


def test_the_four_recipes_of_the_readme_ship() -> None:
    assert [file.name for file in list_recipes([SHIPPED])] == ["cpu-training", "inference", "training", "zero-infinity"]


def test_the_cpu_recipe_skips_what_claims_to_be_compatible() -> None:
    recipe = load_recipe("cpu-training", folders=[SHIPPED])
    assert recipe.accelerator is Accelerator.CPU
    assert recipe.off == ("deepspeed_ccl_comm",)
    assert {"cpu_adam", "cpu_adagrad", "cpu_lion", "fused_adam", "deepspeed_shm_comm"} <= set(recipe.required)


def test_a_recipe_of_ones_own_wins_over_the_one_that_ships(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "training.yaml").write_text("# Mine.\n" + VERSION)
    folders = recipe_folders(project=tmp_path, user=tmp_path / "none")
    assert folders[0] == (tmp_path / "recipes").resolve()
    assert SHIPPED.resolve() in folders
    assert load_recipe("training", folders=folders).required == ()
    assert {file.name: file.summary for file in list_recipes(folders)}["training"] == "Mine."


def test_a_path_is_loaded_from_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(VERSION)
    assert load_recipe(str(path), folders=[]).name == "odd"


def test_an_unknown_name_is_told_with_the_near_one() -> None:
    with pytest.raises(UsageError, match="did you mean training"):
        load_recipe("trainig", folders=[SHIPPED])


@pytest.mark.parametrize("name", ["none.yaml", "./none", "/"])
def test_a_path_to_nothing_is_a_usage_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        load_recipe(name, folders=[SHIPPED])
