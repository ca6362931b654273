"""The agents of `worldmodel evaluate agent=...` in their environments, what they do, and the report of it."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import Interruption, make_env, make_player, one_line
from worldmodel.cli.settings import EnvConfig, PlayerConfig
from worldmodel.data.episodes import plain
from worldmodel.data.files import read_json, remove_partial_files, write_json

if TYPE_CHECKING:
    from worldmodel.evaluation.contest import Entrant, Result
    from worldmodel.evaluation.dreamers import ModelDreamer
    from worldmodel.evaluation.report import Finding

SETTING = "agent"
"""The setting that asks for this kind of evaluation."""
_SETTINGS = "settings.json"
_MAY_CHANGE = ("agent", "output", "episodes", "plans", "batch")
"""Settings that an evaluation may go on with other values of; agents may join."""


@dataclass(kw_only=True, slots=True)
class AgentConfig:
    """An agent.

    Attributes:
        name: Of the player, as `worldmodel.agents.make_player` knows it.
        kwargs: Its keyword arguments.
        env: Keyword arguments of the environment for this agent alone, such as `actions`.
        note: What is to be said of it in the report.
    """

    name: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    env: dict[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(kw_only=True, slots=True)
class EvaluateAgentsConfig:
    """Settings of `worldmodel evaluate agent=...`; configs/evaluate_agents.yaml explains them."""

    env: EnvConfig
    agent: Any
    output: str | None
    episodes: int
    episode_steps: int
    checkpoint: str | None
    num_steps: int
    horizons: list[int]
    plans: int
    plans_after: str
    plans_after_kwargs: dict[str, Any]
    plans_after_steps: int
    seed: int
    batch: int


class Contest:
    """All agents in their environments, from when it is entered until it is left, and a progress bar.

    Attributes:
        interruption: Asked after each step whether to stop; `None` for never.
    """

    def __init__(self, config: EvaluateAgentsConfig, agents: dict[str, AgentConfig], folder: Path) -> None:
        """Takes settings, and the folder for the report."""
        self._config, self._agents, self._folder = config, agents, folder
        self.interruption: Interruption | None = None
        self._bar: tqdm | None = None
        self._entrants: list[Entrant] = []
        self._dreamer: ModelDreamer | None = None

    def __enter__(self) -> "Contest":
        """Makes environments and players.

        Raises:
            UsageError: If an agent cannot play in the environment, or a checkpoint does not suit.
        """
        from worldmodel.agents.player import ticks_per_step
        from worldmodel.evaluation.dreamers import ModelDreamer

        try:
            for name, agent in self._agents.items():
                self._entrants.append(self._entrant(name, agent))
            lengths = {entrant.name: ticks_per_step(entrant.env) for entrant in self._entrants}
            if len(set(lengths.values())) > 1:
                raise UsageError(f"frame_skip: expected the same for all agents, got {lengths}")
            if self._config.checkpoint is not None:
                self._dreamer = ModelDreamer(self._config.checkpoint, num_steps=self._config.num_steps)
                self._check_dreamer(self._dreamer)
        except (FileNotFoundError, ValueError, TypeError) as error:
            self.__exit__()
            raise UsageError(one_line(error)) from error
        except UsageError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the environments."""
        for entrant in self._entrants:
            entrant.env.close()

    def run(self) -> list["Finding"]:
        """Plays what is not yet played, and writes the report.

        Raises:
            Interrupted: If somebody asked to stop.
            ValueError: If the folder holds another evaluation, or the environment has nothing to do or does not suit.
        """
        from worldmodel.evaluation.contest import contest_seeds
        from worldmodel.evaluation.contest_report import dreams_section, returns_section
        from worldmodel.evaluation.report import Finding, write_report

        begun = time.monotonic()
        seeds, refused = contest_seeds(self._entrants[0].env, self._config.episodes)
        self._folder.mkdir(parents=True, exist_ok=True)
        stamps = self._check_same_run()
        remove_partial_files(self._folder)
        results = {entrant.name: self._play(entrant, seeds) for entrant in self._entrants}
        section = returns_section(self._entrants, results, self._folder)
        if refused:
            section.text += f" {len(refused)} worlds were refused: their episode is over after one idle step."
        findings = [Finding("returns", section, minutes=(time.monotonic() - begun) / 60)]
        begun = time.monotonic()
        findings.append(self._plans())
        findings[-1].minutes = (time.monotonic() - begun) / 60
        if self._config.checkpoint is not None:
            foretold = dreams_section(self._config.checkpoint, results, self._config.horizons, self._folder)
            findings.append(Finding("dreams", foretold, highlights=self._dream_highlights()))
        else:
            findings.append(
                Finding("dreams", remark="no checkpoint was given, whose model could have foretold anything")
            )
        findings[0].highlights = {f"return of {name}": f"{name}_return" for name in results}
        write_report(self._folder, self._head(stamps, refused), findings)
        return findings

    def close_bar(self) -> None:
        """Ends the progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _entrant(self, name: str, agent: AgentConfig) -> "Entrant":
        from worldmodel.evaluation.contest import Entrant
        from worldmodel.evaluation.copies import restorable

        config = self._config.env
        env = make_env(EnvConfig(id=config.id, kwargs=config.kwargs | agent.env))
        plans_in_truth = agent.name == "planner" and agent.kwargs.get("checkpoint") is None
        try:
            env = restorable(env) if plans_in_truth else env
            player = make_player(PlayerConfig(name=agent.name, kwargs=agent.kwargs), env)
        except UsageError as error:
            env.close()
            raise UsageError(f"{SETTING}.{name}: {error}") from error
        is_privileged = plans_in_truth or bool(getattr(player, "privileged", False))
        options = " ".join(f"{key}={value}" for key, value in (agent.kwargs | agent.env).items())
        return Entrant(name, env, player, f"{agent.name} {options}".strip(), agent.note, is_privileged)

    def _check_dreamer(self, dreamer: "ModelDreamer") -> None:
        """Raises an error if the model that dreams through all episodes does not know the environment's steps."""
        from worldmodel.agents.player import ticks_per_step
        from worldmodel.envs.actions import action_space, discrete_action_space

        metadata, env = dreamer.model.metadata, self._entrants[0].env
        assert dreamer.model.codec is not None  # else it could not dream
        known = dreamer.model.codec.space
        if (ticks := ticks_per_step(env)) != dreamer.frames_per_step:
            raise ValueError(
                f"checkpoint: expected an environment whose steps are as long as the model's, "
                f"{dreamer.frames_per_step} ticks, got {ticks}; set env.kwargs.frame_skip={dreamer.frames_per_step}"
            )
        shape = (metadata.height, metadata.width, 3)
        for entrant in self._entrants:
            if entrant.env.observation_space.shape != shape:
                raise ValueError(
                    f"checkpoint: expected an environment with frames {shape}, as the model was trained on, got "
                    f"{entrant.env.observation_space.shape}; set env.kwargs.height and env.kwargs.width"
                )
            is_preset = known == action_space() and entrant.env.action_space == discrete_action_space()
            if entrant.env.action_space != known and not is_preset:
                raise ValueError(
                    f"checkpoint: expected the actions that the model was trained with, {known}, got "
                    f"{entrant.env.action_space} of {entrant.name}"
                )

    def _play(self, entrant: "Entrant", seeds: list[int]) -> list["Result"]:
        from worldmodel.evaluation.contest import play_all_worlds, play_world

        config = self._config

        def play_one(seed: int) -> "Result":
            return play_world(
                entrant,
                seed,
                config.episode_steps,
                dreamer=self._dreamer,
                horizon=max(config.horizons),
                dream_seed=config.seed,
                batch=config.batch,
                done=self._ask,
            )

        advance = self._begin(entrant.name, len(seeds), "episode")
        return play_all_worlds(entrant, seeds, self._folder / "episodes" / f"{entrant.name}.json", play_one, advance)

    def _plans(self) -> "Finding":
        """Tries plans of all planners."""
        from worldmodel.agents.planner import PlannerPlayer
        from worldmodel.evaluation.contest_report import plans_section
        from worldmodel.evaluation.foresight import Foresight, Start, moments, try_all
        from worldmodel.evaluation.report import Finding

        config, found, horizons = self._config, dict[str, list[Start]](), dict[str, list[int]]()
        planners = [entrant for entrant in self._entrants if isinstance(entrant.player, PlannerPlayer)]
        if not planners or not config.plans:
            return Finding("plans", remark="no agent plans" if not planners else "plans=0")
        for entrant in planners:
            assert isinstance(entrant.player, PlannerPlayer)
            foresight = Foresight(
                entrant.env, entrant.player.config, self._agents[entrant.name].kwargs.get("checkpoint")
            )
            horizons[entrant.name] = foresight.lengths(config.horizons)
            if not horizons[entrant.name]:
                raise ValueError(
                    f"horizons: expected a multiple of the action_repeat of {entrant.name}, got {config.horizons}"
                )
            walker = make_player(PlayerConfig(name=config.plans_after, kwargs=config.plans_after_kwargs), entrant.env)
            advance = self._begin(f"plans of {entrant.name}", config.plans, "start")
            starts = moments(entrant.env, walker, config.plans, config.plans_after_steps)
            path = self._folder / "plans" / f"{entrant.name}.json"
            found[entrant.name] = try_all(foresight, starts, horizons[entrant.name], path, advance)
        section = plans_section(found, horizons, self._folder)
        last = {name: lengths[-1] for name, lengths in horizons.items()}
        return Finding(
            "plans",
            section,
            highlights={f"gap of {name} at {h} steps": f"{name}_{h}_gap" for name, h in last.items()},
        )

    def _dream_highlights(self) -> dict[str, str]:
        last = max(self._config.horizons)
        return {f"gap of {entrant.name}, {last} steps": f"{entrant.name}_{last}_gap" for entrant in self._entrants}

    def _begin(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """Begins a bar, and returns what it is told."""
        self.close_bar()
        bar = self._bar = tqdm(total=total, desc=name, unit=unit, dynamic_ncols=True)

        def advance(done: int) -> None:
            bar.update(done)
            self._ask()

        return advance

    def _ask(self) -> bool:
        """Stops if somebody asked to: raises an error, so that half an episode counts for nothing."""
        from worldmodel.evaluation.contest import Interrupted

        if self.interruption is not None and self.interruption.requested:
            raise Interrupted
        return False

    def _check_same_run(self) -> dict[str, str]:
        """Writes the settings down, or compares them with those that were begun with; returns stamps of models."""
        path = self._folder / _SETTINGS
        stamps = {name: _stamp(agent.kwargs.get("checkpoint")) for name, agent in self._agents.items()}
        now = plain(asdict(self._config), "settings") | {"checkpoint_stamp": _stamp(self._config.checkpoint)}
        agents = {name: plain(asdict(agent), name) | {"stamp": stamps[name]} for name, agent in self._agents.items()}
        before = read_json(path) if path.exists() else {"agents": {}, **now}
        pairs = [(name, before.get(name), now[name]) for name in now if name not in _MAY_CHANGE]
        pairs += [
            (f"{SETTING}.{name}", before["agents"].get(name, agent) | {"note": ""}, agent | {"note": ""})
            for name, agent in agents.items()
        ]
        for name, old, new in pairs:
            if old != new:
                raise ValueError(
                    f"{name}: expected {old!r}, with which the evaluation in {self._folder} was begun, got {new!r}; "
                    "leave it, or choose another output"
                )
        write_json(path, now | {"agents": before["agents"] | agents})
        return stamps

    def _head(self, stamps: dict[str, str], refused: list[int]) -> dict[str, Any]:
        """Returns what stands at the top of the report."""
        from worldmodel.evaluation.report import machine

        config = self._config
        level = config.env.kwargs.get("level") or config.env.kwargs.get("env_id")
        dreams = self._dreamer.model if self._dreamer is not None else None
        return {
            "model": f"agents in {config.env.id}" + (f", {level}" if level else ""),
            "stamp": _stamp(config.checkpoint) or "none",
            "settings": {name: value for name, value in asdict(config).items() if name not in ("agent", "output")},
            "agents": {name: asdict(agent) | {"stamp": stamps[name]} for name, agent in self._agents.items()},
            "refused_seeds": refused,
            "machine": machine(
                "cpu" if dreams is None else dreams.device, "float32" if dreams is None else dreams.dtype
            ),
        }


def _stamp(checkpoint: Any) -> str:
    """Returns which weights a checkpoint has; empty if there is none, or nothing says so."""
    from worldmodel.model.checkpoint import find_checkpoint, read_config

    if not isinstance(checkpoint, str):
        return ""
    try:
        return str(read_config(find_checkpoint(checkpoint)).get("stamp", ""))
    except (FileNotFoundError, ValueError):  # a checkpoint of another kind, such as a learned player's
        return ""
