"""The patch discriminator against PyTorch's operations."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.models.patchgan import PatchDiscriminator

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_patch_discriminator():
    image = np.random.default_rng(0).random((2, 32, 40, 3), np.float32)
    features = (4, 6, 8, 10)
    names = ["conv0", "conv1", "conv2", "conv3", "logits"]
    channels = (3, *features, 1)
    params = {
        name: {"kernel": 0.2 * draw(i, 4, 4, channels[i], channels[i + 1]), "bias": draw(10 + i, channels[i + 1])}
        for i, name in enumerate(names)
    }
    x = torch.from_numpy(image.transpose(0, 3, 1, 2).copy()) * 2 - 1
    for i, name in enumerate(names):
        kernel = torch.from_numpy(params[name]["kernel"].transpose(3, 2, 0, 1).copy())
        x = F.conv2d(x, kernel, torch.from_numpy(params[name]["bias"]), 2 if i < 3 else 1, 1)
        if 0 < i < 4:
            x = F.instance_norm(x)
        if i < 4:
            x = F.leaky_relu(x, 0.2)
    logits = PatchDiscriminator(features=features).apply({"params": params}, image)["logits"]
    np.testing.assert_allclose(logits, x.numpy().transpose(0, 2, 3, 1), atol=2e-4)
