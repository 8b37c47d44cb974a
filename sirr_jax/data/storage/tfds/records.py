"""Random access to the records of a prepared TFDS set."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from sirr_jax.data.images.decode import UnreadableImageError
from sirr_jax.data.images.passing_errors import passing_error_named, retried
from sirr_jax.data.storage.tfds.example import bytes_feature
from sirr_jax.errors import UserError

# Records are read one at a time in random order: reading ahead would fetch unused records.
_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_BUFFER_BYTES = 64 * 2**10

# The last record of each thread: the files of one picture are read one after the other.
_last = threading.local()


def load_array_record() -> ModuleType:
    """Imports array_record, the library that reads and writes ArrayRecord files.

    Returns:
        The module `array_record.python.array_record_module`.

    Raises:
        UserError: The package array_record is not installed.
    """
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise UserError(f"TFDS sets need array_record ({error}): pip install 'sirr_jax[train]'") from None
    return array_record_module


class Shard:
    """One ArrayRecord file of a TFDS set, opened on first use. Thread-safe."""

    def __init__(self, path: Path, records: int) -> None:
        """Makes a reader without opening the file.

        Args:
            path: file.
            records: number of records that the file must have.
        """
        self._path = path
        self._records = records
        self._lock = threading.Lock()
        self._reader: Any = None

    def file(self, record: int, feature: str) -> bytes:
        """Reads one bytes feature of a record, such as an encoded image.

        Args:
            record: index of the record in this file.
            feature: name of the feature.

        Returns:
            The first value of the feature.

        Raises:
            UnreadableImageError: The file or the record cannot be read, or the record has no such feature.
        """
        try:
            value = bytes_feature(retried(lambda: self._record(record), name=str(self._path)), feature)
        except (RuntimeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())[:120]
            raise UnreadableImageError(
                f"{self._path}: record {record} cannot be read ({reason}); copy or prepare the set again"
            ) from None
        if value is None:
            raise UnreadableImageError(f"{self._path}: record {record} has no {feature}; prepare the set again")
        return value

    def _record(self, record: int) -> bytes:
        place, data = getattr(_last, "record", (None, b""))
        if place != (self, record):
            if self._reader is None:
                with self._lock:
                    self._reader = self._reader or self._open()
            try:
                data = self._reader.read([record])[0]
            except RuntimeError as error:
                # array_record names errors of the system in its text alone.
                raise passing_error_named(str(error)) or error from None
            _last.record = ((self, record), data)
        return data

    def _open(self) -> Any:
        package = load_array_record()
        try:
            reader = package.ArrayRecordReader(str(self._path), _OPTIONS, file_reader_buffer_size=_BUFFER_BYTES)
        except RuntimeError as error:
            raise passing_error_named(str(error)) or error from None
        if reader.num_records() != self._records:
            raise ValueError(f"{reader.num_records()} records instead of {self._records}")
        return reader


def record_loaders(shards: Sequence[tuple[Path, int]]) -> list[Callable[[str], bytes]]:
    """Returns one function for each record of consecutive ArrayRecord files.

    Args:
        shards: files, and their numbers of records.

    Returns:
        Functions that take the name of a feature and return its bytes; see `Shard.file`.

    Raises:
        UserError: The package array_record is not installed.
    """
    load_array_record()
    return [
        functools.partial(shard.file, record)
        for shard, count in ((Shard(path, count), count) for path, count in shards)
        for record in range(count)
    ]
