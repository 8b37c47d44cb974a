"""Position -> sample, from nothing but the seed and the files."""
