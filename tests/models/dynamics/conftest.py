from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.models import build
from sirr_jax.models.initialize import initialize
from tests.helpers.networks import compile_apply, images, random_parameters

FRAMES, IMAGE = (1, 3, 16, 16, 3), (1, 16, 16, 3)


class Forward:
    """A network of width "tiny" with random parameters, compiled once for an odd size."""

    def __init__(self, network_id, shape, *size):
        self.module = build(network_id, width="tiny")
        self.params = random_parameters(self.module, shape)
        # Flows of about a pixel of their grid.
        for part in self.params.get("flow", {}).values():
            if "flow" in part:
                part["flow"]["kernel"] *= 2.0
        self.inputs = images(1, *size)
        self.apply = compile_apply(self.module, self.params, self.inputs, train=True)
        self.outputs = jax.tree.map(np.asarray, self.apply(self.params, self.inputs))
        # The documented padding of sizes that are not multiples of 16.
        *lead, height, width, _ = size
        pads = [(0, 0)] * len(lead) + [(0, -height % 16), (0, -width % 16), (0, 0)]
        self.padded = np.pad(self.inputs, pads, mode="reflect")


@pytest.fixture(scope="session")
def teacher():
    return Forward("dynamics/teacher", FRAMES, 2, 3, 18, 21, 3)


@pytest.fixture(scope="session")
def student():
    return Forward("dynamics/student", IMAGE, 2, 18, 21, 3)


@pytest.fixture(scope="session")
def initial_teacher(teacher):
    return jax.tree.map(np.asarray, initialize(teacher.module, jax.random.key(0), FRAMES)["params"])


@pytest.fixture(scope="session")
def initial_student(student):
    return jax.tree.map(np.asarray, initialize(student.module, jax.random.key(1), IMAGE)["params"])
