"""ShardSet -> References: how far one gets on the rows that are judged without a neural network."""

from __future__ import annotations

from dataclasses import dataclass

from ..contracts import ReferenceAccuracy, References, ShardSet
from ..stage import Context

VERSION = 1
USES = frozenset({"seed"})


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the linear reference learns from."""

    linear_rows: int = 100_000  # rows of train

    def __post_init__(self) -> None:
        if self.linear_rows < 1:
            raise ValueError(
                f"linear_rows: must be at least 1; received {self.linear_rows}; "
                f"the default is {type(self).linear_rows}"
            )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    shards: ShardSet


Output = References


def run(config: Config, inputs: Inputs, ctx: Context) -> References:
    """On validation and test, as far as they hold rows.

    Raises:
        ValueError: the shards are those of a language model, or train is empty.
    """
    from . import linear

    shards = inputs.shards
    if shards.task == "language_model" or not shards.split("train").num_examples:
        raise ValueError(
            "preprocess.task: must be classification or multi_label, with rows in train, for "
            f"anything to be judged; received {shards.task} and "
            f"{shards.split('train').num_examples} rows; preprocess anew"
        )
    judged = [name for name in ("validation", "test") if shards.split(name).num_examples]
    model = linear.fitted(shards, max_train_rows=config.linear_rows, seed=ctx.seed, log=ctx.log)
    accuracies = []
    for name in judged:
        if shards.multi_label:
            majority = linear.most_frequent_set_accuracy(shards, name)
        else:
            majority = linear.majority_accuracy(shards.split("train"), shards.split(name))
        accuracy, micro_f1 = linear.judged(model, shards, name, ctx.log)
        accuracies.append(
            ReferenceAccuracy(
                split=name, majority=majority, linear=accuracy, linear_micro_f1=micro_f1
            )
        )
    return References(uri=str(ctx.workdir), accuracies=tuple(accuracies))
