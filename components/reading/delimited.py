"""Physical lines of a CSV or TSV file -> records of fields, each with the line it starts on.

The standard library's parser does the work; what is added is that a broken record costs its
first line only. RFC 4180 with its usual leniencies: LF line ends, quotes inside unquoted fields.
Empty lines are no records.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from .rows import HIDDEN_CR, Reason


class Record(NamedTuple):
    """The fields of one row, or what is wrong with it."""

    line: int  # where it starts, from 1
    fields: list[str]  # empty for a fault
    fault: tuple[Reason, str] | None = None


class _TooLong(Exception):
    """A record grew over the limit; internal to this module."""


def unquoted_records(lines: Iterator[str | None], *, delimiter: str) -> Iterator[Record]:
    """Each line is a record and a quote is a character like any other."""
    for number, line in enumerate(lines, start=1):
        if line is None:
            yield _overlong(number)
            continue
        body = line.removesuffix("\n").removesuffix("\r")
        if body:
            yield Record(number, body.split(delimiter))


def quoted_records(
    lines: Iterator[str | None], *, delimiter: str, max_bytes: int
) -> Iterator[Record]:
    """RFC 4180. A fault blames the line its record starts on; parsing resumes on the next one."""
    return iter(_Parser(lines, delimiter=delimiter, max_bytes=max_bytes))


def _overlong(number: int) -> Record:
    detail = "the line is longer than preprocess.source.max_line_bytes"
    return Record(number, [], ("line_too_long", detail))


class _WrongWidth(Exception):
    """A record of several lines has not the header's number of fields; internal."""


class _Parser:
    def __init__(self, lines: Iterator[str | None], *, delimiter: str, max_bytes: int) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._max_bytes = max_bytes
        self._width = 0  # fields of the header, the first record
        self._number = 1  # the line on which the current record starts
        self._taken: list[str | None] = []  # the lines of the current record
        self._again: deque[str | None] = deque()  # lines to parse once more after a fault
        # After a bad quote, the next line with an odd number of quotes is more likely the tail
        # of the broken record than a row of its own.
        self._suspicious = False
        # A limit of the whole process: only ever raised, records are bounded here.
        csv.field_size_limit(max(csv.field_size_limit(), max_bytes + 2))

    def __iter__(self) -> Iterator[Record]:
        while True:
            reader = csv.reader(self._feed(), delimiter=self._delimiter, strict=True)
            try:
                for fields in reader:
                    num_lines = len(self._taken)
                    if fields:
                        self._width = self._width or len(fields)
                        if num_lines > 1 and len(fields) != self._width:
                            raise _WrongWidth(len(fields))
                        yield self._judge(fields)
                    self._number += num_lines
                    self._taken.clear()
                return
            except (_TooLong, _WrongWidth, csv.Error) as error:
                yield self._fault(error)
            self._again.extendleft(reversed(self._taken[1:]))
            self._taken.clear()
            self._number += 1

    def _feed(self) -> Iterator[str]:
        """Lines for the parser, as long as the current record stays within the limit."""
        size = 0
        while True:
            if self._again:
                line = self._again.popleft()
            else:
                line = next(self._lines, "")
                if line == "":
                    return
            size = size if self._taken else 0
            self._taken.append(line)
            if line is None:
                raise _TooLong
            size += len(line)
            # Characters, where lines are measured in bytes: a bound on memory, not a verdict.
            if size > self._max_bytes and len(self._taken) > 1:
                raise _TooLong
            yield _hide_lone_cr(line) if "\r" in line else line

    def _judge(self, fields: list[str]) -> Record:
        if self._suspicious and len(self._taken) == 1:
            line = self._taken[0]
            if line is not None and line.count('"') % 2:
                self._suspicious = False
                detail = "an odd number of quotes, after a row with a malformed quote"
                return Record(self._number, [], ("malformed_quote", detail))
        return Record(self._number, fields)

    def _fault(self, error: Exception) -> Record:
        """What is wrong with the record whose lines are taken."""
        if isinstance(error, _TooLong) and len(self._taken) == 1:
            return _overlong(self._number)
        self._suspicious = True
        if isinstance(error, _TooLong):
            detail = (
                "a quote that opens in this row is not closed within "
                "preprocess.source.max_line_bytes"
            )
        elif isinstance(error, _WrongWidth):
            detail = (
                f"a quote that opens in this row closes {len(self._taken) - 1} lines below, with "
                f"{error} fields where the header has {self._width}"
            )
        else:
            detail = _explain(error)
        return Record(self._number, [], ("malformed_quote", detail))


def _hide_lone_cr(line: str) -> str:
    end = "\r\n" if line.endswith("\r\n") else ""
    return line.removesuffix(end).replace("\r", HIDDEN_CR) + end


def _explain(error: Exception) -> str:
    if "unexpected end of data" in str(error):
        return "a quote that opens in this row is not closed before the end of the file"
    return (
        "text follows a closing quote: a quote inside a quoted field must be doubled, or a "
        "quote above is not closed"
    )
