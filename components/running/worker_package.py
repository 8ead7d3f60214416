"""What a worker on another machine needs: our wheel, its requirements, and a container file.

Made from the package as it is installed here, without its source tree and without the network.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from .. import contracts
from ..wheels import build_wheel, installed_version, package_files, tensorflow_version

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
    files = package_files(Path(contracts.__file__).parent, "tpuline/components")
    return build_wheel("tpuline", installed_version("tpuline") or "0", files)


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
        found = installed_version(name)
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
        f"FROM apache/beam_python{python}_sdk:{installed_version('apache-beam')}\n"
        f"COPY requirements.txt {shim} /opt/tpuline/\n"
        "RUN pip install --no-cache-dir --find-links /opt/tpuline "
        "-r /opt/tpuline/requirements.txt && pip check\n"
    )
