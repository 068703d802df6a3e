"""The results file: one JSON object a line, only ever appended to, safe against being killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graphssl.errors import CorruptFileError, MissingFileError, StorageError

__all__ = ["ResultStore", "read_results", "run_name"]

RESULTS = "results.jsonl"
LEFTOVER = "results.truncated"


class ResultStore:
    """The ``results.jsonl`` of a folder.

    A run that was killed while it wrote leaves half a line at the end. Opening the store moves that half
    to ``results.truncated`` beside it; every whole line stays.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / RESULTS
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._repair()
        except OSError as error:
            raise StorageError(f"cannot write results to {folder}: {error.strerror or error}") from error
        self.rows: list[dict[str, Any]] = read_results(folder) if self.path.exists() else []

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append rows, each as one line, and wait until they are on disk."""
        rows = list(rows)
        text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
        try:
            with open(self.path, "ab") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"cannot write to {self.path}: {error.strerror or error}; whole lines written before are kept"
            ) from error
        self.rows.extend(rows)

    def done(self, config_hash: str, seed: int, *, expected: int = 1) -> bool:
        """Did the newest attempt at this configuration and seed succeed, and are its ``expected`` rows all here?"""
        found = [row for row in self.rows if row["config_hash"] == config_hash and row["seed"] == seed]
        newest = found[-expected:]
        return len(newest) == expected and all(row["status"] == "ok" for row in newest)

    def _repair(self) -> None:
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        if not content or content.endswith(b"\n"):
            return
        start = content.rfind(b"\n") + 1
        tail = content[start:]
        if _is_object(tail):  # only the line's end is missing
            with open(self.path, "ab") as file:
                file.write(b"\n")
            return
        with open(self.path.parent / LEFTOVER, "ab") as file:
            file.write(tail + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.truncate(self.path, start)


def read_results(folder: str | Path) -> list[dict[str, Any]]:
    """All whole rows of a folder's ``results.jsonl``, oldest first.

    Half a line at the end, from a run that was killed or is still writing, is left out.

    Raises
    ------
    MissingFileError
        If there is no results file.
    CorruptFileError
        If a line other than the last cannot be read.
    """
    path = Path(folder) / RESULTS
    if not path.is_file():
        raise MissingFileError(f"no {RESULTS} in {folder}: expected the folder given to --out of a run or compare")
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if not _is_object(line):
            if number == len(lines):
                continue
            raise CorruptFileError(f"{path}, line {number}: expected a JSON object; remove the line and resume the run")
        rows.append(json.loads(line))
    return rows


def run_name(row: dict[str, Any]) -> str:
    """File name, without ending, of what the run of a row leaves in ``history/`` and ``embeddings/``."""
    return "_".join(
        [row["method"], row["encoder"], row["dataset"], row["protocol"], row["config_hash"][:8], f"s{row['seed']}"]
    )


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
