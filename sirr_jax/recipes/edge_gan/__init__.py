"""Edge GAN: removal of reflections with edge and attention maps."""
