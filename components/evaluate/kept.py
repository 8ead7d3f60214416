"""Answers of a window of rows -> a file that outlives a stopped attempt, and back.

    <place>/answers-8192.npz     labels, probabilities, and a digest of the texts they are of

The folder is of one key: of one model and one config. A file appears when it is whole; what is no
such file, or of other texts, is passed over and asked for again.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

from .. import files
from ..stage import Log
from ..texts import Window

if TYPE_CHECKING:
    import numpy as np


class KeptAnswers:
    """Those of one attempt and of those before it.

    Args:
        place: a folder of this machine, or one in a bucket.
    """

    def __init__(self, place: str, log: Log) -> None:
        self._place, self._log = place, log

    def keep(self, window: Window, predicted: np.ndarray, probabilities: np.ndarray) -> None:
        """Writes the answers to all rows of a window."""
        import numpy as np

        content = io.BytesIO()
        np.savez(content, texts=_digest(window), predicted=predicted, probabilities=probabilities)
        try:
            files.write_bytes(self._file(window), content.getvalue())
        except OSError as error:
            self._log.warning(
                f"evaluate: answers could not be kept in {self._place} ({error}); they are asked "
                "for again if this run is stopped"
            )

    def of(
        self, window: Window, predicted: np.ndarray, probabilities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """What an earlier attempt left, of the shapes and dtypes of these arrays; or None."""
        import numpy as np

        try:
            content = files.read_bytes(self._file(window))
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                if str(found["texts"]) != _digest(window):
                    return None
                kept = found["predicted"], found["probabilities"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        for array, wanted in zip(kept, (predicted, probabilities), strict=True):
            if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
                return None
        self._log.info(
            f"evaluate: the {len(window)} rows from {window.start} on were answered before the run "
            "was stopped, and the answers are taken from there"
        )
        return kept

    def _file(self, window: Window) -> str:
        return files.join(self._place, f"answers-{window.start}.npz")


def _digest(window: Window) -> str:
    digest = hashlib.sha256()
    for row in window.rows():
        for text in row:
            digest.update(text.encode() + b"\0")
    return digest.hexdigest()
