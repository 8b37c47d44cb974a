"""Scores of label maps: confusion matrices, and the four numbers of SR-Net's evaluation."""

from __future__ import annotations

import math
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.metrics._images import Image, Score, finish


def confusion(predicted: Image, target: Image, classes: int, *, ignore: int | None = 255) -> Image:
    """Counts the pixels of each true class that were given each class.

    Confusion matrices of parts of a data set may be added up.

    Args:
        predicted: whole numbers of any shape, 0 to `classes` - 1.
        target: the same shape, 0 to `classes` - 1, or `ignore`.
        classes: number of classes.
        ignore: true value of pixels that do not count; None if there is none.

    Returns:
        [classes, classes]: row the true class, column the predicted one. int64 for NumPy arrays; an int32 JAX array
        if either argument is a JAX array or tracer, and then values outside the range, which cannot be told there,
        do not count.

    Raises:
        UserError: shapes differ, an array holds no whole numbers, or a NumPy array holds other values.
    """
    xp = _check(predicted, target, classes, ignore)
    predicted, target = (xp.asarray(labels).reshape(-1) for labels in (predicted, target))
    return _counted(xp, predicted, target, classes, ignore)


def miou(confusion: Image) -> Score:
    """Mean over the classes of intersection over union, of a whole data set.

    Classes that neither occur nor were predicted are left out (SGRRN specification, section 11).

    Args:
        confusion: [C, C] as `confusion` counts.

    Returns:
        A `float` for a NumPy array, a float32 scalar for a JAX array or tracer; not a number where nothing was
        counted.
    """
    xp = jnp if isinstance(confusion, jax.Array) else np
    # Converted before it is summed: a data set has more pixels than 32 bits count.
    counts = confusion.astype(xp.float32 if xp is jnp else xp.float64)
    true, given, right = counts.sum(axis=-1), counts.sum(axis=-2), xp.diagonal(counts)
    union = true + given - right
    occurring = (union > 0).sum()
    total = (right / xp.where(union > 0, union, 1.0)).sum()
    mean = total / xp.maximum(occurring, 1).astype(total.dtype)
    return finish(xp.where(occurring > 0, mean, math.nan))


def per_image(predicted: Image, target: Image, classes: int) -> dict[str, Score]:
    """The four scores of SR-Net's evaluation; those of a set are the mean over its images.

    With n_ij pixels of class i that were given class j, t_i = sum_j n_ij, p_i = sum_j n_ji (SR-Net specification,
    section 7):

    * "pa", pixel accuracy: sum_i n_ii / sum_i t_i.
    * "ma", mean accuracy: mean over the classes in the target of n_ii / t_i.
    * "miou": sum of n_ii / (t_i + p_i - n_ii), divided by the number of classes in the target. Classes that were
      predicted and do not occur take nothing away but the pixels that they cover: this is not `miou` of one image.
    * "fwiou": sum of t_i n_ii / (t_i + p_i - n_ii), divided by the number of pixels.

    No value is ignored: the evaluation knows of no pixels without a class.

    Args:
        predicted: [H, W] or [N, H, W], whole numbers from 0 to `classes` - 1.
        target: the same shape and range.
        classes: number of classes.

    Returns:
        The scores, in [0, 1], one value per image: a `float` for [H, W], [N] for a batch. float64 for NumPy arrays;
        float32 JAX arrays if either argument is a JAX array or tracer, and then pixels outside the range count among
        the pixels and in no class.

    Raises:
        UserError: shapes differ or are not label maps, an array holds no whole numbers, or a NumPy array holds other
            values.
    """
    if predicted.ndim not in (2, 3) or predicted.size == 0:
        raise UserError(f"per_image: labels of shape {predicted.shape}, expected [H, W] or [N, H, W]")
    xp = _check(predicted, target, classes, None)
    height, width = predicted.shape[-2:]
    images = [xp.asarray(labels).reshape(-1, height * width) for labels in (predicted, target)]
    if xp is jnp:
        counts = jax.vmap(lambda p, t: _counted(jnp, p, t, classes, None))(*images).astype(jnp.float32)
    else:
        counts = np.stack([_counted(np, p, t, classes, None) for p, t in zip(*images, strict=True)]).astype(np.float64)
    true, given, right = counts.sum(axis=-1), counts.sum(axis=-2), xp.diagonal(counts, axis1=-2, axis2=-1)
    present = (true > 0).sum(axis=-1).astype(counts.dtype)
    overlap = right / xp.maximum(true + given - right, 1.0)
    scores = {
        "pa": right.sum(axis=-1) / xp.maximum(true.sum(axis=-1), 1.0),
        "ma": (right / xp.maximum(true, 1.0)).sum(axis=-1) / xp.maximum(present, 1.0),
        "miou": overlap.sum(axis=-1) / xp.maximum(present, 1.0),
        "fwiou": (true * overlap).sum(axis=-1) / (height * width),
    }
    return {name: finish(score.reshape(predicted.shape[:-2])) for name, score in scores.items()}


def _check(predicted: Image, target: Image, classes: int, ignore: int | None) -> ModuleType:
    """The namespace to count in, after a look at the arguments."""
    xp = jnp if isinstance(predicted, jax.Array) or isinstance(target, jax.Array) else np
    for role, labels in (("prediction", predicted), ("target", target)):
        if not jnp.issubdtype(labels.dtype, jnp.integer):
            raise UserError(f"the {role} has dtype {labels.dtype}, expected classes as whole numbers: take the argmax")
    if predicted.shape != target.shape:
        raise UserError(
            f"the prediction has shape {predicted.shape} and the target {target.shape}, expected equal shapes: resize "
            "one to the other by nearest neighbors"
        )
    if xp is np:
        for role, labels, other in (("prediction", predicted, None), ("target", target, ignore)):
            strange = labels[(labels < 0) | (labels >= classes)]
            strange = strange if other is None else strange[strange != other]
            if strange.size:
                also = "" if other is None else f", or {other} to ignore"
                raise UserError(f"the {role} holds {strange.flat[0]}, expected classes from 0 to {classes - 1}{also}")
    return xp


def _counted(xp: ModuleType, predicted: Image, target: Image, classes: int, ignore: int | None) -> Image:
    """The confusion matrix of flat arrays."""
    given, true = predicted.astype(xp.int32), target.astype(xp.int32)
    counts = (given >= 0) & (given < classes) & (true >= 0) & (true < classes)
    if ignore is not None:
        counts &= true != ignore
    # What does not count goes into a last bin, which is dropped.
    bins = xp.where(counts, true * classes + given, classes * classes)
    size = classes * classes + 1
    counted = jnp.bincount(bins, length=size) if xp is jnp else np.bincount(bins, minlength=size)
    return counted[:-1].reshape(classes, classes)
