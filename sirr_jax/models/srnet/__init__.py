"""SR-Net: segment for restoration, restore for segmentation (Xia et al. 2019, arXiv 1911.00679), as we reconstruct it.

The authors published neither network code nor weights. Certain, from their project page, are the two stages (a
refiner of label maps, then a restorer that is guided by them), what each takes and returns, and one discriminator for
each (SR-Net specification, section 2.1). All layers, widths and activations are a design of this project (sections
2.3 to 2.5): results of these networks are results of the reconstruction, never of the paper's model.
"""

from __future__ import annotations

from sirr_jax.models.srnet.discriminators import ImageDiscriminator, MapDiscriminator
from sirr_jax.models.srnet.generators import LabelGuidedRestorer, LabelRefiner

__all__ = ["ImageDiscriminator", "LabelGuidedRestorer", "LabelRefiner", "MapDiscriminator"]
