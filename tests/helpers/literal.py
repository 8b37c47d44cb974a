"""The definitions of layers in NumPy, in float64 and by plain loops: what the tests compare with."""

from __future__ import annotations

import itertools
import math

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def relu(x):
    return np.maximum(x, 0.0)


def leaky_relu(x, slope):
    return np.where(x > 0.0, x, slope * x)


def conv2d(x, kernel, bias=0.0, *, stride=1, dilation=1, padding=None, groups=1):
    """Cross-correlation of [B, H, W, C] with HWIO; by default as much padding as keeps odd kernels centered."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    side = kernel.shape[0]
    pad = dilation * (side - 1) // 2 if padding is None else padding
    x = np.pad(x, ((0, 0), *(pad if isinstance(pad, tuple) else ((pad, pad), (pad, pad))), (0, 0)))
    reach = dilation * (side - 1)
    rows, columns = x.shape[1] - reach, x.shape[2] - reach
    total = np.zeros((x.shape[0], -(-rows // stride), -(-columns // stride), kernel.shape[3]))
    into, outof = kernel.shape[2], kernel.shape[3] // groups
    for g, i, j in itertools.product(range(groups), range(side), range(side)):
        di, dj = i * dilation, j * dilation
        seen = x[:, di : di + rows : stride, dj : dj + columns : stride, g * into : (g + 1) * into]
        total[..., g * outof : (g + 1) * outof] += seen @ kernel[i, j, :, g * outof : (g + 1) * outof]
    return total + np.asarray(bias, np.float64)


def conv_transpose2d(x, kernel, bias=0.0, *, stride=2, padding=1, output_padding=0):
    """Every pixel of [B, H, W, C] leaves its multiple of the kernel [k, k, in, out] at `stride` times its place."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    (batch, height, width, _), side = x.shape, kernel.shape[0]
    rows, columns = ((n - 1) * stride + side + output_padding for n in (height, width))
    total = np.zeros((batch, rows, columns, kernel.shape[3]))
    for i, j, k, m in itertools.product(range(height), range(width), range(side), range(side)):
        total[:, i * stride + k, j * stride + m] += x[:, i, j] @ kernel[k, m]
    return total[:, padding : rows - padding, padding : columns - padding] + np.asarray(bias, np.float64)


def instance_norm(x):
    x = np.asarray(x, np.float64)
    out = np.zeros_like(x)
    for b, c in itertools.product(range(x.shape[0]), range(x.shape[3])):
        plane = x[b, :, :, c]
        out[b, :, :, c] = (plane - plane.mean()) / np.sqrt(plane.var() + 1e-5)
    return out


def batch_norm(x, scale, bias, mean, var, *, epsilon=1e-5):
    """With given statistics, per channel."""
    return (np.asarray(x, np.float64) - mean) / np.sqrt(np.asarray(var, np.float64) + epsilon) * scale + bias


def pool(x, window, stride, padding, reduce, *, ceil_mode=False):
    """`reduce(pixels [B, n, C])` of each window, padding left out.

    With `ceil_mode` windows hang over the end until all is covered, but none starts in the padding there.
    """
    x = np.asarray(x, np.float64)
    (top, bottom), (left, right) = padding if isinstance(padding, tuple) else ((padding, padding),) * 2

    def windows(size, low, high):
        start, end = -low, size + high
        while start < size if ceil_mode else start + window <= end:
            yield slice(max(start, 0), max(start + window, 0))
            if start + window >= end:
                return
            start += stride

    rows = [
        np.stack([reduce(x[:, i, j].reshape(len(x), -1, x.shape[3])) for j in windows(x.shape[2], left, right)], axis=1)
        for i in windows(x.shape[1], top, bottom)
    ]
    return np.stack(rows, axis=1)


def max_pool(x, window, *, stride, padding=0, ceil_mode=False):
    return pool(x, window, stride, padding, lambda seen: seen.max(axis=1), ceil_mode=ceil_mode)


def average_pool(x, window, *, stride, padding=0, count_padding=True):
    def mean(seen):
        return seen.sum(axis=1) / (window**2 if count_padding else seen.shape[1])

    return pool(x, window, stride, padding, mean)


def adaptive_average_pool(x, bins):
    for axis in (1, 2):
        size, lines = x.shape[axis], []
        for i in range(bins):
            places = range(math.floor(i * size / bins), math.ceil((i + 1) * size / bins))
            lines.append(np.take(x, places, axis).mean(axis))
        x = np.stack(lines, axis)
    return x


def resize_nearest(x, size):
    """The source pixel is `floor(i * in / out)`, where `in / out` is a float32."""
    for axis, target in enumerate(size, start=1):
        step = np.float32(x.shape[axis]) / np.float32(target)
        x = np.take(x, [min(math.floor(np.float32(i) * step), x.shape[axis] - 1) for i in range(target)], axis)
    return x


def resize_bilinear(x, size, *, align_corners=False, scale=None):
    """Between the two pixels around each position; positions are pixel centers, kept inside the image."""
    for axis, target in enumerate(size, start=1):
        source, lines = x.shape[axis], []
        for i in range(target):
            if align_corners:
                position = i * (source - 1) / max(target - 1, 1)
            else:
                position = (i + 0.5) * (source / target if scale is None else 1.0 / scale) - 0.5
            position = min(max(position, 0.0), source - 1.0)
            low = math.floor(position)
            high, share = min(low + 1, source - 1), position - low
            lines.append((1.0 - share) * np.take(x, low, axis) + share * np.take(x, high, axis))
        x = np.stack(lines, axis)
    return x


def upsample_nearest(x, factor):
    return np.repeat(np.repeat(x, factor, axis=1), factor, axis=2)


def upsample_bilinear(x, factor):
    """torch's `interpolate(mode="bilinear", align_corners=False)`: centers at half pixels, clamped at 0 and n - 1."""
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
    """The sum over the four integer neighbors, pixel by pixel, and the validity (specification, section 2.4)."""
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
