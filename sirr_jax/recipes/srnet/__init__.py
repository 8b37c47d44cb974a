"""SR-Net: segmentation and restoration together (Xia et al. 2019)."""
