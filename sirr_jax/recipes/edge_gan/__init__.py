"""Edge GAN: reflections by edges and attention."""
