"""Load results that are finished -> files that outlive a stopped attempt, and back.

    <place>/server-2.3f0c….json     `of`, what it was measured of, and `result`

One file a result, which appears when it is whole. What is of something else, or no result, is
passed over and measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ... import files
from ...contracts import LoadResult
from ...stage import Log


class Kept:
    """The results of one attempt and of those before it.

    Args:
        place: a folder of this machine, or one in a bucket.
        of: what they are of: config, model, rows and machine. Those of anything else do not count.
    """

    def __init__(self, place: str, *, of: str, log: Log) -> None:
        self._place, self._of, self._log = place, of, log

    def keep(self, result: LoadResult) -> None:
        """Writes one. Where a text got no answer it is none to go on from: that is asked again."""
        if result.num_failed or not result.num_queries:
            return
        told = {"of": self._of, "result": asdict(result)}
        try:
            files.write_bytes(files.join(self._place, _name(result)), json.dumps(told).encode())
        except OSError as error:
            self._log.warning(
                f"load: a result could not be kept in {self._place} ({error}); it is measured "
                "again if this run is stopped"
            )

    def of(self, target: str) -> tuple[LoadResult, ...]:
        """Those of a target that earlier attempts left; each is told in the log."""
        found = [result for result in self._whole() if result.target == target]
        for result in found:
            self._log.info(
                f"load, {target}: {result.scenario}, repeat {result.repeat} was measured before "
                "the run was stopped, and is taken from there",
                target=target,
                scenario=result.scenario,
                repeat=result.repeat,
            )
        return tuple(found)

    def _whole(self) -> Iterator[LoadResult]:
        for info in files.below(self._place):
            try:
                told = json.loads(files.read_bytes(info.path))
                if told["of"] == self._of:
                    yield of_fields(told["result"])
            except (OSError, ValueError, KeyError, TypeError):
                self._log.info(f"load: {info.path} holds no whole result; it is measured again")


def of_fields(fields: dict[str, Any]) -> LoadResult:
    """A result as JSON has it. `TypeError` where a field is missing or unknown."""
    return LoadResult(**{**fields, "remarks": tuple(fields["remarks"])})


def _name(result: LoadResult) -> str:
    target = hashlib.sha256(result.target.encode()).hexdigest()[:12]
    return f"{result.scenario}-{result.repeat}.{target}.json"
