"""SR-Net: segmentation for restoration, restoration for segmentation (Xia et al. 2019, arXiv 1911.00679).

This is a reconstruction. The authors published neither network code nor weights. Their project page defines the two
stages (a refiner of label maps, then a restorer guided by them), their inputs and outputs, and one discriminator for
each (SR-Net specification, section 2.1). All layers, widths and activations are a design of this project (sections 2.3
to 2.5): results of these networks are results of the reconstruction, not of the paper's model.
"""

from __future__ import annotations

from sirr_jax.models.srnet.discriminators import ImageDiscriminator, MapDiscriminator
from sirr_jax.models.srnet.generators import LabelGuidedRestorer, LabelRefiner

__all__ = ["ImageDiscriminator", "LabelGuidedRestorer", "LabelRefiner", "MapDiscriminator"]
