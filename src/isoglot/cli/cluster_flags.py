"""Flags shared by several verbs for encoding on a cluster instead of in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.core.on_ray import OnRay

_AT_LEAST_ONE = Parameter(validator=Number(gte=1))
_NOT_NEGATIVE = Parameter(validator=Number(gte=0))


@dataclass(frozen=True)
class Elsewhere:
    """Where texts are encoded.

    Attributes:
        on: Encode on a Ray cluster: ray starts one on this machine (or uses the cluster that RAY_ADDRESS names),
            ray=HOST:PORT connects to one.
        workers: Number of workers that encode at the same time (with --on).
        cpus_per_worker: CPU cores for each worker (with --on).
        gpus_per_worker: GPUs for each worker; a fraction is allowed (with --on).
        shard_timeout: Seconds after which a shard is given to another worker (with --on).
        price_per_hour: Price of one worker for one hour, to print the cost while it runs.
    """

    on: str | None = None
    workers: Annotated[int | None, _AT_LEAST_ONE] = None
    cpus_per_worker: Annotated[float | None, _NOT_NEGATIVE] = None
    gpus_per_worker: Annotated[float | None, _NOT_NEGATIVE] = None
    shard_timeout: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    price_per_hour: Annotated[float, _NOT_NEGATIVE] = 0.0

    def executor(self, devices: str | None = None) -> OnRay | None:
        """Return the executor that does the work, or None to work in this process.

        Args:
            devices: the value of `--devices`, which applies to this machine only.

        Raises:
            InputError: flags do not go together, or `--on` is invalid.
        """
        from isoglot.core.on_ray import OnRay

        given: dict[str, Any] = {
            "workers": self.workers,
            "cpus": self.cpus_per_worker,
            "gpus": self.gpus_per_worker,
            "timeout": self.shard_timeout,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        if self.on is None:
            if chosen:
                flags = "--workers, --cpus-per-worker, --gpus-per-worker and --shard-timeout"
                raise InputError(f"{flags}: for workers on other machines; give --on ray with them")
            return None
        kind, given_address, address = self.on.partition("=")
        if kind != "ray" or (given_address and not address):
            raise InputError(f"--on {self.on}: expected ray, or ray=HOST:PORT")
        if devices:
            raise InputError(
                "--devices: only for this machine; with --on, give what each worker has (--gpus-per-worker)"
            )
        return OnRay(address or None, **chosen)
