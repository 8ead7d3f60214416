"""Texts -> languages, as py3langid guesses them. Its model is unpacked once a machine.

py3langid does so in every process, which takes each a second and 70 MB. Here the arrays stay in the
cache folder; processes map them into memory, and share them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import files

_KNOWN = "0.4."  # versions of py3langid whose model is made of these arrays
_ARRAYS = ("ptc", "pc", "classes", "nextmove", "rows", "outputs")


def language(text: str) -> str:
    """ISO 639-1 code; 0.4 ms."""
    return str(_classifier()(text)[0])


@cache
def _classifier() -> Callable[[str], tuple[Any, ...]]:
    import py3langid

    classify: Callable[[str], tuple[Any, ...]] = py3langid.classify
    if py3langid.__version__.startswith(_KNOWN):
        # Where the model cannot be kept, the answers are the same, a second later.
        with suppress(OSError, RuntimeError):
            folder = files.cache_folder() / f"py3langid-{py3langid.__version__}"
            classify = _identifier(folder).classify
    return classify


def _identifier(folder: Path) -> Any:
    from py3langid.langid import LanguageIdentifier

    try:
        model = _mapped(folder)
    except (OSError, ValueError, EOFError):  # none yet, or the machine stopped while writing it
        _unpack(folder)
        model = _mapped(folder)
    return LanguageIdentifier(
        model["ptc"],
        model["pc"],
        model["classes"].tolist(),
        memoryview(model["nextmove"]),  # its items are Python integers
        model["outputs"].tolist(),
        tk_row=model["rows"].tolist(),
    )


def _mapped(folder: Path) -> dict[str, Any]:
    paths = {name: folder / f"{name}.npy" for name in _ARRAYS}
    return {name: np.asarray(np.load(path, mmap_mode="r")) for name, path in paths.items()}


def _unpack(folder: Path) -> None:
    from py3langid.langid import MODEL_DIR, MODEL_FILE
    from py3langid.modelio import load_model

    for name, values in zip(_ARRAYS, load_model(MODEL_DIR / MODEL_FILE), strict=True):
        with files.appearing(str(folder / f"{name}.npy")) as draft, draft.open("wb") as file:
            np.save(file, np.asarray(values))
