"""The artifact of handoff -> the bundle beside the report of a run."""

from __future__ import annotations

import hashlib

from ..components import files
from ..components.contracts import Handoff
from ..components.serving import bundle

FOLDER = "handoff"
"""Of the folder of a run: the bundle, where there is one."""


def hand_over(handoff: Handoff | None, place: str) -> bool:
    """Copies the bundle to `<root>/<config name>/handoff`, its marker last.

    An older one stays until a run says yes or no: it carries a verdict of its own. One that is the
    same is left alone, so that whoever reads it meanwhile sees no gap. Returns whether one was
    taken away and none is in its place.
    """
    if handoff is None:
        return False
    if handoff.bundle_dir is None:
        return _take_back(place)
    source, target = files.join(handoff.uri, handoff.bundle_dir), files.join(place, FOLDER)
    if _is_there(source, target, handoff.fingerprint):
        return False
    _take_back(place)
    for name in sorted(_sizes(source), key=lambda name: name == bundle.MARKER):
        files.copy(files.join(source, name), files.join(target, name))
    return False


def _is_there(source: str, target: str, fingerprint: str) -> bool:
    """Whether it was handed over already: every byte of it; in a bucket the marker, and every other
    file by its size."""
    if not files.is_remote(target):
        try:
            bundle.read(target, fingerprint=fingerprint)
        except bundle.BundleError:
            return False
        return True
    marker = files.join(target, bundle.MARKER)
    return (
        files.exists(marker)
        and hashlib.sha256(files.read_bytes(marker)).hexdigest() == fingerprint
        and _sizes(source) == _sizes(target)
    )


def _sizes(folder: str) -> dict[str, int]:
    """Bytes of each file of a folder by its name in there."""
    return {info.path.removeprefix(f"{folder}/"): info.size_bytes for info in files.below(folder)}


def _take_back(place: str) -> bool:
    """The bundle of an earlier run, if there is one; without its marker it is none."""
    older = files.join(place, FOLDER)
    found = files.exists(files.join(older, bundle.MARKER))
    files.remove(files.join(older, bundle.MARKER))
    files.remove_folder(older)
    return found
