"""One step over many devices. The only module that says `pmap`.

The state is replicated without a leading device axis; batches are `[local devices, samples per device, ...]`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sirr_jax.errors import UserError
from sirr_jax.recipes.base import AXIS

Step = Callable[[Any, Any], tuple[Any, Any]]
"""`step(state, batch) -> (state, scalars)`: written for one device, averaging over `AXIS` itself."""


def parallelize(step: Step) -> Step:
    """Compile a step for all local devices (and, through collectives, all processes). The state is donated."""
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, None), donate_argnums=(0,))


def on_each(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Compile `function(held, batch)` for all local devices: `held` is replicated, the batch and the result divided."""
    return jax.pmap(function, axis_name=AXIS, in_axes=(None, 0), out_axes=0)


def trace_checked(step: Step, state: Any, batch: Any) -> None:
    """Trace a step so that JAX proves what `pmap` takes on trust: that every output is the same on all devices.

    Args:
        step: what would be given to `parallelize`.
        state: arrays or shapes.
        batch: with the leading device axis.

    Raises:
        ValueError: if an output was not averaged over the devices.
    """
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))

    def on_one_device(state: Any, batch: Any) -> tuple[Any, Any]:
        return step(state, jax.tree.map(lambda x: x[0], batch))

    checked = jax.shard_map(
        on_one_device, mesh=mesh, in_specs=(PartitionSpec(), PartitionSpec(AXIS)), out_specs=PartitionSpec(),
        check_vma=True,
    )  # fmt: skip
    jax.eval_shape(checked, state, batch)


def average(tree: Any) -> Any:
    """Mean over all devices of all processes, inside a step."""
    return jax.lax.pmean(tree, AXIS)


def varying(tree: Any) -> Any:
    """Mark replicated values as this device's own, inside a step: gradients of them are then local, not sums."""
    return jax.tree.map(lambda x: jax.lax.pcast(x, AXIS, to="varying"), tree)


def device_count() -> int:
    """Devices of all processes."""
    return jax.device_count()


def shard_batch(batch: Any) -> Any:
    """Split the leading axis of a host batch over the local devices: `[n, ...] -> [devices, n / devices, ...]`.

    Raises:
        UserError: if a leading axis is not a multiple of the number of local devices.
    """
    devices = jax.local_device_count()

    def split(x: np.ndarray) -> np.ndarray:
        if x.shape[0] % devices:
            raise UserError(
                f"a batch of {x.shape[0]} samples cannot be divided among {devices} devices; "
                f"choose config.batch_size as a multiple of {devices}"
            )
        return x.reshape(devices, x.shape[0] // devices, *x.shape[1:])

    return jax.tree.map(split, batch)


def on_host() -> contextlib.AbstractContextManager[Any]:
    """What is computed inside is compiled for the host's processor and done there, unless JAX has been denied it.

    For what runs once: a GPU's compiler takes over a minute for the hundreds of small draws that a state begins with.
    """
    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # JAX_PLATFORMS names an accelerator alone
        return contextlib.nullcontext()


def replicate(tree: Any) -> Any:
    """Put a host tree on every local device; every leaf is a fresh buffer."""
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def first_replica(tree: Any) -> Any:
    """The arrays of the first local device, without copying."""
    return jax.tree.map(lambda x: x.addressable_shards[0].data, tree)


def to_host(tree: Any) -> Any:
    """Copy a replicated tree to NumPy, after proving that all local devices hold the same.

    Raises:
        RuntimeError: if two devices differ: some leaf was not averaged, and training must not go on.
    """

    def fetch(path: tuple, x: jax.Array) -> np.ndarray:
        # A copy: on CPUs the array may be a view of a buffer that the next step reuses.
        copies = [np.array(shard.data) for shard in x.addressable_shards]
        for other in copies[1:]:
            if copies[0].tobytes() != other.tobytes():
                raise RuntimeError(f"devices disagree about {jax.tree_util.keystr(path)}; it was not averaged")
        return copies[0]

    return jax.tree_util.tree_map_with_path(fetch, tree)


def start_processes(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: Sequence[int] | None = None,
) -> None:
    """Joins the other processes of a multi-process run (`jax.distributed.initialize`).

    A single process, if neither an argument nor JAX's environment variable `JAX_COORDINATOR_ADDRESS` is given. Must
    precede every other use of devices.

    Args:
        coordinator_address: host:port of process 0; "auto" leaves everything to JAX's detection of Slurm, Open MPI and
            cloud clusters.
        num_processes: number of processes; None to detect it.
        process_id: index of this process; None to detect it.
        local_device_ids: devices that this process uses; None for all that it sees.

    Raises:
        UserError: A number is missing or out of range, or the processes cannot be joined.
    """
    auto = coordinator_address == "auto"
    numbers = (num_processes, process_id, local_device_ids)
    if not coordinator_address and "JAX_COORDINATOR_ADDRESS" not in os.environ:
        if any(number is not None for number in numbers):
            raise UserError("--num_processes, --process_id and --local_device_ids need --coordinator_address=HOST:PORT")
        return
    if num_processes is not None and num_processes < 1:
        raise UserError(f"--num_processes={num_processes}: expected 1 or more")
    if process_id is not None and not 0 <= process_id < (num_processes or process_id + 1):
        raise UserError(f"--process_id={process_id}: expected 0 to {num_processes - 1 if num_processes else 'N - 1'}")
    try:
        jax.distributed.initialize(
            None if auto else coordinator_address or None,
            num_processes,
            process_id,
            None if local_device_ids is None else list(local_device_ids),
        )
    except ValueError as error:
        raise UserError(
            f"cannot join the processes of the run ({' '.join(str(error).split())}); give --coordinator_address, "
            "--num_processes and --process_id"
        ) from error
