"""Vocabulary files and fingerprints."""

from pathlib import Path

from tpuline.components.vocabulary import fingerprint, load_vocabulary, save_vocabulary


def test_vocabulary_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    tokens = ("[PAD]", "##a", "\u2028", "\u0085", "字", "#", "x")
    save_vocabulary(tokens, tmp_path / "vocabulary.txt")
    assert load_vocabulary(tmp_path / "vocabulary.txt") == tokens


def test_vocabulary_of_another_system_loads(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\r\na\r\nb")
    assert load_vocabulary(tmp_path / "vocab.txt") == ("[PAD]", "a", "b")


def test_fingerprint_tells_apart_whatever_changes_ids() -> None:
    prints = {
        fingerprint(tokens, lowercase=lowercase, has_text_pair=pair)
        for tokens in (("a", "b"), ("b", "a"), ("ab",), ("a", "b", ""))
        for lowercase in (True, False)
        for pair in (True, False)
    }
    assert len(prints) == 16
    again = fingerprint(["a", "b"], lowercase=True, has_text_pair=True)
    assert again in prints
