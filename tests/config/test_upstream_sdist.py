"""What we wrote down of DeepSpeed, held against its real source."""

from __future__ import annotations

import ast
import collections
import copy
import io
import logging
import os
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_filters import COUNTS, FILTERS
from test_hostfile import TEXTS
from upstream_rules import RefusedError, filtered_upstream, hosts_upstream

from orchestrator.config.ops import load_op_catalogue, ops_for
from orchestrator.index.pip_index import PipIndex
from orchestrator.model.recipe import Source, SourceKind
from orchestrator.model.signature import Accelerator

VERSION = "0.19.8"
LAUNCHER_NAMES = {
    "_parse_hostfile",
    "_stable_remove_duplicates",
    "parse_node_config",
    "parse_node_config_list",
    "parse_resource_filter",
    "parse_inclusion_exclusion",
}
pytestmark = pytest.mark.build


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, from the configured package index."""
    index = PipIndex(tmp_path_factory.mktemp("index"), environ=os.environ)
    archive = index.source(Source(kind=SourceKind.VERSION, value=VERSION))
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(archive.path) as file:
        file.extractall(folder, filter="data")
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def launcher(tree: Path) -> dict[str, Any]:
    """The launcher's own functions for hostfiles and filters, without importing torch."""
    module = ast.parse((tree / "deepspeed/launcher/runner.py").read_text(encoding="utf-8"))
    module.body = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name in LAUNCHER_NAMES]
    names: dict[str, Any] = {
        "collections": collections,
        "defaultdict": collections.defaultdict,
        "deepcopy": copy.deepcopy,
        "logger": logging.getLogger("upstream-launcher"),
        "re": re,
        "Dict": dict,
        "List": list,
        "Tuple": tuple,
    }
    names["logger"].disabled = True
    exec(compile(module, "runner.py", "exec"), names)
    return names


def test_our_copy_of_the_hostfile_rules_is_deepspeeds(launcher: dict[str, Any]) -> None:
    @given(TEXTS)
    def compare(text: str) -> None:
        try:
            expected = dict(launcher["_parse_hostfile"](io.StringIO(text, newline=None).readlines()))
        except ValueError:
            with pytest.raises(RefusedError):
                hosts_upstream(text)
        else:
            assert list(hosts_upstream(text).items()) == list(expected.items())

    compare()


def test_our_copy_of_the_filter_rules_is_deepspeeds(launcher: dict[str, Any]) -> None:
    @given(FILTERS, st.booleans())
    def compare(text: str, is_include: bool) -> None:  # noqa: FBT001
        texts = (text, "") if is_include else ("", text)
        try:
            expected = dict(launcher["parse_inclusion_exclusion"](COUNTS, *texts))
        except ValueError:
            with pytest.raises(RefusedError):
                filtered_upstream(COUNTS, *texts)
        else:
            assert list(filtered_upstream(COUNTS, *texts).items()) == list(expected.items())

    compare()


def test_the_catalogue_names_the_ops_and_switches_of_the_source(tree: Path) -> None:
    everywhere, cpu = builders_in(tree / "op_builder"), builders_in(tree / "op_builder/cpu")
    exported = names_of(tree / "op_builder/cpu/__init__.py", ast.alias)
    borrowed = names_of(tree / "accelerator/cuda_accelerator.py", ast.Constant) & set(cpu)
    expected = {
        Accelerator.CPU: {cpu.get(name) or everywhere[name] for name in exported},
        Accelerator.CUDA: {*everywhere.values(), *(cpu[name] for name in borrowed)},
    }
    for accelerator, ops in expected.items():
        known = {(spec.name, spec.build_variable) for spec in ops_for(load_op_catalogue(), VERSION, accelerator)}
        assert known == ops


def builders_in(folder: Path) -> dict[str, tuple[str, str]]:
    """Builder class → its NAME and BUILD_VAR."""
    found = {}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                values = {
                    target.id: item.value.value
                    for item in node.body
                    if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
                    for target in item.targets
                    if isinstance(target, ast.Name)
                }
                if "BUILD_VAR" in values:
                    found[node.name] = (str(values["NAME"]), str(values["BUILD_VAR"]))
    return found


def names_of(path: Path, kind: type[ast.alias | ast.Constant]) -> set[str]:
    """The imported names, or the texts, of a module that end in `Builder`."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kind)]
    words = [node.name if isinstance(node, ast.alias) else node.value for node in nodes]
    return {word for word in words if isinstance(word, str) and word.endswith("Builder")}
