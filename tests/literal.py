"""The definitions of layers in NumPy, in float64 and by plain loops: what the tests compare with."""

from __future__ import annotations

import itertools

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def relu(x):
    return np.maximum(x, 0.0)


def leaky_relu(x, slope):
    return np.where(x > 0.0, x, slope * x)


def conv2d(x, kernel, bias, *, stride=1, dilation=1, padding=None):
    """Cross-correlation of [B, H, W, C] with HWIO; by default as much padding as keeps odd kernels centred."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    side = kernel.shape[0]
    pad = dilation * (side - 1) // 2 if padding is None else padding
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    reach = dilation * (side - 1)
    rows, columns = x.shape[1] - reach, x.shape[2] - reach
    total = np.zeros((x.shape[0], -(-rows // stride), -(-columns // stride), kernel.shape[3]))
    for i, j in itertools.product(range(side), repeat=2):
        di, dj = i * dilation, j * dilation
        total += x[:, di : di + rows : stride, dj : dj + columns : stride] @ kernel[i, j]
    return total + np.asarray(bias, np.float64)


def upsample_nearest(x, factor):
    return np.repeat(np.repeat(x, factor, axis=1), factor, axis=2)


def upsample_bilinear(x, factor):
    """torch's `interpolate(mode="bilinear", align_corners=False)`: centres at half pixels, clamped at 0 and n - 1."""
    for axis in (1, 2):
        size = x.shape[axis]
        lines = []
        for i in range(size * factor):
            position = max((i + 0.5) / factor - 0.5, 0.0)
            low = min(int(position), size - 1)
            high = min(low + 1, size - 1)
            share = position - low
            lines.append((1.0 - share) * np.take(x, low, axis) + share * np.take(x, high, axis))
        x = np.stack(lines, axis)
    return x


def downsample_area(x, factor):
    _, height, width, _ = x.shape
    rows = [x[:, i : i + factor].mean(axis=1) for i in range(0, height, factor)]
    x = np.stack(rows, axis=1)
    return np.stack([x[:, :, j : j + factor].mean(axis=2) for j in range(0, width, factor)], axis=2)


def warp(x, flow):
    """The sum over the four integer neighbours, pixel by pixel, and the validity (specification, section 2.4)."""
    x, flow = np.asarray(x, np.float64), np.asarray(flow, np.float64)
    batch, height, width, _ = x.shape
    out, valid = np.zeros_like(x), np.zeros((batch, height, width, 1))
    for b, i, j in itertools.product(range(batch), range(height), range(width)):
        px, py = j + flow[b, i, j, 0], i + flow[b, i, j, 1]
        valid[b, i, j] = 0 <= px <= width - 1 and 0 <= py <= height - 1
        for qx, qy in itertools.product((np.floor(px), np.floor(px) + 1), (np.floor(py), np.floor(py) + 1)):
            weight = max(0.0, 1.0 - abs(px - qx)) * max(0.0, 1.0 - abs(py - qy))
            source = x[b, int(np.clip(qy, 0, height - 1)), int(np.clip(qx, 0, width - 1))]
            out[b, i, j] += weight * source
    return out, valid


def cost_volume(target, source, radius):
    """Specification, section 2.3: a loop over rows, columns and both components of the displacement."""
    target, source = np.asarray(target, np.float64), np.asarray(source, np.float64)
    batch, height, width, channels = target.shape
    side = 2 * radius + 1
    costs = np.zeros((batch, height, width, side * side))
    for y, x, dy, dx in itertools.product(range(height), range(width), range(side), range(side)):
        sy, sx = y + dy - radius, x + dx - radius
        if 0 <= sy < height and 0 <= sx < width:
            costs[:, y, x, dy * side + dx] = (target[:, y, x] * source[:, sy, sx]).sum(axis=-1) / channels
    return costs


def squeeze_excite(x, p):
    hidden = relu(x.mean(axis=(1, 2)) @ p["squeeze"]["kernel"] + p["squeeze"]["bias"])
    return x * sigmoid(hidden @ p["excite"]["kernel"] + p["excite"]["bias"])[:, None, None]


def residual(x, p, *, dilation=1):
    y = relu(conv2d(x, **p["conv1"], dilation=dilation))
    return x + 0.1 * squeeze_excite(conv2d(y, **p["conv2"], dilation=dilation), p["excite"])


def differences(x):
    """Forward differences along the width and along the height of [..., H, W, C]."""
    return np.diff(x, axis=-2), np.diff(x, axis=-3)
