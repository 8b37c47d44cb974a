"""Parses `tf.train.Example`, the message that a TFDS record holds, without TensorFlow and protobuf.

Example: field 1 is Features; Features: field 1 is an entry of a map (1: name, 2: Feature); Feature: field 1 is a
BytesList, whose field 1 is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator

# The wire type of an embedded message or of bytes, and the byte counts of the wire types of fixed size.
_LENGTH_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}


def parse_bytes_features(record: bytes) -> dict[str, list[memoryview]]:
    """Returns the bytes features of an example: images, texts and byte strings.

    Args:
        record: serialized `tf.train.Example`.

    Returns:
        Feature name -> values, as views of the record; numeric features are left out.

    Raises:
        ValueError: The record is not such a message.
    """
    features: dict[str, list[memoryview]] = {}
    for all_features in _submessages(memoryview(record), 1):
        for entry in _submessages(all_features, 1):
            name = b"".join(_submessages(entry, 1)).decode()
            lists = [values for feature in _submessages(entry, 2) for values in _submessages(feature, 1)]
            if lists:
                features[name] = [value for values in lists for value in _submessages(values, 1)]
    return features


def _submessages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yields the values of one length-delimited field."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == _LENGTH_DELIMITED:
            length, start = _varint(message, position)
            position = start + length
            if position > len(message):
                raise ValueError("a field ends after its message")
            if tag >> 3 == wanted:
                yield message[start:position]
        elif wire_type == 0:
            _, position = _varint(message, position)
        elif wire_type in _FIXED_BYTES:
            position += _FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"wire type {wire_type}")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Returns an integer of 7 bits per byte, lowest first, and the position after it."""
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("an integer without an end")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
