"""State dicts as published: their keys and shapes, filled with the synthetic weights of the reference outputs."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent.parent / "golden"


def key_lists():
    """Per network: `[[key, shape], ...]` in the order of the original state dict (Keras: of the saved file)."""
    return json.loads(gzip.decompress((GOLDEN / "keys.json.gz").read_bytes()))


def shapes(name):
    """`{key: shape}` of one network, in order."""
    return {key: tuple(shape) for key, shape in key_lists()[name]}


def golden(family):
    """Reference outputs, as stored in tests/golden."""
    with np.load(GOLDEN / f"{family}.npz", allow_pickle=False) as archive:
        return dict(archive)


def kind(key, shape, keys):
    """What an array is: conv, norm_weight, bias, mean, var or count. Transposed convolutions are told by the caller."""
    if key.endswith("num_batches_tracked"):
        return "count"
    if key.endswith("running_mean"):
        return "mean"
    if key.endswith("running_var"):
        return "var"
    if key.endswith("bias"):
        return "bias"
    return "norm_weight" if len(shape) == 1 else "conv"


def fill_random(state_shapes, seed=0):
    """Well-behaved random values of any state dict; float32, counters int64."""
    rng = np.random.default_rng(seed)
    filled = {}
    for key, shape in state_shapes.items():
        z = rng.standard_normal(shape).astype(np.float32)
        match kind(key, shape, state_shapes):
            case "count":
                filled[key] = np.array(7, np.int64)
            case "var":
                filled[key] = np.float32(1) + np.float32(0.1) * np.abs(z)
            case "norm_weight":
                filled[key] = 1 + np.float32(0.1) * z
            case "bias" | "mean":
                filled[key] = np.float32(0.05) * z
            case _:
                filled[key] = z / np.float32(math.sqrt(max(math.prod(shape[1:]), 1)))
    return filled


def fill_attentive_gan(state_shapes):
    """The rule of the attentive_gan references: seeded by position, He-scaled kernels, small biases."""
    filled = {}
    for position, (key, shape) in enumerate(state_shapes.items()):
        z = np.random.RandomState(1000 + position).standard_normal(shape)
        if len(shape) > 1:
            fan_in = shape[0] * 4 if key.startswith("deconv") else math.prod(shape[1:])
            z = z * math.sqrt(2 / fan_in)
        else:
            z = 0.05 * z
        filled[key] = z.astype(np.float32)
    return filled


def fill_baselines(state_shapes, transposed=()):
    """The rule of the errnet, ibcln, bdn, rmnet and corrn references; `transposed`: keys of transposed convolutions."""
    filled = {}
    for position, (key, shape) in enumerate(state_shapes.items()):
        z = np.random.RandomState(1000 + position).standard_normal(math.prod(shape)).reshape(shape)
        match kind(key, shape, state_shapes):
            case "count":
                filled[key] = np.array(0, np.int64)
                continue
            case "var":
                z = np.exp(0.1 * z)
            case "bias" | "mean":
                z = 0.05 * z
            case "norm_weight":
                z = 1 + 0.1 * z
            case _:
                fan_in = shape[0] * shape[2] * shape[3] / 4 if key in transposed else math.prod(shape[1:])
                z = z * math.sqrt(2 / fan_in)
        filled[key] = z.astype(np.float32)
    return filled


def fill_sgrrn(state_shapes):
    """The rule of the sgrrn references: seeded by the key's CRC."""
    filled = {}
    for key, shape in state_shapes.items():
        z = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
        match kind(key, shape, state_shapes):
            case "count":
                filled[key] = np.array(0, np.int64)
                continue
            case "var":
                z = 1 + 0.1 * np.abs(z)
            case "mean":
                z = 0.1 * z
            case "norm_weight":
                z = (0.2 if key.endswith("bn3.weight") else 1.0) + 0.1 * z
            case "bias":
                z = 0.05 * z
            case _:
                z = z / math.sqrt(math.prod(shape[1:]))
        filled[key] = z.astype(np.float32)
    return filled


def fill_edge_gan(saved_shapes, gain):
    """The rule of the edge_gan references: `[(name/part, shape)]` in the saved order; `gain` 0.5 edge net, else 2."""
    filled = {}
    for position, (key, shape) in enumerate(saved_shapes.items()):
        z = np.random.RandomState(2000 + position).standard_normal(shape)
        part = key.rsplit("/", 1)[1]
        if part == "kernel":
            fan_in = shape[3] * 4 if "deconv" in key else math.prod(shape[:-1])
            z = z * math.sqrt(gain / fan_in)
        elif part == "gamma":
            z = 1 + 0.1 * z
        elif part == "moving_variance":
            z = 1 + 0.1 * np.abs(z)
        else:
            z = 0.05 * z
        filled[key] = z.astype(np.float32)
    return filled
