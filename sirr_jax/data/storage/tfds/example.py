"""Parses `tf.train.Example`, the message that a TFDS record holds, without TensorFlow and protobuf.

Example: field 1 is Features; Features: field 1 is an entry of a map (1: name, 2: Feature); Feature: field 1 is a
BytesList, whose field 1 is repeated.
"""

from __future__ import annotations

# The wire type of an embedded message or of bytes, and the byte counts of the wire types of fixed size.
_LENGTH_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}
_SHIFTS = range(7, 70, 7)


def parse_bytes_features(record: bytes) -> dict[str, list[memoryview]]:
    """Returns the bytes features of an example: images, texts and byte strings.

    Args:
        record: serialized `tf.train.Example`.

    Returns:
        Feature name -> values, as views of the record; numeric features are left out.

    Raises:
        ValueError: The record is not such a message.
    """
    try:
        return _parse(record)
    except IndexError:
        raise ValueError("the record ends inside a field") from None


def _parse(record: bytes) -> dict[str, list[memoryview]]:
    features: dict[str, list[memoryview]] = {}
    view = memoryview(record)
    for start, end in _fields(record, 0, len(record), 1):
        for entry in _fields(record, start, end, 1):
            name = b"".join(record[slice(*key)] for key in _fields(record, *entry, 1)).decode()
            lists = [values for feature in _fields(record, *entry, 2) for values in _fields(record, *feature, 1)]
            if lists:
                features[name] = [view[slice(*value)] for values in lists for value in _fields(record, *values, 1)]
    return features


def _fields(record: bytes, position: int, end: int, wanted: int) -> list[tuple[int, int]]:
    """Returns where the values of one length-delimited field of a message begin and end."""
    found = []
    while position < end:
        tag, position = _varint(record, position)
        wire_type = tag & 7
        if wire_type == _LENGTH_DELIMITED:
            length, start = _varint(record, position)
            position = start + length
            if tag >> 3 == wanted:
                found.append((start, position))
        elif wire_type == 0:
            _, position = _varint(record, position)
        elif wire_type in _FIXED_BYTES:
            position += _FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"wire type {wire_type}")
    if position > end:
        raise ValueError("a field ends after its message")
    return found


def _varint(record: bytes, position: int) -> tuple[int, int]:
    """Returns an integer of 7 bits per byte, lowest first, and the position after it."""
    value = record[position]
    position += 1
    if value < 0x80:
        return value, position
    value &= 0x7F
    for shift in _SHIFTS:
        byte = record[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("an integer without an end")
