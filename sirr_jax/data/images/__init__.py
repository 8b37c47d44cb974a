"""Image files: reading, decoding, cropping, label maps."""
