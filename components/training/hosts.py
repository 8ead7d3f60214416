"""Where the hosts that train together find the shards."""

from __future__ import annotations

from dataclasses import replace

from .. import files
from ..contracts import ShardSet
from ..stage import Context, Lane


def seen_by_all_hosts(shards: ShardSet, lane: Lane, ctx: Context) -> ShardSet:
    """The shards where all that read them find them; one process may lead several hosts."""
    if lane.num_hosts == lane.num_workers:
        return shards
    place = ctx.everywhere(shards.uri)
    if not files.is_remote(place):
        raise ValueError(
            f"--root: must be in a bucket for {lane.description}, for each host reads its share of "
            f"the shards itself; received {place}; run with --root gs://BUCKET/runs, or take a "
            "slice of one host, e.g. v5e-8"
        )
    return replace(shards, uri=place)
