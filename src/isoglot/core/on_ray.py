"""Run tasks on the machines of a Ray cluster: a worker that dies or hangs is replaced, and its tasks are retried."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.progress import progress_line
from isoglot.core.ray_cluster import brief, ray_package, ray_runtime

Task = TypeVar("Task")
Result = TypeVar("Result")
_AHEAD = 2  # tasks per worker: one running, the next one in transit
_TICK = 1.0  # seconds between checks for timeouts
_LONG = 60.0  # seconds without a worker after which a message is shown


@dataclass(frozen=True)
class OnRay:
    """Runs tasks in Ray actors, each of which calls the opener once.

    Results and tasks pass through this process: the machines share no folder. A task is retried if its worker or the
    worker's machine dies, or if it takes too long; an exception in a task ends the whole run.

    Attributes:
        address: of the cluster's head, HOST:PORT, `auto` for the one that runs on this machine, or `ray://HOST:PORT`;
            when None, the cluster that RAY_ADDRESS names, or a runtime started on this machine.
        workers: number of actors; those that do not fit yet join when there is room.
        cpus: processor cores of each.
        gpus: of each; a fraction lets several share one.
        timeout: seconds for one task, and for a first worker to start.
        attempts: for a task whose worker dies or hangs.
    """

    address: str | None = None
    workers: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    timeout: float = 1800.0
    attempts: int = 3

    def __post_init__(self) -> None:
        if self.workers < 1 or self.attempts < 1:
            raise InputError(f"workers {self.workers}, attempts {self.attempts}: expected at least 1 of each")
        if self.cpus < 0 or self.gpus < 0 or self.timeout <= 0:
            raise InputError(
                f"cpus {self.cpus:g}, gpus {self.gpus:g}, timeout {self.timeout:g}: expected 0 or more, timeout above 0"
            )

    @property
    def threads(self) -> int:
        """Number of threads per worker, for matrix products: one per core."""
        return max(1, int(self.cpus))

    def run(
        self, opener: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """Run tasks; results are yielded as they complete. Nothing is started before there is a task.

        Args:
            opener: returns the function that a worker applies to tasks; pickled, as tasks and results are.
            tasks: iterated as workers become free, two per worker ahead.

        Raises:
            InputError: no such cluster, or raised by an opener or a task.
            IsoglotError: workers repeatedly die or hang with the same task, or none could be started.
            MissingPackageError: ray is not installed.
        """
        waiting = iter(tasks)
        first = next(waiting, None)
        if first is None:
            return
        ray = ray_package()
        with ray_runtime(ray, self.address, cores=math.ceil(self.workers * self.cpus)) as own:
            crew: _Crew[Task, Result] = _Crew(ray, self, opener, own)
            try:
                yield from crew.run(chain([first], waiting))
            finally:
                crew.dismiss()


@dataclass
class _Flight(Generic[Task]):
    """A submitted task, and the number of workers already lost with it."""

    task: Task
    losses: int = 0


@dataclass
class _Member(Generic[Task]):
    """A worker: its actor, the reference that resolves once it is open, when its current work began, its tasks."""

    actor: Any
    opening: Any
    since: float
    ready: bool = False
    tasks: dict[Any, _Flight[Task]] = field(default_factory=dict)


class _Crew(Generic[Task, Result]):
    """The actors of one run."""

    def __init__(self, ray: Any, how: OnRay, opener: Callable[[], Callable[[Task], Result]], own: bool) -> None:
        self._ray, self._how = ray, how
        try:
            # Pickled here, so that a worker that cannot unpickle it can say why.
            self._opener = ray.put(ray.cloudpickle.dumps(opener))
        except TypeError as error:
            raise InputError(
                f"ray: the model cannot be sent to other processes ({brief(error)}); give its name"
            ) from error
        self._lost: deque[_Flight[Task]] = deque()
        self._stillborn = 0  # workers that died before they were open, since the last successful one
        self._alone_since = time.monotonic()  # when there last was a ready worker
        self._told = False
        if own:
            self._refuse_too_much()
        self._members = [self._hire() for _ in range(how.workers)]

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Result]]:
        """Distribute tasks and yield results."""
        while True:
            more = self._hand_out(tasks)
            flying = {ref: member for member in self._members for ref in member.tasks}
            opening = {member.opening: member for member in self._members if not member.ready}
            if not flying and not self._lost and not more:
                return
            refs = [*flying, *opening]
            self._ray.wait(refs, num_returns=1, timeout=_TICK, fetch_local=False)
            done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)
            for ref in done:
                if ref in opening:
                    self._opened(opening[ref])
                elif ref in flying[ref].tasks:  # else its worker has been replaced in the meantime
                    yield from self._finished(flying[ref], ref)
            self._look_at_clock(set(done))

    def _hand_out(self, tasks: Iterator[Task]) -> bool:
        """Give every worker its next tasks, lost ones first; return False once `tasks` is exhausted."""
        for member in self._members:
            while member.ready and len(member.tasks) < _AHEAD:
                flight = self._lost.popleft() if self._lost else next(map(_Flight, tasks), None)
                if flight is None:
                    return False
                if not member.tasks:
                    member.since = time.monotonic()
                member.tasks[member.actor.do.remote(flight.task)] = flight
        return True

    def _finished(self, member: _Member[Task], ref: Any) -> Iterator[tuple[Task, Result]]:
        """Yield a task with its result; if the worker died meanwhile, replace it."""
        try:
            result = self._ray.get(ref, timeout=self._how.timeout)
        except self._ray.exceptions.RayTaskError as error:
            raise _told(error) from error
        except self._ray.exceptions.RayError as error:
            self._replace(member, f"died ({brief(error)})")
            return
        flight = member.tasks.pop(ref)
        member.since = time.monotonic()
        yield flight.task, result

    def dismiss(self) -> None:
        """Kill all workers."""
        for member in self._members:
            self._ray.kill(member.actor)

    def _hire(self) -> _Member[Task]:
        how = self._how
        # Replaced by us, not restarted by Ray, so that a task that kills its worker is not retried forever.
        actor = self._ray.remote(Worker).options(
            num_cpus=how.cpus, num_gpus=how.gpus, max_restarts=0, max_task_retries=0
        )
        worker = actor.remote(self._opener)
        return _Member(worker, worker.begin.remote(), time.monotonic())

    def _opened(self, member: _Member[Task]) -> None:
        try:
            self._ray.get(member.opening, timeout=self._how.timeout)
        except self._ray.exceptions.RayTaskError as error:
            raise _told(error) from error
        except self._ray.exceptions.RayError as error:
            self._stillborn += 1
            if self._stillborn >= self._how.attempts:
                raise IsoglotError(
                    f"ray: {self._stillborn} workers died before they could start ({brief(error)}); do their machines "
                    "have enough memory for the model, and the same version of isoglot?"
                ) from error
            self._replace(member, f"died before it could start ({brief(error)})")
            return
        member.ready, member.since, self._stillborn = True, time.monotonic(), 0

    def _replace(self, member: _Member[Task], why: str) -> None:
        """Start another worker for one that is gone; the task that it was running counts one more loss."""
        flights = list(member.tasks.values())
        member.tasks = {}  # results that still arrive for these are ignored
        if flights:
            flights[0].losses += 1
        again = f"; {len(flights)} of its tasks are repeated" if flights else ""
        progress_line(f"ray: a worker {why}{again}")
        if flights and flights[0].losses >= self._how.attempts:
            raise IsoglotError(
                f"ray: {flights[0].losses} workers failed on the same task; the last one {why}. "
                "Give workers more memory or time; finished work is kept, continue with `resume`"
            )
        self._lost.extend(flights)
        self._members[self._members.index(member)] = self._hire()

    def _look_at_clock(self, done: set[Any]) -> None:
        now, limit = time.monotonic(), self._how.timeout
        for member in list(self._members):
            if member.tasks and now - member.since > limit and not done & set(member.tasks):
                self._ray.kill(member.actor)
                self._replace(member, f"took more than {limit:g} seconds for a task")
        if any(member.ready for member in self._members):
            self._alone_since, self._told = now, False
            return
        waited = now - self._alone_since
        why = f"{self._wanted()}, the cluster has {_resources(self._ray)}, not all of them free"
        if waited > limit:
            raise IsoglotError(f"ray: no worker could start within {limit:g} seconds; {why}")
        if waited > _LONG and not self._told:
            self._told = True
            progress_line(f"ray: no worker has started yet; {why}")

    def _refuse_too_much(self) -> None:
        """Reject workers too large for a runtime on this machine: it does not grow, so they would wait forever."""
        there = self._ray.cluster_resources()
        if self._how.gpus > there.get("GPU", 0) or self._how.cpus > there.get("CPU", 0):
            raise InputError(f"ray: {self._wanted()}, but this machine has {_resources(self._ray)}")

    def _wanted(self) -> str:
        return f"each worker needs {self._how.cpus:g} CPUs and {self._how.gpus:g} GPUs"


class Worker:
    """The class of the actors: opens once, then runs one task after the other."""

    def __init__(self, opener: bytes) -> None:
        self._opener = opener
        self._work: Callable[[Any], Any] | None = None

    def begin(self) -> None:
        """Open before the first task."""
        self.open()

    def open(self) -> Callable[[Any], Any]:
        """Call the opener; not in the constructor, whose exceptions Ray passes on as text only."""
        from ray import cloudpickle

        self._work = cloudpickle.loads(self._opener)()
        return self._work

    def do(self, task: Any) -> Any:
        """Return the result of a task."""
        work = self._work or self.open()
        return work(task)


def _told(error: Any) -> IsoglotError:
    """Return the exception that a worker raised, as if it had been raised here."""
    cause = error.cause
    if isinstance(cause, IsoglotError):
        return cause
    return IsoglotError(f"ray: a worker failed ({type(cause).__name__}: {brief(cause)})")


def _resources(ray: Any) -> str:
    there = ray.cluster_resources()
    return f"{there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
