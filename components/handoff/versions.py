"""What made the model, and what is needed to serve it. Pure but for what is installed.

The list of versions is a CycloneDX 1.5 document (cyclonedx.org), the form that scanners of
dependencies read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from .. import contracts
from ..wheels import build_wheel, installed_version, package_files, tensorflow_version

RUNTIMES = {"onnx": "onnxruntime", "litert": "ai-edge-litert", "openvino": "openvino"}
"""What a format needs to run, besides TensorFlow and `tokenizers` for its texts."""

_SERVING = ("tensorflow-text", "tensorflow-serving-api", "numpy", "filelock", "protobuf", "grpcio")
_COMMAND = {"tpuline": "tpuline.pipeline.cli:main"}


def serving_requirements(format: str) -> dict[str, str]:
    """Distribution to version: what it takes to load the model, ask it, and check the bundle."""
    names = (*_SERVING, *((RUNTIMES[format], "tokenizers") if format in RUNTIMES else ()))
    found = {"tensorflow": tensorflow_version()}
    for name in names:
        version = installed_version(name)
        if version is not None:
            found[name] = version
    return found


def serving_wheel(requirements: Mapping[str, str]) -> tuple[str, bytes]:
    """File name and content of a wheel of tpuline that asks for these only.

    The local version, +serving, tells it from the wheel that trains.
    """
    folder = Path(contracts.__file__).parent
    packages = {
        **package_files(folder, "tpuline/components"),
        **package_files(folder.parent / "pipeline", "tpuline/pipeline"),
    }
    version = (installed_version("tpuline") or "0").partition("+")[0]
    needs = [f"{name}=={wanted}" for name, wanted in sorted(requirements.items())]
    return build_wheel("tpuline", f"{version}+serving", packages, *needs, commands=_COMMAND)


def bill_of_materials(name: str, version: int, requirements: Mapping[str, str]) -> str:
    """All that is installed here, since all of it may have had a part in the model; what serving
    needs is `required`, the rest `excluded` from what runs."""
    installed = {
        found.metadata["Name"]: found.version
        for found in metadata.distributions()
        if found.metadata["Name"]
    }
    installed |= requirements  # TensorFlow may be here as one of its other builds
    needed = {_canonical(one) for one in requirements}
    components = [
        {
            "type": "library",
            "name": one,
            "version": installed[one],
            "purl": f"pkg:pypi/{_canonical(one)}@{installed[one]}",
            "scope": "required" if _canonical(one) in needed else "excluded",
        }
        for one in sorted(installed, key=_canonical)
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "machine-learning-model",
                "name": name,
                "version": str(version),
            }
        },
        "components": components,
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _canonical(name: str) -> str:
    """PEP 503."""
    return name.lower().replace("_", "-").replace(".", "-")
