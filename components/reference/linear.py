"""Train rows -> how far one gets without a neural network, on the rows that are judged."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..contracts import ShardSet, Split
from ..label_sets import multi_hot
from ..stage import Log
from ..texts import Window, windows

if TYPE_CHECKING:
    import numpy as np
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


def most_frequent_set_accuracy(shards: ShardSet, judged: str) -> float:
    """As `majority_accuracy`, of multi-label data: of always answering the most frequent set."""
    sets = {
        name: Counter(tuple(label) for window in windows(shards, name) for label in window.labels)
        for name in ("train", judged)
    }
    majority = max(sets["train"], key=lambda one: (sets["train"][one], one))
    return sets[judged][majority] / sets[judged].total()


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
    rows = windows(shards, "train", max_rows=max_train_rows)
    return LinearReference.fit(rows, seed, log, num_labels=shards.label_width)


def judged(
    model: LinearReference, shards: ShardSet, split_name: str, log: Log
) -> tuple[float, float | None]:
    """Share of the rows of a split that it answers rightly; its micro F1 on multi-label data."""
    total = shards.split(split_name).num_examples
    hits = found = named = 0
    for window in windows(shards, split_name):
        answered, labels = model.answers(window), model.targets(window.labels)
        right = answered == labels
        hits += int((right if labels.ndim == 1 else right.all(axis=1)).sum())
        if labels.ndim == 2:
            found += int((answered & labels).sum())
            named += int(answered.sum() + labels.sum())
        log.progress(f"linear reference, {split_name}", window.start + len(window), total)
    micro_f1 = 2 * found / named if named else 0.0
    return hits / total, None if shards.label_width is None else micro_f1


@dataclass(frozen=True)
class LinearReference:
    """A fitted reference. One vectorizer per text column; the features stand side by side."""

    vectorizers: tuple[Any, ...]
    classifier: Any  # None when only one label was seen
    only_label: int
    num_labels: int | None = None  # of multi-label data, where each is answered for itself

    @classmethod
    def fit(
        cls, rows: Iterable[Window], seed: int, log: Log, *, num_labels: int | None = None
    ) -> LinearReference:
        columns: list[list[str]] = []
        labels: list[Any] = []
        for window in rows:
            if not columns:
                columns = [[] for _ in _columns(window)]
            for column, texts in zip(columns, _columns(window), strict=True):
                column += texts
            labels += window.labels
        if num_labels is None and len(set(labels)) == 1:
            log.warning("the train rows have one label only: the linear reference answers that")
            return cls((), None, labels[0])
        fitted = [_fit_vectorizer(column) for column in columns]
        features = _side_by_side([features for _, features in fitted])
        made = cls(tuple(vectorizer for vectorizer, _ in fitted), None, -1, num_labels)
        several = num_labels is not None
        classifier = _fit_classifier(features, made.targets(labels), seed, log, several=several)
        return replace(made, classifier=classifier)

    def targets(self, labels: Sequence[Any]) -> np.ndarray:
        """Labels as of `texts.Window` -> ids `(N,)`, or bool `(N, C)` of multi-label data."""
        import numpy as np

        if self.num_labels is None:
            return np.array(labels)
        return multi_hot(labels, self.num_labels)

    def answers(self, window: Window) -> np.ndarray:
        """To the rows of a window, as `targets`."""
        import numpy as np

        if self.classifier is None:
            return np.full(len(window), self.only_label)
        pairs = zip(self.vectorizers, _columns(window), strict=True)
        features = _side_by_side([vectorizer.transform(texts) for vectorizer, texts in pairs])
        answered: np.ndarray = self.classifier.predict(features)
        return answered if self.num_labels is None else answered.astype(bool)


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


def _fit_classifier(
    features: spmatrix, labels: np.ndarray, seed: int, log: Log, *, several: bool
) -> Any:
    """One against the rest: its time grows gently with the labels, logistic regression's does not.

    C was chosen on SST-2, IMDB and Banking77, where 0.25 to 1 differ by less than 0.01.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=0.5, random_state=seed)
    classifier = OneVsRestClassifier(machine) if several else machine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in the run's log
        # Of a label that all or no rows have: that it is answered always, or never, is right.
        warnings.filterwarnings("ignore", "Label .* is present in all training examples")
        classifier.fit(features, labels.astype(int))
    fitted = getattr(classifier, "estimators_", [classifier])
    if max(getattr(one, "n_iter_", 0) for one in fitted) >= machine.max_iter:
        log.warning(
            f"the linear reference did not converge in {machine.max_iter} steps: "
            "its accuracy may be too low"
        )
    return classifier


def _side_by_side(features: list[spmatrix]) -> spmatrix:
    from scipy import sparse

    return sparse.hstack(features, format="csr") if len(features) > 1 else features[0]
