"""Metrics of semantic segmentation: confusion matrix, mIoU, and the four scores of SR-Net's evaluation."""

from __future__ import annotations

import math
from types import ModuleType
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.metrics._images import Image, Score, finish


def confusion(predicted: Image, target: Image, classes: int, *, ignore: int | None = 255) -> Image:
    """Counts the pixels of each true class by predicted class.

    Confusion matrices of parts of a data set can be added.

    Args:
        predicted: predicted classes, integers of any shape, 0 to `classes` - 1.
        target: true classes, the same shape, 0 to `classes` - 1, or `ignore`.
        classes: number of classes.
        ignore: value of `target` at pixels that are not counted; None to count all pixels.

    Returns:
        [classes, classes], rows true classes, columns predicted ones. int64 for NumPy arrays; an int32 JAX array if
        either argument is a JAX array or tracer. Values out of range are not counted there, because they cannot be
        reported.

    Raises:
        UserError: The shapes differ, an array is not of integers, or a NumPy array has values out of range.
    """
    xp = _check(predicted, target, classes, ignore)
    predicted, target = (xp.asarray(labels).reshape(-1) for labels in (predicted, target))
    return _count(xp, predicted, target, classes, ignore)


def miou(confusion: Image) -> Score:
    """Computes the mean intersection over union over the classes of a whole data set.

    Classes that neither occur nor are predicted are omitted (SGRRN specification, section 11).

    Args:
        confusion: [C, C] confusion matrix from `confusion`.

    Returns:
        A `float` for a NumPy array, a float32 scalar for a JAX array or tracer; NaN if nothing was counted.
    """
    xp = jnp if isinstance(confusion, jax.Array) else np
    # Converted before the sum: the number of pixels of a data set exceeds 32 bits.
    counts = confusion.astype(xp.float32 if xp is jnp else xp.float64)
    true, predicted, correct = counts.sum(axis=-1), counts.sum(axis=-2), xp.diagonal(counts)
    union = true + predicted - correct
    occurring = (union > 0).sum()
    total = (correct / xp.where(union > 0, union, 1.0)).sum()
    mean = total / xp.maximum(occurring, 1).astype(total.dtype)
    return finish(xp.where(occurring > 0, mean, math.nan))


def per_image(predicted: Image, target: Image, classes: int) -> dict[str, Score]:
    """Computes the four scores of SR-Net's evaluation per image; those of a set are the means over its images.

    With n_ij pixels of class i predicted as class j, t_i = sum_j n_ij, p_i = sum_j n_ji (SR-Net specification,
    section 7):

    * "pa", pixel accuracy: sum_i n_ii / sum_i t_i.
    * "ma", mean accuracy: mean over the classes in the target of n_ii / t_i.
    * "miou": sum of n_ii / (t_i + p_i - n_ii), divided by the number of classes in the target. Classes that are
      predicted and do not occur cost only the pixels that they cover, so this is not `miou` of one image.
    * "fwiou": sum of t_i n_ii / (t_i + p_i - n_ii), divided by the number of pixels.

    No pixels are ignored: the evaluation has no pixels without a class.

    Args:
        predicted: predicted classes, [H, W] or [N, H, W], integers from 0 to `classes` - 1.
        target: true classes, the same shape and range.
        classes: number of classes.

    Returns:
        The scores by name, in [0, 1], one value per image: a `float` for [H, W], [N] for a batch. float64 for NumPy
        arrays; float32 JAX arrays if either argument is a JAX array or tracer. Pixels out of range then belong to no
        class, but are included in the number of pixels.

    Raises:
        UserError: The shapes differ or are not label maps, an array is not of integers, or a NumPy array has values out
            of range.
    """
    if predicted.ndim not in (2, 3) or predicted.size == 0:
        raise UserError(f"per_image: labels of shape {predicted.shape}, expected [H, W] or [N, H, W]")
    xp = _check(predicted, target, classes, None)
    height, width = predicted.shape[-2:]
    images = [xp.asarray(labels).reshape(-1, height * width) for labels in (predicted, target)]
    if xp is jnp:
        counts = jax.vmap(lambda p, t: _count(jnp, p, t, classes, None))(*images).astype(jnp.float32)
    else:
        counts = np.stack([_count(np, p, t, classes, None) for p, t in zip(*images, strict=True)]).astype(np.float64)
    true, columns, correct = counts.sum(axis=-1), counts.sum(axis=-2), xp.diagonal(counts, axis1=-2, axis2=-1)
    present = (true > 0).sum(axis=-1).astype(counts.dtype)
    overlap = correct / xp.maximum(true + columns - correct, 1.0)
    scores = {
        "pa": correct.sum(axis=-1) / xp.maximum(true.sum(axis=-1), 1.0),
        "ma": (correct / xp.maximum(true, 1.0)).sum(axis=-1) / xp.maximum(present, 1.0),
        "miou": overlap.sum(axis=-1) / xp.maximum(present, 1.0),
        "fwiou": (true * overlap).sum(axis=-1) / (height * width),
    }
    return {name: finish(score.reshape(predicted.shape[:-2])) for name, score in scores.items()}


def _check(predicted: Image, target: Image, classes: int, ignore: int | None) -> ModuleType:
    """Checks the arguments and returns their array library."""
    xp = jnp if isinstance(predicted, jax.Array) or isinstance(target, jax.Array) else np
    for role, labels in (("prediction", predicted), ("target", target)):
        if not jnp.issubdtype(labels.dtype, jnp.integer):
            raise UserError(f"the {role} has dtype {labels.dtype}, expected integer classes: take the argmax")
    if predicted.shape != target.shape:
        raise UserError(
            f"the prediction has shape {predicted.shape} and the target {target.shape}, expected equal shapes: resize "
            "one to the other by nearest neighbors"
        )
    if xp is np:
        for role, labels, allowed in (("prediction", predicted, None), ("target", target, ignore)):
            invalid = cast(np.ndarray, labels[(labels < 0) | (labels >= classes)])
            invalid = invalid if allowed is None else invalid[invalid != allowed]
            if invalid.size:
                also = "" if allowed is None else f", or {allowed} to ignore"
                raise UserError(f"the {role} has {invalid.flat[0]}, expected classes from 0 to {classes - 1}{also}")
    return xp


def _count(xp: ModuleType, predicted: Image, target: Image, classes: int, ignore: int | None) -> Image:
    """Computes the confusion matrix of flat arrays."""
    guess, true = predicted.astype(xp.int32), target.astype(xp.int32)
    valid = (guess >= 0) & (guess < classes) & (true >= 0) & (true < classes)
    if ignore is not None:
        valid &= true != ignore
    # Pixels that are not counted go into a last bin, which is dropped.
    bins = xp.where(valid, true * classes + guess, classes * classes)
    size = classes * classes + 1
    counts = jnp.bincount(bins, length=size) if xp is jnp else np.bincount(bins, minlength=size)
    return counts[:-1].reshape(classes, classes)
