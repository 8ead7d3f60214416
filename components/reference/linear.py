"""Train rows -> how far one gets without a neural network, on the rows that are judged."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..contracts import ShardSet, Split
from ..stage import Log
from ..texts import Window, windows

if TYPE_CHECKING:
    from scipy.sparse import spmatrix

MAX_FEATURES = 200_000
"""Most frequent n-grams that the linear reference keeps, per text column."""

TOKEN_PATTERN = r"\w+|[^\w\s]"
"""A word or one other visible character: an exclamation mark and an emoji say something, too, and
no text that is not blank is left without a token."""


def majority_accuracy(train: Split, judged: Split) -> float:
    """Accuracy of always answering the label that is most frequent in the train split."""
    majority = max(range(len(train.label_counts)), key=train.label_counts.__getitem__)
    return judged.label_counts[majority] / sum(judged.label_counts)


def fitted(shards: ShardSet, *, max_train_rows: int, seed: int, log: Log) -> LinearReference:
    """A linear support vector machine on tf-idf of words and pairs of words.

    Learns from the first `max_train_rows` of the train split. 25,000 film reviews (33 MB) take half
    a minute on one core. Languages written without spaces get a weak reference.
    """
    train = shards.split("train")
    if train.num_examples > max_train_rows:
        log.info(
            f"the linear reference learns from {max_train_rows:,} of {train.num_examples:,} "
            "train rows (reference.linear_rows)"
        )
    return LinearReference.fit(windows(shards, "train", max_rows=max_train_rows), seed, log)


def accuracy(model: LinearReference, shards: ShardSet, split_name: str, log: Log) -> float:
    """Share of the rows of a split that it answers rightly."""
    total = shards.split(split_name).num_examples
    hits = 0
    for window in windows(shards, split_name):
        hits += model.count_hits(window)
        log.progress(f"linear reference, {split_name}", window.start + len(window), total)
    return hits / total


@dataclass(frozen=True)
class LinearReference:
    """A fitted reference. One vectorizer per text column; the features stand side by side."""

    vectorizers: tuple[Any, ...]
    classifier: Any  # None when only one label was seen
    only_label: int

    @classmethod
    def fit(cls, rows: Iterable[Window], seed: int, log: Log) -> LinearReference:
        columns: list[list[str]] = []
        labels: list[int] = []
        for window in rows:
            if not columns:
                columns = [[] for _ in _columns(window)]
            for column, texts in zip(columns, _columns(window), strict=True):
                column += texts
            labels += window.labels
        if len(set(labels)) == 1:
            log.warning("the train rows have one label only: the linear reference answers that")
            return cls((), None, labels[0])
        fitted = [_fit_vectorizer(column) for column in columns]
        features = _side_by_side([features for _, features in fitted])
        classifier = _fit_classifier(features, labels, seed, log)
        return cls(tuple(vectorizer for vectorizer, _ in fitted), classifier, -1)

    def count_hits(self, window: Window) -> int:
        """How many rows of the window are answered rightly."""
        import numpy as np

        if self.classifier is None:
            return window.labels.count(self.only_label)
        pairs = zip(self.vectorizers, _columns(window), strict=True)
        features = _side_by_side([vectorizer.transform(texts) for vectorizer, texts in pairs])
        return int(np.sum(self.classifier.predict(features) == np.array(window.labels)))


def _columns(window: Window) -> list[list[str]]:
    return [window.texts] if window.text_pairs is None else [window.texts, window.text_pairs]


def _fit_vectorizer(texts: list[str]) -> tuple[Any, spmatrix]:
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        max_features=MAX_FEATURES,
        token_pattern=TOKEN_PATTERN,
        dtype=np.float32,
    )
    return vectorizer, vectorizer.fit_transform(texts)


def _fit_classifier(features: spmatrix, labels: list[int], seed: int, log: Log) -> Any:
    """One against the rest: its time grows gently with the labels, logistic regression's does not.

    C was chosen on SST-2, IMDB and Banking77, where 0.25 to 1 differ by less than 0.01.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    classifier = LinearSVC(C=0.5, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in the run's log
        classifier.fit(features, labels)
    if classifier.n_iter_ >= classifier.max_iter:
        log.warning(
            f"the linear reference did not converge in {classifier.max_iter} steps: "
            "its accuracy may be too low"
        )
    return classifier


def _side_by_side(features: list[spmatrix]) -> spmatrix:
    from scipy import sparse

    return sparse.hstack(features, format="csr") if len(features) > 1 else features[0]
