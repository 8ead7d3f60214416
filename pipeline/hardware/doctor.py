"""What this machine is, which TensorFlow is installed, and what is wrong: what `doctor` prints.

Reads files and variables only. TensorFlow is not imported, for it may abort, and takes the TPU.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import machine
from . import devices
from .findings import LIBTPU_VARIABLE, Facts, Finding, of_machine
from .needs import needs_of, of_config
from .packages import Packages, installed
from .remedies import Remedies, place_of

if TYPE_CHECKING:
    from ..config import RunConfig

_NOT_SHOWN = ("pip", "tpuline", "google-cloud-storage")
_LEGACY = ("true", "True", "1")  # the values that TensorFlow takes for yes


def _may_open(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _free_bytes() -> int:
    return shutil.disk_usage(Path.cwd()).free


def _lock_file() -> Path | None:
    file = Path(__file__).resolve().parents[2] / "requirements-tpu.lock"
    return file if file.is_file() else None


@dataclass(frozen=True, kw_only=True)
class World:
    """All that `examine` looks at; by default this process and its machine."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: Path = Path("/")
    path: Sequence[str] = field(default_factory=lambda: sys.path)  # where packages are looked for
    python: tuple[int, int, int] = sys.version_info[:3]
    executable: str = sys.executable
    may_open: Callable[[Path], bool] = _may_open
    free_bytes: Callable[[], int] = _free_bytes
    lock_file: Path | None = field(default_factory=_lock_file)


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is here, and what is wrong with it; errors first."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return all(finding.severity != "error" for finding in self.findings)


def examine(world: World, config: RunConfig | None = None, *, config_path: str = "") -> Diagnosis:
    """Looks around; with a config, also for what that needs."""
    facts = facts_of(world)
    needs = needs_of(config, config_path) if config is not None else None
    found = list(of_machine(facts, uses_tpu=needs is None or needs.uses_tpu))
    if needs is not None:
        found += of_config(facts, needs)
    return Diagnosis(
        facts=facts, findings=tuple(sorted(found, key=lambda f: f.severity != "error"))
    )


def facts_of(world: World) -> Facts:
    """Gathers what the findings are made from."""
    root, environ = world.root, world.environ
    tpu = devices.find_tpu(environ, root)
    files = tpu.files if tpu is not None else ()
    lock = root / devices.LOCK_FILE
    packages = installed(world.path)
    return Facts(
        remedies=Remedies(
            place=place_of(environ, has_tpu=tpu is not None),
            python=world.executable,
            has_pip="pip" in packages.versions,
        ),
        python=world.python,
        tpu=tpu,
        hidden_tpu=devices.hidden_tpu(root),
        closed_files=tuple(f for f in files if not world.may_open(root / f.lstrip("/"))),
        lock_is_closed=lock.exists() and not world.may_open(lock),
        holders=devices.holders(root, files) if files else (),
        gpus=devices.gpus(root),
        processor=machine.processor(root),
        num_cores=devices.num_cores(root) or os.cpu_count() or 1,
        memory_bytes=devices.memory_bytes(root),
        free_bytes=world.free_bytes(),
        packages=packages,
        lock_file=str(world.lock_file) if world.lock_file else None,
        keras_backend=_keras_backend(environ, root),
        legacy_keras=environ.get("TF_USE_LEGACY_KERAS") in _LEGACY,
        libtpu_named=_libtpu_named(environ, packages),
    )


def _libtpu_named(environ: Mapping[str, str], packages: Packages) -> str | None:
    """The package sets the variable itself when it is imported, to its own file."""
    named, own = environ.get(LIBTPU_VARIABLE), packages.libtpu_file
    if not named or (own is not None and Path(named).resolve() == Path(own).resolve()):
        return None
    return named


def _keras_backend(environ: Mapping[str, str], root: Path) -> str | None:
    """As Keras finds it: a variable, else keras.json in KERAS_HOME or ~/.keras."""
    if environ.get("KERAS_BACKEND"):
        return environ["KERAS_BACKEND"]
    home = environ.get("KERAS_HOME") or f"{environ.get('HOME', '')}/.keras"
    try:
        settings = json.loads((root / home.lstrip("/") / "keras.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return settings.get("backend") if isinstance(settings, dict) else None


def lines(diagnosis: Diagnosis) -> Iterator[str]:
    """For people."""
    facts = diagnosis.facts
    yield f"machine  {facts.remedies.place}: {_devices(facts)}"
    memory = f"{facts.memory_bytes / 2**30:.1f} GiB" if facts.memory_bytes else "unknown"
    yield (
        f"         {facts.num_cores} x {facts.processor}, memory {memory}, "
        f"{facts.free_bytes / 2**30:.1f} GiB free on this disk"
    )
    shown = [f"{n} {v}" for n, v in facts.packages.versions.items() if n not in _NOT_SHOWN]
    yield f"lane     {facts.packages.lane}: {', '.join(shown) or 'nothing of it'}"
    for finding in diagnosis.findings:
        yield f"{finding.severity:<8} {finding.seen}"
        yield f"         mend: {finding.mend}"
    if not diagnosis.findings:
        yield "nothing wrong found"


def _devices(facts: Facts) -> str:
    tpu = facts.tpu
    if tpu is None:
        return ", ".join(facts.gpus) if facts.gpus else "no TPU, no GPU"
    parts = [
        f"TPU {tpu.chip.name if tpu.chip else 'of a kind unknown here'}",
        f"{tpu.num_chips or 'unknown number of'} chip{'' if tpu.num_chips == 1 else 's'}",
        *([tpu.topology] if tpu.topology else []),
        *([f"one of {tpu.num_hosts} hosts"] if tpu.num_hosts > 1 else []),
    ]
    return f"{', '.join(parts)} (known by {tpu.evidence})"


def as_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """For programs."""
    facts = diagnosis.facts
    tpu = facts.tpu
    return {
        "ok": diagnosis.ok,
        "place": facts.remedies.place,
        "python": ".".join(map(str, facts.python)),
        "tpu": None
        if tpu is None
        else asdict(tpu) | {"chip": tpu.chip.name if tpu.chip is not None else None},
        "gpus": list(facts.gpus),
        "processor": facts.processor,
        "num_cores": facts.num_cores,
        "memory_bytes": facts.memory_bytes,
        "free_bytes": facts.free_bytes,
        "lane": facts.packages.lane,
        "packages": facts.packages.versions,
        "findings": [asdict(finding) for finding in diagnosis.findings],
    }
