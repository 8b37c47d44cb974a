from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sirr_jax.data.storage.tfds.example import bytes_feature

pytest.importorskip("tensorflow_datasets")
from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2


def feature(value):
    if isinstance(value[0], bytes):
        return tf_feature_pb2.Feature(bytes_list=tf_feature_pb2.BytesList(value=value))
    if isinstance(value[0], float):
        return tf_feature_pb2.Feature(float_list=tf_feature_pb2.FloatList(value=value))
    return tf_feature_pb2.Feature(int64_list=tf_feature_pb2.Int64List(value=value))


def serialize(values):
    features = {name: feature(value) for name, value in values.items()}
    return tf_example_pb2.Example(features=tf_feature_pb2.Features(feature=features)).SerializeToString()


VALUES = st.one_of(
    st.lists(st.binary(max_size=300), min_size=1, max_size=3),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3),
    st.lists(st.floats(width=32), min_size=1, max_size=3),
)


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_bytes_features_equal_those_of_protobuf(values):
    record = serialize(values)
    for name, value in values.items():
        assert bytes_feature(record, name) == (value[0] if isinstance(value[0], bytes) else None)
    assert bytes_feature(record, "another name") is None


def test_large_values_and_values_without_entries():
    image = bytes(range(256)) * 1000
    record = serialize({"files/a": [b"1.png"], "a": [image], "size": [7]})
    assert (bytes_feature(record, "a"), bytes_feature(record, "files/a")) == (image, b"1.png")
    empty = tf_example_pb2.Example(features=tf_feature_pb2.Features(feature={"a": tf_feature_pb2.Feature()}))
    assert bytes_feature(empty.SerializeToString(), "a") is None
    assert bytes_feature(b"", "a") is None


@pytest.mark.parametrize(
    "record",
    [
        b"\x0a\x7fshort",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0a",
        b"\x0b",
        b"\x0a\x04\x0a\x02\x0a\x09",
    ],
)
def test_damaged_records_raise(record):
    with pytest.raises(ValueError, match=r"ends after|ends inside|without an end|wire type"):
        bytes_feature(record, "a")
