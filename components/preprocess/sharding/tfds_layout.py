"""Facts of the shards -> the files by which TensorFlow Datasets reads them. Pure.

    tfds.builder_from_directory("runs/preprocess/<key>").as_dataset(split="train")

The JSON forms of its `DatasetInfo` and `Feature` messages, as TFDS itself writes them:
https://github.com/tensorflow/datasets/tree/master/tensorflow_datasets/core/proto.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...contracts import Split
from ...example_spec import LABEL, POSITIONS, SEGMENT_IDS, TOKEN_IDS

SHARDS = "{SPLIT}/shard-{SHARD_X_OF_Y}.tfrecord"
"""How shards are named, in the words of TFDS; numbers have five digits."""

_DESCRIPTION = (
    "Tokenised texts made by tpuline. The vocabulary, the texts and the statistics stand beside "
    "the shards."
)
_DOCS = {
    TOKEN_IDS: "Ids of the tokens, not padded.",
    SEGMENT_IDS: "Which text of the row a token is of.",
    POSITIONS: "Of a token in its document.",
    LABEL: "What the text is.",
}


def tfds_files(
    splits: Sequence[Split], *, label_names: Sequence[str], has_text_pair: bool, task: str
) -> dict[str, str]:
    """The content of each file by its name, to be put beside the folders of the splits.

    Args:
        task: `classification`, `multi_label`, whose label is a 1 or 0 for each, or
            `language_model`, whose windows have none.
    """
    names = [TOKEN_IDS]
    if task == "language_model":
        names += [SEGMENT_IDS, POSITIONS]
    elif has_text_pair:
        names.append(SEGMENT_IDS)
    features = {name: _integers(name) for name in names}
    written = {}
    if task == "classification":
        features[LABEL] = _class_label(len(label_names))
        if all(map(_fits_on_a_line, label_names)):  # else the labels are read as numbers
            written[f"{LABEL}.labels.txt"] = "".join(f"{name}\n" for name in label_names)
    if task == "multi_label":
        features[LABEL] = _integers(LABEL, length=len(label_names))
        written[f"{LABEL}.names.json"] = _json(list(label_names))
    supervised = (TOKEN_IDS, LABEL) if LABEL in features and not has_text_pair else ()
    return written | {
        "features.json": _json(_features_dict(features)),
        "dataset_info.json": _json(_info(splits, supervised)),
    }


def _info(splits: Sequence[Split], supervised: Sequence[str]) -> dict[str, Any]:
    info: dict[str, Any] = {
        "name": "tpuline",
        "version": "1.0.0",
        "description": _DESCRIPTION,
        "fileFormat": "tfrecord",
        "splits": [
            {
                "name": split.name,
                "numBytes": str(sum(shard.size_bytes for shard in split.shards)),
                "shardLengths": [str(shard.num_examples) for shard in split.shards],
                "filepathTemplate": SHARDS,
            }
            for split in splits
        ],
    }
    if supervised:
        keys = [{"featureKey": name} for name in supervised]
        info["supervisedKeys"] = {"tuple": {"items": keys}}
    return info


def _features_dict(features: dict[str, Any]) -> dict[str, Any]:
    return _feature("features_dict.FeaturesDict", featuresDict={"features": features})


def _integers(name: str, length: int = -1) -> dict[str, Any]:
    """So many int64; -1: as many as the row has tokens."""
    tensor = {"shape": {"dimensions": [str(length)]}, "dtype": "int64", "encoding": "none"}
    return _feature("tensor_feature.Tensor", tensor=tensor, description=_DOCS[name])


def _class_label(num_classes: int) -> dict[str, Any]:
    counted = {"numClasses": str(num_classes)}
    return _feature("class_label_feature.ClassLabel", classLabel=counted, description=_DOCS[LABEL])


def _feature(kind: str, **content: Any) -> dict[str, Any]:
    return {"pythonClassName": f"tensorflow_datasets.core.features.{kind}", **content}


def _fits_on_a_line(name: str) -> bool:
    """Whether TFDS, which strips lines and leaves empty ones out, reads it back as it is."""
    return bool(name) and name == name.strip() and not {"\n", "\r"} & set(name)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
