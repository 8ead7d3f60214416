"""Languages: the answers of py3langid, from a model that is unpacked once a machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import py3langid
import pytest

from tpuline.components import languages
from tpuline.components.languages import language

TEXTS = (
    *("please tell me where my parcel is", "wo ist mein Paket geblieben", "où est mon colis"),
    *("где моя посылка и когда её доставят", "私の荷物はどこですか", "我的包裹在哪里", "أين طردي"),
    *(
        "cadê a minha encomenda",
        "var är mitt paket",
        "ÜBERALL GROSS GESCHRIEBEN",
        "",
        "?!",
        "\ud800",
    ),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of its own."""
    monkeypatch.setenv("TPULINE_CACHE", str(tmp_path / "cache"))
    languages._classifier.cache_clear()
    yield tmp_path / "cache"
    languages._classifier.cache_clear()


def answers() -> list[str]:
    """As a process gives them that has just started."""
    languages._classifier.cache_clear()
    return [language(text) for text in TEXTS]


def expected() -> list[str]:
    return [py3langid.classify(text)[0] for text in TEXTS]


def test_answers_are_those_of_py3langid_and_the_model_is_unpacked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert answers() == expected()
    monkeypatch.setattr("py3langid.modelio.load_model", None)
    assert answers() == expected()


def test_scores_are_the_same_to_the_last_bit(cache: Path) -> None:
    ours = languages._identifier(cache)
    assert all(ours.rank(text) == py3langid.rank(text) for text in TEXTS)


@pytest.mark.parametrize("left", [0, 100_000])
def test_broken_model_is_unpacked_again(cache: Path, left: int) -> None:
    first = answers()
    (path,) = cache.rglob("nextmove.npy")
    path.write_bytes(path.read_bytes()[:left])
    assert answers() == first
    assert path.stat().st_size > 1_000_000


@pytest.mark.parametrize("reason", ["no folder", "no home", "another version"])
def test_answers_are_the_same_where_the_model_cannot_be_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "no folder":
        cache.write_text("a file is in the way")
    elif reason == "no home":
        monkeypatch.delenv("TPULINE_CACHE")
        monkeypatch.setattr(Path, "home", lambda: Path("~nobody-at-all").expanduser())
    else:
        monkeypatch.setattr(py3langid, "__version__", "9.0.0")
    assert answers() == expected()
    assert not cache.is_dir()


def test_processes_that_start_together_do_not_disturb_each_other(cache: Path) -> None:
    program = (
        "from tpuline.components.languages import language\n"
        "print(language('wo ist mein Paket geblieben'))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in running] == ["de"] * 2
    assert {path.suffix for path in cache.rglob("*.*") if path.is_file()} == {".npy"}
