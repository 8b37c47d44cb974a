"""Networks of the "Single Image Reflection Remover" (Siboooo/ReflectionRemoval, 2019): edge net, attention net, GAN.

The release is a Keras script (TensorFlow 1.12) without a paper and without weights; the EdgeGAN specification,
section 2, describes its graphs. The edge net maps the Sobel map of the photograph to that of the background, the
attention net locates the reflection, and the generator restores the background from all of them.
"""

from __future__ import annotations

from sirr_jax.models.edge_gan.attention_net import AttentionNet
from sirr_jax.models.edge_gan.discriminator import Discriminator
from sirr_jax.models.edge_gan.edge_net import EdgeNet
from sirr_jax.models.edge_gan.generator import Generator

__all__ = ["AttentionNet", "Discriminator", "EdgeNet", "Generator"]
