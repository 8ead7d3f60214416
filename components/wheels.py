"""Installed packages, and pure wheels put together by hand. Standard library only."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_TAG = "py3-none-any"


def installed_version(distribution: str) -> str | None:
    """None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def tensorflow_version() -> str:
    """Of whichever build is installed here.

    Raises:
        RuntimeError: none is.
    """
    for name in _TENSORFLOWS:
        found = installed_version(name)
        if found is not None:
            return found.partition("+")[0]
    raise RuntimeError(f"none of {', '.join(_TENSORFLOWS)} is installed; install one")


def package_files(folder: Path, package: str) -> dict[str, bytes]:
    """Path in a wheel and content of every file of the package that stands in `folder`."""
    return {
        f"{package}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


def build_wheel(
    name: str,
    version: str,
    files: Mapping[str, bytes],
    *requires: str,
    commands: Mapping[str, str] | None = None,
) -> tuple[str, bytes]:
    """File name and content of a pure wheel (packaging.python.org, binary distribution format).

    `commands` are console scripts, name to `module:function`. Stored, not compressed: what zlib
    makes of it depends on its version.
    """
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in requires)
    wheel = f"Wheel-Version: 1.0\nGenerator: tpuline\nRoot-Is-Purelib: true\nTag: {_TAG}\n"
    content = {
        **dict(sorted(files.items())),
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": wheel.encode(),
    }
    if commands:
        lines = "".join(f"{command} = {place}\n" for command, place in commands.items())
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    record = "".join(f"{path},{_digest(data)},{len(data)}\n" for path, data in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, data in content.items():
            entry = zipfile.ZipInfo(path, _NO_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return f"{name}-{version}-{_TAG}.whl", buffer.getvalue()


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
