"""The contextual autoencoder, which the generators of AttentiveGAN and IBCLN declare under the same names."""

from __future__ import annotations

from sirr_jax.weights.key_maps.base import KeyRule, Shapes, conv, conv_transpose, nested

_ENCODER = {
    "conv1": "full",
    "conv2": "down_half",
    "conv3": "half",
    "conv4": "down_quarter",
    "conv5": "quarter1",
    "conv6": "quarter2",
    "diconv1": "dilated2",
    "diconv2": "dilated4",
    "diconv3": "dilated8",
    "diconv4": "dilated16",
    "conv7": "quarter3",
}
_DECODER = {
    "conv8": "quarter",
    "deconv1": "up_half/deconv",
    "conv9": "half",
    "deconv2": "up_full/deconv",
    "conv10": "full",
    "outframe1": "quarter_image",
    "outframe2": "half_image",
    "output": "image",
}
_WIDTHS = {64: "base", 16: "small", 4: "tiny"}


def encoder_rows(path: str) -> list[KeyRule]:
    """`conv1` to `conv7` <-> the `ContextEncoder` at `path`."""
    return nested(path, (row for key, layer in _ENCODER.items() for row in conv(f"{key}.0", layer)))


def decoder_rows(path: str) -> list[KeyRule]:
    """`conv8` to `output` <-> the `ContextDecoder` at `path`."""
    rows = []
    for key, layer in _DECODER.items():
        rows += (conv_transpose if key.startswith("deconv") else conv)(f"{key}.0", layer)
    return nested(path, rows)


def lstm_rows(path: str) -> list[KeyRule]:
    """`conv_i`, `conv_f`, `conv_g`, `conv_o` <-> the `ConvLSTM` at `path`."""
    return nested(path, (row for gate in "ifgo" for row in conv(f"conv_{gate}.0", gate)))


def read_width(shapes: Shapes, inputs: tuple[int, ...], prefix: str = "") -> str | None:
    """The width of an autoencoder whose first convolution takes one of `inputs` channels; None if it is none.

    Raises:
        KeyError: likewise.
    """
    first, last_up = shapes[f"{prefix}conv1.0.weight"], shapes[f"{prefix}deconv2.0.weight"]
    if first[1] not in inputs or first[2:] != (5, 5) or last_up[1:] != (first[0], 4, 4):
        return None
    return _WIDTHS.get(first[0])
