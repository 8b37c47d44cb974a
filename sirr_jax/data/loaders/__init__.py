"""Loaders: samples -> batches, with tf.data, with threads, or on the device."""
