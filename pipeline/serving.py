"""What whoever serves does with a bundle: accept it, label its version, take that back.

Runs where nothing that trains is installed, and imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..components.serving.bundle import read

if TYPE_CHECKING:
    from ..components.serving.acceptance import Acceptance
    from ..components.serving.labels import Switch


def accept(
    bundle: str | Path, *, server: str | None = None, fingerprint: str | None = None
) -> Acceptance:
    """Checks a bundle as a serving team does; `.accepted` and `.lines()` tell the verdict.

    `server` is a target such as `tf_serving+http://localhost:8501`; without it a fresh process
    loads the model.
    """
    from ..components.serving import acceptance

    return acceptance.accept(bundle, server=server, fingerprint=fingerprint)


def promote(
    bundle: str | Path,
    served: str | Path,
    *,
    label: str = "stable",
    fingerprint: str | None = None,
) -> Switch:
    """Puts the version of a bundle into a served folder, and the label on it, in one step.

    Raises:
        ValueError: the bundle is not whole, or the version is there with other bytes.
    """
    from ..components.serving import labels

    opened = read(bundle, fingerprint=fingerprint)
    return labels.promote(opened, Path(served), label=label)


def rollback(served: str | Path, *, model: str | None = None) -> Switch:
    """Makes stable what was stable before.

    Raises:
        ValueError: nothing was.
    """
    from ..components.serving import labels

    return labels.rollback(Path(served), name=model)
