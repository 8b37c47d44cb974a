"""SR-Net: joint segmentation and restoration of degraded photographs (Xia et al. 2019)."""
