"""The artifact of handoff -> the bundle beside the report of a run."""

from __future__ import annotations

from ..components import files
from ..components.contracts import Handoff
from ..components.serving import bundle

FOLDER = "handoff"
"""Of the folder of a run: the bundle, where there is one."""


def hand_over(handoff: Handoff | None, place: str) -> None:
    """Copies the bundle to `<root>/<config name>/handoff`, its marker last.

    An older one stays until a run says yes or no: it carries a verdict of its own. One that is the
    same is left alone, so that whoever reads it meanwhile sees no gap.
    """
    if handoff is None or _is_there(handoff, place):
        return
    _take_back(place)
    if handoff.bundle_dir is None:
        return
    source, target = files.join(handoff.uri, handoff.bundle_dir), files.join(place, FOLDER)
    names = [info.path.removeprefix(f"{source}/") for info in files.below(source)]
    for name in sorted(names, key=lambda name: name == bundle.MARKER):
        files.copy(files.join(source, name), files.join(target, name))


def _is_there(handoff: Handoff, place: str) -> bool:
    """Whether it was handed over already, every byte of it. A bucket is not asked: a run clears
    its place there before it begins."""
    if handoff.bundle_dir is None or files.is_remote(place):
        return False
    try:
        bundle.read(files.join(place, FOLDER), fingerprint=handoff.fingerprint)
    except bundle.BundleError:
        return False
    return True


def _take_back(place: str) -> None:
    """The bundle of an earlier run; without its marker it is none."""
    older = files.join(place, FOLDER)
    files.remove(files.join(older, bundle.MARKER))
    files.remove_folder(older)
