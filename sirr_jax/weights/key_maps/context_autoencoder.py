"""Rules of the contextual autoencoder, which has the same keys in the generators of AttentiveGAN and IBCLN."""

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


def encoder_rules(path: str) -> list[KeyRule]:
    """Maps `conv1` to `conv7` to the `ContextEncoder` at `path`."""
    return nested(path, (rule for key, layer in _ENCODER.items() for rule in conv(f"{key}.0", layer)))


def decoder_rules(path: str) -> list[KeyRule]:
    """Maps `conv8` to `output` to the `ContextDecoder` at `path`."""
    rules = []
    for key, layer in _DECODER.items():
        rules += (conv_transpose if key.startswith("deconv") else conv)(f"{key}.0", layer)
    return nested(path, rules)


def lstm_rules(path: str) -> list[KeyRule]:
    """Maps `conv_i`, `conv_f`, `conv_g` and `conv_o` to the `ConvLSTM` at `path`."""
    return nested(path, (rule for gate in "ifgo" for rule in conv(f"conv_{gate}.0", gate)))


def infer_width(shapes: Shapes, input_channels: tuple[int, ...], prefix: str = "") -> str | None:
    """Infers the width of an autoencoder.

    Args:
        shapes: shapes of a state dict.
        input_channels: possible numbers of input channels of the first convolution.
        prefix: prefix of its keys.

    Returns:
        Name of the width; None if the state dict is of another network.

    Raises:
        KeyError: The state dict is of another network.
    """
    first, last_up = shapes[f"{prefix}conv1.0.weight"], shapes[f"{prefix}deconv2.0.weight"]
    if first[1] not in input_channels or first[2:] != (5, 5) or last_up[1:] != (first[0], 4, 4):
        return None
    return _WIDTHS.get(first[0])
