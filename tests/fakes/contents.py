"""What wheels could show, made up: libraries that need this and that."""

from __future__ import annotations

from orchestrator.model.audit import SharedObject, WheelContents


def make_contents(*libraries: SharedObject, tag: str = "cp311-cp311-linux_x86_64", **changes: object) -> WheelContents:
    """A wheel of these libraries: `_C0`, `_C1` …"""
    values: dict[str, object] = {
        "filename": f"kernels-1.0-{tag}.whl",
        "name": "kernels",
        "version": "1.0",
        "tags": tuple(tag.split(" ")),
        "shared_objects": {f"kernels/_C{index}.so": library for index, library in enumerate(libraries)},
    }
    return WheelContents(**{**values, **changes})  # type: ignore[arg-type]


def make_library(**changes: object) -> SharedObject:
    values: dict[str, object] = {
        "machine": "x86_64",
        "size_bytes": 1000,
        "glibc": None,
        "glibcxx": None,
        "cxxabi": None,
        "needed": (),
        "search_path": (),
        "has_debug_sections": False,
        "has_device_code": False,
    }
    return SharedObject(**{**values, **changes})  # type: ignore[arg-type]


def with_code(*archs: str) -> SharedObject:
    """A library with GPU code for these archs."""
    return make_library(
        has_device_code=True,
        gpu_archs=tuple(arch for arch in archs if arch.startswith("sm_")),
        ptx_archs=tuple(arch for arch in archs if arch.startswith("compute_")),
    )
