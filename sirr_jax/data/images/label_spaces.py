"""What the values of label images mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelSpace:
    """What the values of label images mean.

    Attributes:
      title: The data set, for messages.
      classes: Number of classes; valid values are 0 to `classes - 1`.
      ignore: A further value, of pixels that have no class; None if there is none.
    """

    title: str
    classes: int
    ignore: int | None = 255


# Label spaces of the sets that the papers on restoration with semantics use (SGRRN; SR-Net, table of data sets).
VOC = LabelSpace("PASCAL VOC", 21)
CITYSCAPES_TRAIN_IDS = LabelSpace("Cityscapes trainIds", 19)
CITYSCAPES_IDS = LabelSpace("Cityscapes labelIds", 34)
ADE20K = LabelSpace("ADE20K, 0 for unlabelled", 151, ignore=None)
# Things and stuff in one numbering, less one, as the label images have it.
COCO_STUFF = LabelSpace("COCO-Stuff", 182)
ANY = LabelSpace("labels of your own", 256, ignore=None)
