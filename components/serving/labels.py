"""Which version of a model is served under which label: `models.config` of a served folder.

    SERVED/models.config         which versions are loaded, and their labels
    SERVED/<name>/<version>/     the models

The file is all there is to know, and is replaced in one step: a server that polls it
(`--model_config_file_poll_wait_seconds`) sees the old state or the new one. `previous` is what
`stable` was, for `rollback`. Versions without a label are not loaded, but for one: a version that
a label was just taken from answers for it until the next one is loaded, so it stays listed until
the labels change again.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import files
from .bundle import BATCHING_FILE, WARMUP_FILE, Bundle, BundleError, file_digests

if TYPE_CHECKING:
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

MODELS_FILE = "models.config"
STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"
LABELS = (STABLE, CANARY)
"""That a version may be promoted to."""

SERVED_FORMATS = ("saved_model", "xla")
"""Of `contracts.Format`."""

_DRAFT = ".incoming-"
"""How the name begins of a version that is being copied; a model server reads numbers only."""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What was changed."""

    name: str
    before: dict[str, int]  # label to version
    after: dict[str, int]

    def line(self) -> str:
        """For people: "classifier: stable 3 (was 2), canary 3"."""
        told = []
        for label, version in sorted(self.after.items(), key=lambda item: item[0] != STABLE):
            was = self.before.get(label)
            told.append(f"{label} {version}{f' (was {was})' if was not in (None, version) else ''}")
        return f"{self.name}: {', '.join(told)}"


def promote(bundle: Bundle, served: Path, *, label: str) -> Switch:
    """Puts the version of a checked bundle into the served folder, and the label on it.

    Raises:
        ValueError: no such label, TensorFlow Serving cannot load the format, the version is there
            with other bytes, or `models.config` is not one that a server could read.
    """
    if label not in LABELS:
        raise ValueError(f"--label: must be one of {', '.join(LABELS)}; received {label!r}")
    if served.resolve().is_relative_to(bundle.folder.resolve()):
        raise ValueError(
            "SERVED: must not lie in the bundle, which nothing may be added to; received "
            f"{served}; name a folder elsewhere"
        )
    _check_format(bundle)
    with _locked(served):
        _sweep(served / bundle.name)
        _bring(bundle, served)
        return _switch(served, bundle.name, lambda labels: _promoted(labels, label, bundle.version))


def rollback(served: Path, *, name: str | None = None) -> Switch:
    """Stable is what it was before; what it is now becomes previous, so that twice is nothing.

    Raises:
        ValueError: there is no such model, more than one where none is named, or no version that
            was stable before.
    """
    if not served.is_dir():
        raise ValueError(
            f"SERVED: must be a folder that a bundle was promoted into; received {served}, which "
            "is no folder; name the one that the server polls"
        )
    with _locked(served):
        return _switch(served, _name(served, name), _rolled_back)


def read(served: Path) -> dict[str, dict[str, int]]:
    """Label to version of each model."""
    config = _config(served)
    return {one.name: dict(one.version_labels) for one in config.model_config_list.config}


def models_config(name: str, base_path: str, labels: Mapping[str, int]) -> str:
    """The text of a `models.config` of one model."""
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = ModelServerConfig()
    _set(config, name, base_path, labels)
    return _text(config)


def _check_format(bundle: Bundle) -> None:
    if bundle.format not in SERVED_FORMATS or "saved_model.pb" not in bundle.model_digests:
        raise ValueError(
            f"BUNDLE: must hold a SavedModel, which TensorFlow Serving loads; received the format "
            f"{bundle.format!a}; load it by components/serving/answering.py in a server of your "
            "own, or hand over a saved_model"
        )


def _promoted(labels: dict[str, int], label: str, version: int) -> dict[str, int]:
    before = labels.get(STABLE, version)
    after = labels | {label: version}
    return after | {PREVIOUS: before} if label == STABLE and before != version else after


def _rolled_back(labels: dict[str, int]) -> dict[str, int]:
    if PREVIOUS not in labels or STABLE not in labels:
        raise ValueError(
            f"SERVED: must have a version that was stable before; received the labels {labels}; "
            "promote a bundle instead"
        )
    return labels | {STABLE: labels[PREVIOUS], PREVIOUS: labels[STABLE]}


