"""Data sets packed into shards: a few large files that are read at random, in place of many small ones."""
