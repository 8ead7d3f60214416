"""The artifact of handoff -> the bundle beside the report of a run."""

from __future__ import annotations

from ..components import files
from ..components.contracts import Handoff
from ..components.serving.bundle import MARKER

FOLDER = "handoff"
"""Of the folder of a run: the bundle, where there is one."""


def hand_over(handoff: Handoff | None, place: str) -> None:
    """Copies the bundle to `<root>/<config name>/handoff`, its marker last.

    An older one stays until a run says yes or no: it carries a verdict of its own.
    """
    if handoff is None:
        return
    _take_back(place)
    if handoff.bundle_dir is None:
        return
    source, target = files.join(handoff.uri, handoff.bundle_dir), files.join(place, FOLDER)
    names = [info.path.removeprefix(f"{source}/") for info in files.below(source)]
    for name in sorted(names, key=lambda name: name == MARKER):
        files.copy(files.join(source, name), files.join(target, name))


def _take_back(place: str) -> None:
    """The bundle of an earlier run; without its marker it is none."""
    bundle = files.join(place, FOLDER)
    files.remove(files.join(bundle, MARKER))
    files.remove_folder(bundle)
