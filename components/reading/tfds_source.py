"""A prepared TensorFlow Datasets folder -> rows.

Finding, checking and identifying it reads its JSON files only; the library (and TensorFlow) is
imported when rows are read, or when a data set has to be fetched first. A prepared folder reads the
same offline, in every worker, and with or without the code that made it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .. import files
from ..stage import Log
from .header import require_columns
from .picking import Made, value_picker
from .source import TFDS, InputFile, Source, TfdsPlace, parse_tfds
from .stripes import Stripe

_INFO = "dataset_info.json"
_CUT = ("name", "shardLengths", "filepathTemplate")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def tfds_file(place: str, split: str, data_dir: Path | str) -> InputFile:
    """The prepared split that `tfds:...` names, under `data_dir` or else TFDS's own folder."""
    wanted = parse_tfds(place, field=f"preprocess.source.{split}")
    folder = _find(wanted, place, split, data_dir)
    if folder is None:
        raise ValueError(
            f"preprocess.source.{split}: must be a prepared TFDS data set; received {place!r}, "
            f"which is neither in {data_dir} nor in {_default_root()}; `tpuline run` prepares it, "
            f'or: python -c "import tensorflow_datasets as tfds; '
            f"tfds.builder('{_builder_name(wanted)}').download_and_prepare()\""
        )
    return InputFile(
        split=split,
        name=place,
        path=str(folder),
        format="tfds",
        size_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        tfds_split=wanted.split,
    )


def to_be_fetched(place: str, split: str, data_dir: Path | str) -> bool:
    """Whether `place` names a TFDS data set that is not on this machine."""
    if not place.startswith(TFDS):
        return False
    wanted = parse_tfds(place, field=f"preprocess.source.{split}")
    return _find(wanted, place, split, data_dir) is None


def fetch_tfds(place: str, split: str, data_dir: Path | str, log: Log) -> None:
    """Has TFDS download and prepare the data set in its own folder, unless it is there already.

    `ValueError` when TFDS knows no such data set or cannot have it.
    """
    if not to_be_fetched(place, split, data_dir):
        return
    wanted = parse_tfds(place, field=f"preprocess.source.{split}")
    import tensorflow_datasets as tfds

    name = _builder_name(wanted)
    log.info(f"preparing TFDS {name} in {_default_root()}: downloads it, once")
    try:
        # The data of known data sets only: no code is fetched, none from the data is run.
        builder = tfds.builder(name, data_dir=_default_root(), try_gcs=False)
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises what its many builders and their servers raise
        raise ValueError(
            f"preprocess.source.{split}: TFDS must be able to prepare {place!r}; received "
            f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}; check the name "
            "and the connection, or give local files"
        ) from error


def _find(wanted: TfdsPlace, place: str, split: str, data_dir: Path | str) -> Path | None:
    here = [] if files.is_remote(str(data_dir)) else [Path(data_dir)]
    roots = (*here, _default_root())
    folders = (_prepared(root / wanted.name, wanted, split, place) for root in roots)
    return next((folder for folder in folders if folder is not None), None)


def _default_root() -> Path:
    return Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def _builder_name(wanted: TfdsPlace) -> str:
    """As TFDS writes it: name/config:version."""
    name = wanted.name if wanted.config is None else f"{wanted.name}/{wanted.config}"
    return name if wanted.version is None else f"{name}:{wanted.version}"