def _switch(served: Path, name: str, change: Any) -> Switch:
    """Replaces `models.config` by one with the labels that `change` makes of those there."""
    config = _config(served)
    known = {one.name: one for one in config.model_config_list.config}
    before = dict(known[name].version_labels) if name in known else {}
    after = change(before)
    for version in after.values():
        if not (served / name / str(version)).is_dir():
            raise ValueError(
                f"{served / name / str(version)}: must be there to be served; received no such "
                "folder; promote its bundle again"
            )
    listed = known[name].model_version_policy.specific.versions if name in known else ()
    leaving = [before[label] for label in LABELS if label in before]
    kept = set(listed if after == before else leaving)
    _set(config, name, str((served / name).absolute()), after, kept=kept)
    files.write_bytes(str(served / MODELS_FILE), _text(config).encode())
    return Switch(name=name, before=before, after=after)


def _set(
    config: ModelServerConfig,
    name: str,
    base_path: str,
    labels: Mapping[str, int],
    *,
    kept: Collection[int] = (),
) -> None:
    """Versions with a label are loaded, and those that are `kept`. Whatever else stands in the
    config, other models and other settings, stays; so does a `base_path` that somebody has changed
    to where a container sees the folder.
    """
    models = config.model_config_list.config
    model = next((one for one in models if one.name == name), None)
    if model is None:
        model = models.add(name=name, base_path=base_path, model_platform="tensorflow")
    model.version_labels.clear()
    for label, version in labels.items():
        model.version_labels[label] = version
    del model.model_version_policy.specific.versions[:]
    model.model_version_policy.specific.versions.extend(sorted({*labels.values(), *kept}))


def _sweep(folder: Path) -> None:
    """What promotions that were killed left behind; whoever holds the lock is alone."""
    for draft in folder.glob(f"{_DRAFT}*"):
        shutil.rmtree(draft)


def _bring(bundle: Bundle, served: Path) -> None:
    """The folder of the version appears under its name only when it is whole, and holds what was
    checked: the bundle may have become another one since."""
    target = served / bundle.name / str(bundle.version)
    wanted = bundle.model_digests
    if os.path.lexists(target):
        if target.is_symlink() or _model_of(file_digests(target)) != _model_of(wanted):
            raise ValueError(
                f"{target}: must be the version of the bundle, or not there; received other "
                "files; export with a higher version: a version never changes"
            )
        return
    draft = target.with_name(f"{_DRAFT}{uuid.uuid4().hex}")
    try:
        shutil.copytree(bundle.model_dir, draft, symlinks=True)
        if file_digests(draft) != wanted:
            raise BundleError(
                f"{bundle.model_dir}: must be copied as it was checked; received other files; "
                "somebody changed the bundle meanwhile: find out who before it is promoted again"
            )
        for path in (*draft.rglob("*"), draft):
            files.flush(path)
        os.replace(draft, target)
        files.flush(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _model_of(digests: Mapping[str, str]) -> dict[str, str]:
    """Without the files that tune a server: they are measured anew for every bundle, and those
    that came first stay."""
    return {n: one for n, one in digests.items() if n not in (BATCHING_FILE, WARMUP_FILE)}


def _name(served: Path, name: str | None) -> str:
    known = list(read(served))
    if name is None and len(known) == 1:
        return known[0]
    if name not in known or name is None:
        raise ValueError(
            f"--model: must be one of {', '.join(known) or 'none, as nothing is served'}; "
            f"received {name!r}"
        )
    return name


def _config(served: Path) -> ModelServerConfig:
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    file = served / MODELS_FILE
    if not file.exists():
        return ModelServerConfig()
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{file}: must be the model_config_list of a model server; received something else "
            f"({error}); mend it or take it away"
        ) from error


def _text(config: ModelServerConfig) -> str:
    from google.protobuf import text_format

    text: str = text_format.MessageToString(config)
    return text


@contextmanager
def _locked(served: Path) -> Iterator[None]:
    """One switch at a time."""
    from filelock import FileLock

    served.mkdir(parents=True, exist_ok=True)
    with FileLock(served / f".{MODELS_FILE}.lock"):
        yield
