"""Samples -> batches: by tf.data, by threads, on the device."""
