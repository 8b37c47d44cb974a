"""Data sets of photos, pairs, sequences and label maps with random access by index."""
