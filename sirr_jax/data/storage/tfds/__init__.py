"""Prepared TFDS sets (TensorFlow Datasets) in ArrayRecord files, read by index without TFDS and TensorFlow."""
