"""AttentiveGAN: removal of raindrops (Qian et al. 2018)."""
