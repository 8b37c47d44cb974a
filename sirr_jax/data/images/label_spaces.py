"""The meaning of the values in label images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelSpace:
    """The meaning of the values in label images.

    Attributes:
        title: name of the data set, for messages.
        classes: number of classes; valid values are 0 to `classes - 1`.
        ignore: additional value, for pixels without a class; None if there is none.
    """

    title: str
    classes: int
    ignore: int | None = 255


# Label spaces of the data sets used by the papers on restoration with semantics (SGRRN; SR-Net, table of data sets).
VOC = LabelSpace("PASCAL VOC", 21)
CITYSCAPES_TRAIN_IDS = LabelSpace("Cityscapes trainIds", 19)
CITYSCAPES_IDS = LabelSpace("Cityscapes labelIds", 34)
ADE20K = LabelSpace("ADE20K, 0 for unlabelled", 151, ignore=None)
# Things and stuff in one numbering, minus one, as in the published label images.
COCO_STUFF = LabelSpace("COCO-Stuff", 182)
# The parts of a face in the order of `sirr_jax.data.images.label_maps.FACE_PARTS`, after the background.
FACES = LabelSpace("CelebAMask-HQ", 19, ignore=None)
# TFDS sets store label spaces and compare them with these constants: do not change the titles.
ANY = LabelSpace("labels of your own", 256, ignore=None)
