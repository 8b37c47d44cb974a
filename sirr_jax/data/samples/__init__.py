"""Streams of samples: position -> sample, a function of the seed and the files alone."""
