"""Metadata of model files: ModelSpec fields, settings to rebuild the networks, files of the first edition."""

from __future__ import annotations

import json

import pytest

from sirr_jax.weights.metadata import read_metadata, write_metadata

REBUILD = {
    "recipe": "dynamics",
    "version": "1.0.0",
    "networks": {"student": {"id": "dynamics/student", "model_args": {"width": "tiny"}}},
}
SPEC = {"license": "Apache-2.0", "description": "a test, “in” Zürich", "author": "Anna", "title": "", "date": ""}
CARD = {
    "recipe": "errnet",
    "version": "0.1.0",
    "licence": "MIT",
    "origin": "here",
    "networks": {"generator": {"id": "errnet/generator", "hyper": {"width": "test", "hyper": False}}},
}


def test_write_metadata_makes_flat_strings_and_omits_empty_fields():
    metadata = write_metadata(REBUILD, SPEC)
    assert all(isinstance(value, str) for value in metadata.values())
    assert json.loads(metadata.pop("sirr_jax")) == REBUILD
    assert metadata == {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.implementation": "sirr_jax (JAX, Flax Linen)",
        "modelspec.license": "Apache-2.0",
        "modelspec.description": "a test, “in” Zürich",
        "modelspec.author": "Anna",
    }


@pytest.mark.parametrize("recommended", [{}, {"max_side": 640}, {"max_side": 640, "self_ensemble": 4}], ids=str)
def test_write_metadata_read_metadata_round_trip(recommended):
    rebuild = REBUILD | recommended
    assert read_metadata(write_metadata(rebuild, SPEC)) == rebuild | SPEC


def test_read_metadata_does_not_need_modelspec_fields():
    metadata = {"sirr_jax": json.dumps(REBUILD)}
    assert read_metadata(metadata) == REBUILD | dict.fromkeys(SPEC, "")


def test_read_metadata_of_the_first_edition_renames_keys_and_values():
    networks = CARD["networks"] | {"vgg19": {"id": "vgg19", "hyper": {"layers": ["conv1_1"]}}}
    card = CARD | {"networks": networks, "max_side": 640, "self_ensemble": 2, "unknown": 1}
    assert read_metadata({"card": json.dumps(card)}) == {
        "recipe": "errnet",
        "version": "0.1.0",
        "license": "MIT",
        "description": "here",
        "max_side": 640,
        "self_ensemble": 2,
        "networks": {
            "generator": {"id": "errnet/generator", "model_args": {"width": "tiny", "hypercolumn": False}},
            "vgg19": {"id": "vgg19", "model_args": {"layers": ["conv1_1"]}},
        },
    }


def test_read_metadata_prefers_the_current_key():
    metadata = write_metadata(REBUILD, SPEC) | {"card": json.dumps(CARD)}
    assert read_metadata(metadata) == REBUILD | SPEC


@pytest.mark.parametrize("name", ["recipe", "version", "networks"])
def test_read_metadata_requires_fields(name):
    incomplete = {key: value for key, value in REBUILD.items() if key != name}
    assert read_metadata(write_metadata(incomplete, SPEC)) is None
    assert read_metadata({"card": json.dumps({key: value for key, value in CARD.items() if key != name})}) is None


@pytest.mark.parametrize("name", ["licence", "origin"])
def test_read_metadata_of_the_first_edition_requires_license_and_origin(name):
    assert read_metadata({"card": json.dumps({key: value for key, value in CARD.items() if key != name})}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": 1},
        {"max_side": "640"},
        {"self_ensemble": 2.5},
        {"self_ensemble": None},
        {"networks": {}},
        {"networks": []},
        {"networks": {"student": "dynamics/student"}},
        {"networks": {"student": {"id": 1, "model_args": {}}}},
        {"networks": {"student": {"id": "dynamics/student", "model_args": []}}},
        {"networks": {"student": {"id": "dynamics/student"}}},
        {"networks": {"student": REBUILD["networks"]["student"] | {"steps": -1}}},
        {"networks": {"student": REBUILD["networks"]["student"] | {"steps": True}}},
        {"networks": {"student": REBUILD["networks"]["student"] | {"license": 1}}},
        {"networks": {"student": REBUILD["networks"]["student"] | {"parents": ["vgg19"]}}},
        {"networks": {"student": REBUILD["networks"]["student"] | {"parents": [{"name": "vgg19"}]}}},
    ],
    ids=str,
)
def test_read_metadata_rejects_wrong_types(change):
    assert read_metadata(write_metadata(REBUILD | change, SPEC)) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"format": "pt"},
        {"sirr_jax": ""},
        {"sirr_jax": "null"},
        {"sirr_jax": "[1]"},
        {"sirr_jax": "{" * 5000},
        {"card": "not JSON"},
        {"card": json.dumps(REBUILD)},
        {"card": json.dumps(CARD | {"networks": ["generator"]})},
        {"card": json.dumps(CARD | {"networks": {"generator": {"id": "errnet/generator", "hyper": []}}})},
    ],
    ids=lambda metadata: str(metadata)[:40],
)
def test_read_metadata_of_other_programs_is_none(metadata):
    assert read_metadata(metadata) is None
