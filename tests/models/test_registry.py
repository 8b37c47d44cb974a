"""Networks by id, and messages for unknown ids and arguments."""

from __future__ import annotations

import jax
import pytest
from flax import linen as nn

from sirr_jax.errors import UserError
from sirr_jax.models import build, list_networks


def test_all_networks_can_be_built():
    ids = list_networks()
    assert list(ids) == sorted(set(ids))
    assert {"dynamics/teacher", "dynamics/student", "dynamics/discriminator", "vgg19"} <= set(ids)
    for network_id in ids:
        assert isinstance(build(network_id), nn.Module)
        assert build(network_id, width="tiny").example_shapes() != ()


def test_list_arguments_become_tuples():
    assert build("bdn/generator", levels=[3, 2, 2]) == build("bdn/generator", levels=(3, 2, 2))


def test_model_args_reach_the_module():
    teacher = build("dynamics/teacher", width="tiny", flow_net=False)
    assert (teacher.width, teacher.flow_net, teacher.fusion_net) == ("tiny", False, True)


@pytest.mark.parametrize(
    ("network_id", "model_args", "message"),
    [
        ("dynamics/techer", {}, r"'dynamics/techer'; did you mean 'dynamics/teacher'\?"),
        ("xyz", {}, r"'xyz'; known names: ade20k_ppm, .*vgg19"),
        ("dynamics/student", {"widht": "tiny"}, r"dynamics/student has no argument 'widht'; it takes width, "),
        ("dynamics/student", {"parent": None}, r"has no argument 'parent'"),
        (
            "dynamics/student",
            {"width": "huge"},
            r"there is no width 'huge'; choose one of base, medium, small, compact, tiny",
        ),
        ("dynamics/teacher", {"width": "huge"}, r"there is no width 'huge'"),
    ],
)
def test_unknown_ids_and_arguments_are_rejected_with_a_one_line_message(network_id, model_args, message):
    with pytest.raises(UserError, match=message) as caught:
        build(network_id, **model_args)
    assert "\n" not in str(caught.value)


def test_modules_with_a_checked_width_can_be_cloned_and_bound():
    student = build("dynamics/student", width="tiny").clone(hallucination=False)
    assert (student.width, student.hallucination) == ("tiny", False)
    assert student.bind({}, rngs={"params": jax.random.key(0)}).width == "tiny"