def check_tfds(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless the data set has the split and the features that the config names."""
    folder = Path(input_file.path)
    known = [split["name"] for split in _splits(folder)]
    for part in input_file.tfds_split.split("+"):
        name = part.split("[")[0].strip()
        if name not in (*known, "all"):
            raise ValueError(
                f"{input_file.field}: the split must be one of {', '.join(known)}; received "
                f"{name!r} in {input_file.name!r}; name one of these"
            )
    features_file = folder / "features.json"
    if features_file.is_file():  # data sets prepared by old versions have none
        features = json.loads(features_file.read_text(encoding="utf-8"))
        found = features.get("featuresDict", {}).get("features", {})
        require_columns(source, input_file, sorted(found))
    _check_label_names(source, input_file)


def _check_label_names(source: Source, input_file: InputFile) -> None:
    """`ValueError` when not one class of the data set is among the configured names."""
    file = Path(input_file.path) / f"{source.label_column}.labels.txt"
    if source.label_names is None or not file.is_file():
        return
    classes = [name for name in file.read_text(encoding="utf-8").split("\n") if name]
    if not set(classes) & set(source.label_names):
        raise ValueError(
            "preprocess.source.label_names: must be the class names of the data set, "
            f"{', '.join(classes[:20])}; received {', '.join(source.label_names[:20])}; "
            f"correct them, or give null to take those of {input_file.name}"
        )


def tfds_content_files(input_file: InputFile) -> list[Path]:
    """The files whose bytes decide what is read, whatever split: records and class names."""
    return sorted(
        path for path in Path(input_file.path).iterdir() if path.is_file() and path.name != _INFO
    )


def tfds_cut(input_file: InputFile) -> str:
    """Which split has how many rows of which of these files; nothing else that is told of them."""
    splits = _splits(Path(input_file.path))
    return json.dumps([[split.get(field) for field in _CUT] for split in splits])


def _splits(folder: Path) -> list[dict[str, Any]]:
    info = json.loads((folder / _INFO).read_text(encoding="utf-8"))
    splits: list[dict[str, Any]] = info.get("splits", [])
    return splits


def read_tfds(source: Source, input_file: InputFile, stripe: Stripe) -> Iterator[Made]:
    """Rows of a prepared split in its stored order, counted from 1; label ids become names."""
    import tensorflow as tf

    pick = value_picker(source, input_file)
    try:
        examples, names = _examples(source, input_file)
        for number, example in stripe.of(enumerate(examples, start=1)):
            cells = {name: _label(_plain(cell), names.get(name)) for name, cell in example.items()}
            yield pick(number, cells)
    except tf.errors.OpError as error:
        raise ValueError(
            f"{input_file.field}: the files in {input_file.path} must be whole; received one that "
            f"cannot be read after row {stripe.count} ({error.message}); delete the folder and "
            "prepare it again: download_and_prepare()"
        ) from error


def _examples(
    source: Source, input_file: InputFile
) -> tuple[Iterable[dict[str, Any]], dict[str, list[str]]]:
    """The wanted features of each example, all for a function; names of classes by feature."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(input_file.path)
    features = builder.info.features
    require_columns(source, input_file, sorted(features))
    wanted = features if source.function is not None else source.all_fields().values()
    dataset = builder.as_dataset(
        split=input_file.tfds_split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(dict.fromkeys(wanted, True)),
    )
    names = {name: getattr(features[name], "names", None) for name in wanted}
    return tfds.as_numpy(dataset), {name: found for name, found in names.items() if found}


def _prepared(home: Path, wanted: TfdsPlace, split: str, place: str) -> Path | None:
    """The folder of the wanted version (else the newest), or None when nothing is prepared."""
    if wanted.config is not None:
        home = home / wanted.config
    elif home.is_dir() and not _versions(home):
        configs = sorted(path.name for path in home.iterdir() if path.is_dir() and _versions(path))
        if len(configs) > 1:
            raise ValueError(
                f"preprocess.source.{split}: must name a config; received {place!r}, and {home} "
                f"has {', '.join(configs)}; write tfds:{wanted.name}/{configs[0]}[{wanted.split}]"
            )
        home = home / configs[0] if configs else home
    versions = _versions(home)
    if wanted.version is not None:
        return versions.get(wanted.version)
    newest = max(versions, key=lambda v: tuple(map(int, v.split("."))), default=None)
    return None if newest is None else versions[newest]


def _versions(home: Path) -> dict[str, Path]:
    if not home.is_dir():
        return {}
    return {
        path.name: path
        for path in home.iterdir()
        if _VERSION.fullmatch(path.name) and (path / _INFO).is_file()
    }


def _plain(value: Any) -> Any:
    """A NumPy scalar as the Python value in it; bytes as the text they are; arrays as they are."""
    value = value.item() if getattr(value, "shape", None) == () else value
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _label(value: Any, names: list[str] | None) -> Any:
    """The name of a class id; null for -1, which TFDS writes for rows without a label."""
    if names is None or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
