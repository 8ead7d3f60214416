"""The tokenizer of a preset folder, and the fingerprint of data made for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.components.pretrained import TOKENS, hugging_face_folder
from tpuline.components.presets import fingerprints, read_tokenizer
from tpuline.components.vocabulary import file_fingerprint, save_vocabulary

FIELD = "train.model.preset"


def test_fingerprint_is_that_of_the_data_made_for_it(tmp_path: Path) -> None:
    folder = hugging_face_folder(tmp_path / "hf")
    save_vocabulary(TOKENS, tmp_path / "vocabulary.txt")
    data, cased, pairs, others = (
        file_fingerprint(
            "wordpiece", tmp_path / "vocabulary.txt", lowercase=lowercase, has_text_pair=pair
        )
        for lowercase, pair in ((True, False), (False, False), (True, True), (False, True))
    )
    assert fingerprints(folder, field=FIELD, has_text_pair=False) == {data}
    assert fingerprints(folder, field=FIELD, has_text_pair=True) == {pairs}
    (tmp_path / "hf" / "tokenizer_config.json").unlink()  # now nothing says the case
    assert fingerprints(folder, field=FIELD, has_text_pair=False) == {data, cased}
    assert fingerprints(folder, field=FIELD, has_text_pair=True) == {pairs, others}


def test_case_is_found_in_either_layout(tmp_path: Path) -> None:
    save_vocabulary(TOKENS, tmp_path / "vocab.txt")
    for name, content, lowercase in (
        ("tokenizer.json", {"config": {"lowercase": True}}, True),  # KerasHub
        ("tokenizer.json", {"normalizer": {"lowercase": False}}, False),
        ("tokenizer.json", {"normalizer": None}, None),
        ("tokenizer_config.json", {"do_lower_case": False}, False),
    ):
        (tmp_path / name).write_text(json.dumps(content))
        assert read_tokenizer(str(tmp_path), field=FIELD) == (TOKENS, lowercase)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_damaged_file_is_named_with_the_key_that_led_to_it(name: str, tmp_path: Path) -> None:
    save_vocabulary(TOKENS, tmp_path / "vocab.txt")
    (tmp_path / name).write_text('{"model": ')
    with pytest.raises(ValueError, match=rf"^x\.y: {name} must be whole.*copy it again"):
        read_tokenizer(str(tmp_path), field="x.y")


def test_vocabulary_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\xfe")
    with pytest.raises(ValueError, match=r"vocab\.txt must be whole.*no UTF-8"):
        read_tokenizer(str(tmp_path), field=FIELD)
