"""AttentiveGAN: raindrops (Qian et al. 2018)."""
