"""What a worker on another machine needs: our wheel, its requirements, and a container file.

Made from the package as it is installed here, without its source tree and without the network.
"""

from __future__ import annotations

import base64
import hashlib
import io
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import contracts

# What `components` import in a worker. Beam is in its image; so are pyarrow and NumPy, but of any
# version, and the bytes of what they write and draw depend on it.
DISTRIBUTIONS = (
    "fonttools",
    "google-crc32c",
    "numpy",
    "py3langid",
    "pyarrow",
    "python-stdnum",
    "rensa",
    "scipy",
    "sentencepiece",
    "tensorflow-text",
    "tokenizers",
)
_TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_TAG = "py3-none-any"


@dataclass(frozen=True, kw_only=True)
class WorkerFiles:
    """Where the files are."""

    wheel: Path  # the stages of this package
    tensorflow_wheel: Path  # see `tensorflow_wheel`
    requirements: Path
    dockerfile: Path


def write_worker_files(folder: Path) -> WorkerFiles:
    """Writes all of them into `folder`. The same package gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    tensorflow = tensorflow_version()
    name, content = package_wheel()
    shim_name, shim_content = tensorflow_wheel(tensorflow)
    files = WorkerFiles(
        wheel=folder / name,
        tensorflow_wheel=folder / shim_name,
        requirements=folder / "requirements.txt",
        dockerfile=folder / "Dockerfile",
    )
    files.wheel.write_bytes(content)
    files.tensorflow_wheel.write_bytes(shim_content)
    files.requirements.write_text(requirements(tensorflow), encoding="utf-8")
    files.dockerfile.write_text(dockerfile(shim_name), encoding="utf-8")
    return files


def package_wheel() -> tuple[str, bytes]:
    """File name and content of a wheel of `tpuline.components`, which need nothing else of it."""
    folder = Path(contracts.__file__).parent
    files = {
        f"tpuline/components/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    return build_wheel("tpuline", _version("tpuline") or "0", files)


def tensorflow_wheel(tensorflow: str) -> tuple[str, bytes]:
    """An empty wheel called `tensorflow` that asks for tensorflow-cpu, two thirds of its size.

    tensorflow-text asks for a distribution of just that name. The local version, +cpu, is what pip
    prefers to the one on the index.
    """
    return build_wheel("tensorflow", f"{tensorflow}+cpu", {}, f"tensorflow-cpu=={tensorflow}")


def requirements(tensorflow: str) -> str:
    """Pinned to what is installed here; what is not installed here is not needed there."""
    pins = [f"tensorflow=={tensorflow}+cpu", f"tensorflow-cpu=={tensorflow}"]
    for name in DISTRIBUTIONS:
        found = _version(name)
        if found is not None:
            pins.append(f"{name}=={found}")
    return "".join(f"{pin}\n" for pin in sorted(pins))


def dockerfile(shim: str) -> str:
    """An image of Beam's with all requirements in it: workers start in a fraction of the time."""
    python = ".".join(platform.python_version_tuple()[:2])
    return (
        "# docker build -t REGION-docker.pkg.dev/PROJECT/REPOSITORY/tpuline-worker DIR, push it,\n"
        "# and name it in preprocess.dataflow.sdk_container_image. tpuline itself comes with each\n"
        "# job.\n"
        f"FROM apache/beam_python{python}_sdk:{_version('apache-beam')}\n"
        f"COPY requirements.txt {shim} /opt/tpuline/\n"
        "RUN pip install --no-cache-dir --find-links /opt/tpuline "
        "-r /opt/tpuline/requirements.txt && pip check\n"
    )


def tensorflow_version() -> str:
    """Of whichever build is installed here.

    Raises:
        RuntimeError: none is.
    """
    for name in _TENSORFLOWS:
        found = _version(name)
        if found is not None:
            return found.partition("+")[0]
    raise RuntimeError(f"none of {', '.join(_TENSORFLOWS)} is installed; install one")


def build_wheel(
    name: str, version: str, files: Mapping[str, bytes], *requires: str
) -> tuple[str, bytes]:
    """File name and content of a pure wheel (packaging.python.org, binary distribution format).

    Stored, not compressed: what zlib makes of it depends on its version.
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


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
