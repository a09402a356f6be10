"""Small shared objects, compiled here in a moment, each with one thing that an audit looks for."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX is x86-64's")

SCALE = """
void scale(float *values, float factor, int count) {
    for (int index = 0; index < count; index++) values[index] = values[index] * factor + 1.0f;
}
"""


def compile_op(folder: Path, source: str, *flags: str, name: str = "op") -> Path:
    """A library of C code that may leave any symbol undefined."""
    target = folder / f"{name}.so"
    command = ["gcc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib", "-o", str(target), *flags]
    subprocess.run(command, cwd=folder, input=source.encode(), check=True)
    return target


def compile_needing(folder: Path, version: str, soname: str = "libc.so.6") -> Path:
    """A library that needs a symbol of one version, which a stand-in of the system's library gives the linker."""
    (folder / "versions").write_text(f"{version} {{ global: from_later; }};")
    stand_in = compile_op(
        folder, "void from_later(void) {}", f"-Wl,-soname,{soname}", "-Wl,--version-script=versions", name="stand_in"
    )
    return compile_op(folder, "void from_later(void); void use(void) { from_later(); }", str(stand_in))


def compile_linked_with(folder: Path, soname: str) -> Path:
    """A library that needs another one."""
    other = compile_op(folder, "void other(void) {}", f"-Wl,-soname,{soname}", name="other")
    return compile_op(folder, "void other(void); void use(void) { other(); }", str(other))


def compile_calling(folder: Path, *symbols: str, flags: tuple[str, ...] = ()) -> Path:
    """A library that calls functions by their mangled names."""
    declared = "".join(f"void {symbol}(void);" for symbol in symbols)
    called = "".join(f"{symbol}();" for symbol in symbols)
    return compile_op(folder, f"{declared} void use(void) {{ {called} }}", *flags)
