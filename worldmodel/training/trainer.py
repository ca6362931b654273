"""The training loop: optimisation, averaged weights, saved states, logs. It knows nothing of what it trains.

Accelerate does what has to do with devices, number formats and many machines: the same command under its launcher
trains data-parallel or sharded.
"""

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType, PartialState
from accelerate.utils import parse_flag_from_env
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from worldmodel.data.files import PARTIAL_SUFFIX, remove_partial_files
from worldmodel.training.logs import MetricLog
from worldmodel.training.optimizer import OptimizerKind, make_optimizers, rate_factor
from worldmodel.training.settings import TrainerConfig
from worldmodel.training.stages import Batch, Stage, to_device

_STATE = "state-"


Report = Callable[["Trainer", dict[str, Tensor]], dict[str, float]]
"""Is given a trainer and the averaged weights by name; returns figures for the log."""


def machines() -> PartialState:
    """Returns which of how many machines this one is, as its launcher says; on processors, too."""
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


@dataclass(slots=True)
class Clock:
    """Where a run is: what a saved state adds to weights and optimisers.

    Attributes:
        step: Steps done.
        seconds: Seconds of training, over all its parts.
        average: Running average of the weights.
    """

    step: int
    seconds: float
    average: list[Tensor]

    def state_dict(self) -> dict[str, Any]:
        """Returns plain values and whole tensors."""
        return {"step": self.step, "seconds": self.seconds, "average": list(map(_whole, self.average))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        self.step, self.seconds = state["step"], state["seconds"]
        for own, saved in zip(self.average, state["average"], strict=True):
            if isinstance(own, DTensor):
                saved = distribute_tensor(saved.to(own.device), own.device_mesh, own.placements)
            own.copy_(saved)


class Trainer:
    """Trains one stage in a folder, from its last saved state on."""

    def __init__(self, stage: Stage, config: TrainerConfig, learning_rate: float, folder: Path) -> None:
        """Prepares everything, and goes back to the last saved state if there is one.

        Args:
            stage: What is trained.
            config: How.
            learning_rate: Peak rate of the optimisers.
            folder: For states and logs.
        """
        self.stage, self.config, self.folder = stage, config, folder
        self.learning_rate = learning_rate
        self.accelerator = accelerator = Accelerator(mixed_precision="bf16" if config.bf16 else "no")
        if accelerator.distributed_type is DistributedType.FSDP and config.optimizer.kind is OptimizerKind.muon:
            raise ValueError("optimizer.kind: expected adamw for sharded training, got muon: it needs whole matrices")
        folder.mkdir(parents=True, exist_ok=True)
        if accelerator.is_main_process:
            remove_partial_files(folder)
        optimizers = make_optimizers(stage.module, config.optimizer, learning_rate)
        prepared = accelerator.prepare(stage.module, *optimizers)
        self.module, self.optimizers = prepared[0], list(prepared[1:])
        if config.compile:
            self.module.compile(dynamic=False)
        named = list(accelerator.unwrap_model(self.module).named_parameters())
        self._names, self._parameters = [name for name, _ in named], [parameter for _, parameter in named]
        # Each machine averages just what it holds.
        self.clock = Clock(0, 0.0, [parameter.detach().clone() for parameter in self._parameters])
        accelerator.register_for_checkpointing(self.clock)
        self._load()
        self.log = MetricLog(folder, first_step=self.clock.step, active=accelerator.is_main_process)

    @property
    def progress(self) -> float:
        """Share of the run that is over, 0 to 1; 1 means it is done."""
        shares = [0.0]
        if self.config.max_steps is not None:
            shares.append(self.clock.step / self.config.max_steps)
        if self.config.max_minutes is not None:
            shares.append(self.clock.seconds / 60 / self.config.max_minutes)
        return min(1.0, max(shares))

    def run(
        self,
        *,
        on_step: Callable[["Trainer", dict[str, float]], None] = lambda trainer, figures: None,
        on_report: Report | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Trains until the end, or until asked to stop, and saves.

        Args:
            on_step: Called after every logged step with its figures.
            on_report: Called every `report_every` steps and at the end with the averaged weights; what it returns is
                logged.
            should_stop: Asked after every step.

        Returns:
            Whether the end was reached.
        """
        batches = _Prefetcher(
            self.stage, self.clock.step, self.accelerator.process_index, self.accelerator.num_processes
        )
        sums: dict[str, float] = {}
        tokens, waited, begun, count = 0, 0.0, time.perf_counter(), 0
        saved, last = time.perf_counter(), time.perf_counter()
        try:
            while not self._agreed(self.progress >= 1):
                batch, wait = batches.next()
                parts = self.take_step(batch)
                now = time.perf_counter()
                self.clock.seconds += now - last
                last = now
                self.clock.step += 1
                tokens, waited, count = tokens + batch.tokens, waited + wait, count + 1
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + value
                if self.clock.step % self.config.log_every == 0:
                    spent = now - begun
                    figures = {name: value / count for name, value in sums.items()}
                    figures |= {"tokens_per_second": tokens / spent, "waiting": waited / spent}
                    self.log.write(self.clock.step, self.clock.seconds, figures)
                    on_step(self, figures)
                    sums, tokens, waited, begun, count = {}, 0, 0.0, now, 0
                if on_report is not None and self.clock.step % self.config.report_every == 0:
                    self._report(on_report)
                    # Neither a report nor a save counts as training.
                    begun += time.perf_counter() - last
                    last = time.perf_counter()
                if self._agreed(should_stop()):
                    break
                if self._agreed(time.perf_counter() - saved > 60 * self.config.save_minutes):
                    self.save()
                    begun += time.perf_counter() - last
                    saved = last = time.perf_counter()
        finally:
            batches.close()
        done = self._agreed(self.progress >= 1)
        if done and on_report is not None and self.clock.step % self.config.report_every:
            self._report(on_report)  # before the state is saved: a state at the end means that all is done
        self.save()
        self.log.close()
        return done

    def save(self) -> None:
        """Saves the state under a name of its own, then removes older ones."""
        target = self.folder / f"{_STATE}{self.clock.step:09d}"
        partial = target.with_name(target.name + PARTIAL_SUFFIX)
        if not target.exists():
            self.accelerator.save_state(str(partial))
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                os.replace(partial, target)
        if self.accelerator.is_main_process:
            for other in self.folder.glob(f"{_STATE}*"):
                if other != target:
                    shutil.rmtree(other)
        self.accelerator.wait_for_everyone()

    def average(self) -> dict[str, Tensor]:
        """Returns the averaged weights by name, whole on every machine; all must ask at once."""
        return dict(zip(self._names, map(_whole, self.clock.average), strict=True))

    def take_step(self, batch: Batch) -> dict[str, float]:
        """Trains on one batch: gradient, clipping, optimisers, running average. Returns the figures of the step."""
        factor = rate_factor(self.config.optimizer, self.clock.step, self.progress)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * factor
        loss, parts = self.module(*to_device(batch.inputs, self.accelerator.device))
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self._parameters, self.config.optimizer.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._average()
        figures = {"loss": loss.detach(), "gradient_norm": norm, **parts}
        return {name: float(value) for name, value in figures.items()} | {"learning_rate_factor": factor}

    @torch.no_grad()
    def _average(self) -> None:
        step = self.clock.step
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.clock.average, [p.detach() for p in self._parameters], 1 - decay)

    def _report(self, on_report: Report) -> None:
        average = self.average()
        if self.accelerator.is_main_process:
            self.log.write(self.clock.step, self.clock.seconds, on_report(self, average))
        self.accelerator.wait_for_everyone()

    def _load(self) -> None:
        states = sorted(path for path in self.folder.glob(f"{_STATE}*") if not path.name.endswith(PARTIAL_SUFFIX))
        if states:
            self.accelerator.load_state(str(states[-1]))

    def _agreed(self, wish: bool) -> bool:
        """Returns whether any machine wishes so: clocks differ, and all must do the same."""
        if self.accelerator.num_processes == 1:
            return wish
        flag = torch.tensor([float(wish)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, reduction="sum").item() > 0)


def _whole(tensor: Tensor) -> Tensor:
    """Returns a tensor whole, wherever its parts are."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


class _Prefetcher:
    """Makes the batches of the next steps on a thread while one is trained on."""

    def __init__(self, stage: Stage, step: int, rank: int, world_size: int, depth: int = 3) -> None:
        self._queue: queue.Queue[Batch | BaseException] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(stage, step, rank, world_size), daemon=True)
        self._thread.start()

    def _work(self, stage: Stage, step: int, rank: int, world_size: int) -> None:
        for item in _batches(stage, step, rank, world_size):
            while not self._closed.is_set():
                try:
                    self._queue.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if self._closed.is_set() or isinstance(item, BaseException):
                return

    def next(self) -> tuple[Batch, float]:
        """Returns the next batch, and the seconds it was waited for."""
        begun = time.perf_counter()
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item, time.perf_counter() - begun

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


def _batches(stage: Stage, step: int, rank: int, world_size: int) -> Iterator[Batch | BaseException]:
    while True:
        try:
            yield stage.batch(step, rank, world_size)
        except Exception as error:  # goes to the training thread, which raises it
            yield error
            return
        step += 1
