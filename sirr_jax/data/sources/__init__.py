"""Data sets of photographs, pairs, sequences and label maps, read by index."""
