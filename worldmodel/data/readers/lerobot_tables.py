"""Columns of LeRobot's tables, in Parquet and as lines of JSON. pyarrow is imported when a table is read."""

import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Columns(dict[str, list[Any]]):
    """Columns of a table by name.

    Attributes:
        num_rows: Length of each.
    """

    def __init__(self, columns: dict[str, list[Any]], num_rows: int) -> None:
        """Takes the columns."""
        super().__init__(columns)
        self.num_rows = num_rows


def read_columns(path: Path, names: Iterable[str]) -> Columns:
    """Returns those of some columns that a table has.

    Args:
        path: A Parquet file.
        names: Columns that are needed; others, such as pictures, are not read.

    Raises:
        ImportError: If pyarrow is not installed; the message says how to install it.
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged.
    """
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(
            f'{error}: data sets of LeRobot need the extra "lerobot"; install it with '
            "pip install 'worldmodel[lerobot]' -c constraints.txt"
        ) from None
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a table of LeRobot's, found nothing there; get the data set again")
    try:
        there = set(parquet.read_schema(path).names)
        table = parquet.read_table(path, columns=[name for name in names if name in there])
        return Columns(table.to_pydict(), table.num_rows)
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these two
        raise ValueError(f"{path}: expected a whole Parquet table, got a damaged one ({error}); get it again") from None


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Returns the JSON objects of a file of lines; none if there is no such file.

    Raises:
        ValueError: If a line is no JSON object.
    """
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else (), 1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: expected one JSON object, got {error}") from None
        if not isinstance(line, dict):
            raise ValueError(f"{path}, line {number}: expected one JSON object, got {type(line).__name__}")
        lines.append(line)
    return lines
