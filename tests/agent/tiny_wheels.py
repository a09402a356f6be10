"""Tiny distributions that stand where torch and DeepSpeed do, and the real pip as a wheel."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import zipfile
from collections.abc import Mapping
from importlib.metadata import distribution

TORCH = {
    "torch/__init__.py": "",
    "torch/version.py": "__version__ = '2.13.0+cpu'\ncuda: 'str | None' = None\ngit_version = 'cf30153c'\nhip = None\n",
    "torch/utils/__init__.py": "",
    "torch/utils/cpp_extension.py": "def load(**_): raise SystemExit('compiled')\n",
}

_BUILDERS = """
import importlib
class Builder:
    def __init__(self, name): self.name = name
    def absolute_name(self): return f"deepspeed.ops.{self.name}_op"
    def sources(self): return [] if self.name == "empty" else ["csrc/x.cpp"]
    def load(self, verbose=True):
        from torch.utils import cpp_extension
        if self.name == "jit": return cpp_extension.load(name=self.name)
        return importlib.import_module(self.absolute_name())
ALL_OPS = {name: Builder(name) for name in ("good", "broken", "crash", "hang", "jit", "gone", "empty")}
"""

_REPORT = """
if __name__ == "__main__":
    print("op name ................ installed .. compatible")
    print("good ................... \\033[92m[YES]\\033[0m ...... \\033[92m[OKAY]\\033[0m")
    print("deepspeed info ................... 1.2.3, unknown, unknown")
"""

DEEPSPEED = {
    "deepspeed/__init__.py": "",
    "deepspeed/git_version_info_installed.py": "installed_ops={'good': 1, 'off': False}\naccelerator_name='cpu'\n",
    "deepspeed/env_report.py": _REPORT,
    "deepspeed/ops/__init__.py": "",
    "deepspeed/ops/op_builder/__init__.py": "",
    "deepspeed/ops/op_builder/all_ops.py": _BUILDERS,
    "deepspeed/ops/good_op.py": "print('noise')\n",
    "deepspeed/ops/broken_op.py": "raise ImportError('x.so: undefined symbol: _ZN3c10')\n",
    "deepspeed/ops/crash_op.py": "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n",
    "deepspeed/ops/hang_op.py": "import signal\nsignal.pause()\n",
    "deepspeed/ops/jit_op.py": "",
    "deepspeed/ops/empty_op.py": "a placeholder is linked, not imported, and this is no library",
}


def wheel(name: str, version: str, files: Mapping[str, str], *, requires: tuple[str, ...] = ()) -> bytes:
    """Return a whole wheel for any Python."""
    folder = f"{name}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    contents = {path: text.encode() for path, text in files.items()}
    contents[f"{folder}/METADATA"] = ("\n".join(metadata) + "\n").encode()
    contents[f"{folder}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [record_line(path, content) for path, content in contents.items()]
    contents[f"{folder}/RECORD"] = "\n".join([*record, f"{folder}/RECORD,,", ""]).encode()
    return zipped(contents)


@functools.cache
def pip_wheel() -> bytes:
    """Return the pip of this environment, packed again as it came."""
    found = distribution("pip")
    files = [path for path in found.files or () if not path.parts[0].startswith("..") and path.suffix != ".pyc"]
    return zipped({str(path): path.locate().read_bytes() for path in files})  # type: ignore[attr-defined]


def zipped(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in contents.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def record_line(path: str, content: bytes) -> str:
    """Return a file's line in RECORD."""
    return f"{path},sha256={_digest(content)},{len(content)}"


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
