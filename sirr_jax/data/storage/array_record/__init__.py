"""Data sets packed into shards: a few large files with random access instead of many small files."""
