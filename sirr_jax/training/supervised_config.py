"""Config keys of the recipe that trains any network which restores single images; configs add the stages.

The comment after a key is its description in the reference (`scripts/generate_docs.py`).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from sirr_jax.training.base_config import training_config


def supervised_config(network: str) -> ConfigDict:
    """Makes a config of the recipe `supervised`, with the loss L1 and without stages.

    Args:
        network: id of the network that restores.
    """
    config = training_config("supervised")
    config.network = network  # id of the network to train, see `sirr models`
    config.model_args = ConfigDict()  # further arguments of the network
    config.companions = ConfigDict()  # role -> weight file of a frozen network that the system needs besides
    config.init_from = ""  # model file with initial weights of the networks; empty for none
    config.torch_initial = False  # whether the kernels start from PyTorch's initial values

    config.losses = ConfigDict({"l1": 1.0})  # weight of each loss of the restored image, see `sirr_jax.losses`
    config.reflection_losses = ConfigDict()  # the same for the reflection layer of synthetic mixtures
    config.perceptual_loss = 0.0  # weight of the perceptual loss
    config.unaligned_loss = 1.0  # weight of the perceptual loss of pairs that are not aligned, their only pixel loss

    config.discriminator = ConfigDict()
    config.discriminator.network = ""  # id of a discriminator of single images; empty for no GAN
    config.discriminator.loss = "relativistic"  # GAN loss: relativistic, cross_entropy or least_squares
    config.discriminator.weight = 0.01  # weight of the adversarial loss

    config.data.synthesis = ConfigDict()
    config.data.synthesis.name = "ceilnet"  # name of the synthesis, see `sirr synthesize list`
    config.data.synthesis.options = ConfigDict()  # options of the synthesis, see `sirr synthesize list`
    config.data.turn = True  # whether to apply a random symmetry of the square
    config.data.flip = False  # whether to mirror half of the samples instead
    config.data.short_side = (0, 0)  # range of photographs' short side before cropping; (0, 0) for a random scale
    config.data.unaligned = ""  # real pairs whose layers do not lie pixel on pixel

    config.stages = ConfigDict()  # the stages by name, see `stage`
    config.stage_order = ()  # names of the stages to run, in order
    return config


def stage(
    steps: int, *, rate: float = 1.0, pairs: float = 0.0, unaligned: float = 0.0, adversarial: bool = False
) -> ConfigDict:
    """Makes the config of a stage.

    Args:
        steps: number of steps.
        rate: factor on the restoring network's learning rate.
        pairs: fraction of real pairs in a batch.
        unaligned: fraction of pairs that are not aligned.
        adversarial: whether the discriminator takes part.
    """
    config = ConfigDict()
    config.steps = steps  # number of steps
    config.rate = rate  # factor on the network's learning rate; the discriminator keeps its own
    config.pairs = pairs  # fraction of real pairs in a batch
    config.unaligned = unaligned  # fraction of pairs that are not aligned
    config.adversarial = adversarial  # whether the discriminator takes part
    return config
