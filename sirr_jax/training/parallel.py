"""Data parallelism over devices and processes. The only module that uses `pmap`.

The state is replicated and has no leading device axis; batches are `[local devices, samples per device, ...]`.
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
"""`step(state, batch) -> (state, scalars)`: a function for one device, which averages over `AXIS` itself."""


def parallelize(step: Step) -> Step:
    """Compiles a step for all local devices (and, through collectives, all processes). The state is donated.

    Args:
        step: step of one device.
    """
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, None), donate_argnums=(0,))


def on_each(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Compiles a function for all local devices.

    Args:
        function: `function(replicated, batch) -> result`. The first argument is the same on all devices; batch and
            result have a leading device axis outside the function.
    """
    return jax.pmap(function, axis_name=AXIS, in_axes=(None, 0), out_axes=0)


def trace_checked(step: Step, state: Any, batch: Any) -> None:
    """Traces a step with `shard_map(check_vma=True)`, which proves that every output is the same on all devices.

    `pmap` does not check this.

    Args:
        step: step of one device, as for `parallelize`.
        state: state, as arrays or shapes.
        batch: batch with the leading device axis, as arrays or shapes.

    Raises:
        ValueError: An output was not averaged over the devices.
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
    """Averages over all devices of all processes, inside a step.

    Args:
        tree: tree of arrays.
    """
    return jax.lax.pmean(tree, AXIS)


def varying(tree: Any) -> Any:
    """Marks replicated values as varying over devices, inside a step, so that their gradients are local, not sums.

    Args:
        tree: tree of arrays.
    """
    return jax.tree.map(lambda x: jax.lax.pcast(x, AXIS, to="varying"), tree)


def device_count() -> int:
    """Returns the number of devices of all processes."""
    return jax.device_count()


def shard_batch(batch: Any) -> Any:
    """Splits the leading axis of a host batch over the local devices: `[n, ...] -> [devices, n / devices, ...]`.

    Args:
        batch: tree of arrays.

    Raises:
        UserError: The length of a leading axis is not a multiple of the number of local devices.
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
    """Returns a context in which JAX computes on the host's CPU, if it may use it.

    Useful for computations that run once: to compile the hundreds of small random draws of an initial state for a GPU
    takes more than a minute.
    """
    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # JAX_PLATFORMS names an accelerator only
        return contextlib.nullcontext()


def replicate(tree: Any) -> Any:
    """Copies a host tree to every local device; every leaf gets a new buffer.

    Args:
        tree: tree of arrays.
    """
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def first_replica(tree: Any) -> Any:
    """Returns the arrays of the first local device, without a copy.

    Args:
        tree: replicated tree.
    """
    return jax.tree.map(lambda x: x.addressable_shards[0].data, tree)


def to_host(tree: Any) -> Any:
    """Copies the first replica of a tree to NumPy.

    Args:
        tree: replicated tree.
    """
    # A copy: on CPUs the array may be a view of a buffer that the next step reuses.
    return jax.tree.map(lambda x: np.array(x.addressable_shards[0].data), tree)


def check_replicas(tree: Any) -> None:
    """Checks that all local devices have the same values.

    Args:
        tree: replicated tree.

    Raises:
        RuntimeError: Two devices differ: a leaf was not averaged over devices, and training must not go on.
    """
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        first, *others = x.addressable_shards
        if not others:
            continue
        values = np.asarray(first.data).tobytes()
        if any(np.asarray(other.data).tobytes() != values for other in others):
            raise RuntimeError(f"devices disagree about {jax.tree_util.keystr(path)}; it was not averaged")


def start_processes(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: Sequence[int] | None = None,
) -> None:
    """Joins the other processes of a multi-process run (`jax.distributed.initialize`).

    Does nothing if neither an argument nor JAX's environment variable `JAX_COORDINATOR_ADDRESS` is set. Must
    precede every other use of devices.

    Args:
        coordinator_address: host:port of process 0; "auto" leaves everything to JAX's detection of Slurm, Open MPI and
            cloud clusters.
        num_processes: number of processes; None to detect it.
        process_id: index of this process; None to detect it.
        local_device_ids: indices of the devices of this process; None for all.

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
