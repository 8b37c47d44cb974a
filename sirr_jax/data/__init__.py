"""Files on disk -> uint8 batches. Import from the rooms; this module imports nothing."""
