"""Toolkits of a few files: an nvcc that says its version and where it is, as a folder or as wheels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from orchestrator.model.recipe import Source
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.ports import PackageFile, TargetTags

VERSION = "13.0.88"
NVCC = f"""#!/bin/sh
case "$1" in
--version) echo "Cuda compilation tools, release 13.0, V{VERSION}" ;;
*) echo "#$ TOP=$(dirname "$0")/.." ;;
esac
"""
TAGS = TargetTags(python_version="3.12.1", abi_tag="cp312", machine="x86_64", glibc="2.36")
TOOLKIT = {
    "bin/nvcc": NVCC,
    "bin/cudafe++": "#!/bin/sh\necho cudafe++ $#\n",
    "bin/nvcc.profile": "",
    "nvvm/bin/cicc": "#!/bin/sh\necho cicc $#\n",
    "nvvm/libdevice/libdevice.10.bc": "",
    "include/cuda.h": "#define cuMemAlloc cuMemAlloc_v2\nCUresult cuInit(int);\nCUresult cuMemAlloc(int);\n",
    "include/crt/host_config.h": "",
    "lib/libcudart.so.13": "",
}


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files, programs executable, and return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(0o755 if content.startswith("#!") else 0o644)
    return folder


def make_toolchain(kind: ToolchainKind, **changes: object) -> Toolchain:
    toolchain = Toolchain(kind=kind, reason="for a test", cxx="/usr/bin/g++", cxx_version="12.2.0", cuda="13.0")
    return replace(toolchain, **changes)  # type: ignore[arg-type]


WHEELS = make_toolchain(ToolchainKind.WHEELS, requirements=("cuda-toolkit[nvcc]==13.0.*",))


def installed(cuda_home: Path) -> Toolchain:
    return make_toolchain(ToolchainKind.SYSTEM, cuda_home=str(cuda_home), nvcc_version=VERSION)


def pack_wheel(folder: Path, name: str, files: Mapping[str, str]) -> Path:
    """A wheel with modes, as NVIDIA's have them; nothing else of it is read."""
    path = folder / f"{name}-13.0-py3-none-manylinux_2_17_x86_64.whl"
    with ZipFile(path, "w") as wheel:
        for inside, content in files.items():
            member = ZipInfo(inside)
            member.external_attr = (0o100755 if content.startswith("#!") else 0o100644) << 16
            wheel.writestr(member, content)
    return path


class WheelsInAFolder:
    """A package index that answers everything with the same files, and remembers what it was asked."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.asked: list[tuple[tuple[str, ...], TargetTags, dict[str, str]]] = []

    def wheels(
        self, requirements: Sequence[str], tags: TargetTags, *, constraints: Mapping[str, str]
    ) -> tuple[PackageFile, ...]:
        self.asked.append((tuple(requirements), tags, dict(constraints)))
        return tuple(
            PackageFile(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest()) for path in self.paths
        )

    def source(self, source: Source) -> PackageFile:
        raise AssertionError(f"no toolchain needs {source}")

    def resolve(self, source: Source) -> Source:
        raise AssertionError(f"no toolchain needs {source}")


def toolkit_wheels(folder: Path) -> WheelsInAFolder:
    """The toolkit in two wheels that share folders."""
    inside = {f"nvidia/cu13/{name}": content for name, content in TOOLKIT.items()}
    compiler = {name: content for name, content in inside.items() if "/bin/" in name}
    rest = {name: content for name, content in inside.items() if name not in compiler}
    return WheelsInAFolder(pack_wheel(folder, "nvidia_nvcc", compiler), pack_wheel(folder, "nvidia_rest", rest))
