"""Parses `tf.train.Example`, the message that a TFDS record holds, without TensorFlow and protobuf.

Example: field 1 is Features; Features: field 1 is an entry of a map (1: name, 2: Feature); Feature: field 1 is a
BytesList, whose field 1 is repeated.
"""

from __future__ import annotations

# The wire type of an embedded message or of bytes, and the byte counts of the wire types of fixed size.
_LENGTH_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}
_SHIFTS = range(7, 70, 7)


def bytes_feature(record: bytes, name: str) -> bytes | None:
    """Returns a bytes feature of an example: an image, a text or a byte string.

    Args:
        record: serialized `tf.train.Example`.
        name: name of the feature.

    Returns:
        Its first value; None if the example has no such feature or no value of it, or if it is numeric.

    Raises:
        ValueError: The record is not such a message.
    """
    try:
        return _find(record, name.encode())
    except IndexError:
        raise ValueError("the record ends inside a field") from None


def _find(record: bytes, name: bytes) -> bytes | None:
    for features in _fields(record, 0, len(record), 1):
        for start, end in _fields(record, *features, 1):
            names = _fields(record, start, end, 1)
            # An absent name is empty.
            if record[slice(*names[-1])] == name if names else not name:
                for feature in _fields(record, start, end, 2):
                    for values in _fields(record, *feature, 1):
                        for value in _fields(record, *values, 1):
                            return record[slice(*value)]
    return None


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
