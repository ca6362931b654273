"""What the parts of an evaluation work with: a dreamer, its real environment, real episodes, and a judge."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import gymnasium

from worldmodel.agents import Player, make_player
from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs import VOXEL_IDS
from worldmodel.evaluation.dreamers import Dreamer
from worldmodel.evaluation.episodes import EpisodesTooShort, RealEpisode, evaluation_seeds, play_all
from worldmodel.evaluation.judge import BUNDLED_JUDGES, Judge, bundled_judges
from worldmodel.evaluation.judge_training import JudgeTraining, train_judge
from worldmodel.evaluation.prediction import steps_needed
from worldmodel.evaluation.presets import Preset

MakeEnv = Callable[..., gymnasium.Env]
"""Makes the real environment, with the dreamer's ticks in a step; takes settings that are to be others than usual."""

_JUDGE = "judge"
"""Folder, in that of the report, of a judge that was trained for it."""
_JUDGE_STEPS_A_MINUTE, _LEAST_JUDGE_STEPS = 2500, 2000
"""Steps of play that a judge learns from, by the minutes that it is trained for."""


class Progress(Protocol):
    """Is told how far an evaluation has come. What it raises ends the evaluation where it is whole."""

    def stage(self, name: str, total: int | None) -> None:
        """Something new begins, of so many steps; `None` if nobody knows."""

    def advance(self, steps: int) -> None:
        """So many steps more are done."""


class Silence:
    """Progress that nobody looks at."""

    def stage(self, name: str, total: int | None) -> None:
        """Does nothing."""

    def advance(self, steps: int) -> None:
        """Does nothing."""


class Bench:
    """A dreamer and what it is scored with. Environment, episodes and judge are made when they are asked for.

    Attributes:
        dreamer: Who is scored.
        make_env: Makes the real environment.
        preset: How much is measured.
        folder: For pictures and videos.
        player: Name of the player of the real episodes.
        teco: Whether TECO's long protocol is dreamed: if the preset wants it, and episodes last long enough.
        seed: Of the dreams.
        batch: Dreams at a time.
    """

    def __init__(
        self,
        dreamer: Dreamer,
        make_env: MakeEnv,
        preset: Preset,
        folder: Path,
        *,
        player: str | None = None,
        player_kwargs: Mapping[str, Any] | None = None,
        training_player: str | None = None,
        training_player_kwargs: Mapping[str, Any] | None = None,
        judge: str | Judge | None = None,
        judge_minutes: float = 10.0,
        seed: int = 0,
        batch: int = 16,
    ) -> None:
        """Makes the real environment and its player.

        Args:
            dreamer: Who is scored.
            make_env: Makes the real environment.
            preset: How much is measured.
            folder: For pictures and videos, and for a judge that is trained.
            player: Name of the player of the real episodes; by default the explorer in the block world, the forager
                in Crafter, and a random one elsewhere.
            player_kwargs: Its keyword arguments.
            training_player: Name of the player whose data the dreamer was trained on, that self-play is compared with;
                by default that of the real episodes.
            training_player_kwargs: Its keyword arguments.
            judge: A judge, or its name or folder; `None` for a bundled one that suits, or else one that is trained.
            judge_minutes: For which one is trained.
            seed: Of the dreams.
            batch: Dreams at a time.

        Raises:
            ValueError: If there is no such player, or no such real environment.
            TypeError: If the player cannot play there.
        """
        self.dreamer, self.make_env, self.preset, self.folder = dreamer, make_env, preset, folder
        self.teco, self.seed, self.batch = preset.teco, seed, batch
        self.env = make_env()
        self.player = player or default_player(self.env)
        self._player_kwargs = dict(player_kwargs or {})
        self._training = (training_player, training_player_kwargs or {}) if training_player else None
        self._judge, self._judge_minutes = judge, judge_minutes
        self._episodes: list[RealEpisode] = []
        self.make_player(self.env)  # an error comes now

    @property
    def is_block_world(self) -> bool:
        """Whether the real environment is the block world, or a task in it."""
        return hasattr(self.env.unwrapped, "block_at")

    def make_player(self, env: gymnasium.Env) -> Player:
        """Returns the player of the real episodes, for an environment."""
        try:
            return make_player(self.player, env, **self._player_kwargs)
        except (TypeError, ValueError) as error:
            raise type(error)(f"real player {self.player!r}: {error}") from error

    def make_training_player(self, env: gymnasium.Env) -> Player:
        """Returns the player that the dreamer was trained on, for an environment."""
        if self._training is None:
            return self.make_player(env)
        name, kwargs = self._training
        return make_player(name, env, **kwargs)

    def episode_steps(self) -> int:
        """Returns how long the real episodes are, that parts share."""
        return steps_needed(self.dreamer, self.preset.horizon, self.teco)

    def episodes(self, progress: Progress | None = None) -> list[RealEpisode]:
        """Returns the real episodes that parts share, as many as `preset.clips`; played the first time.

        Where they end too early for TECO's protocol, shorter ones are played, and it is left out.

        Raises:
            EpisodesTooShort: If they end too early for all else, too.
        """
        if not self._episodes:
            progress = progress or Silence()
            try:
                self._episodes = self._played(progress)
            except EpisodesTooShort:
                if not self.teco:
                    raise
                self.teco = False
                self._episodes = self._played(progress)
        return self._episodes

    def _played(self, progress: Progress) -> list[RealEpisode]:
        steps, seeds = self.episode_steps(), evaluation_seeds(self.preset.clips)
        progress.stage("real episodes", steps * len(seeds))
        return play_all(self.env, self.make_player(self.env), seeds, steps, progress=progress.advance)

    def judge(self, progress: Progress | None = None) -> Judge:
        """Returns the judge; the first time it is loaded, or trained and kept in the folder.

        Raises:
            FileNotFoundError: If there is none of its name.
            ValueError: If it is damaged, or does not suit the dreamer.
        """
        if not isinstance(self._judge, Judge):
            name = self._judge or self._found()
            self._judge = self._trained(progress or Silence()) if name is None else Judge.load(name)
            if reason := self._misfit(self._judge):
                raise ValueError(f"judge: {reason}; train one for this model, with judge=null")
        return self._judge

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _found(self) -> str | None:
        """Returns the judge that was trained for this report, or a bundled one that suits."""
        own = self.folder / _JUDGE
        if own.exists():
            return str(own)
        return next((name for name in bundled_judges() if not self._misfit(Judge.load(BUNDLED_JUDGES / name))), None)

    def _misfit(self, judge: Judge) -> str:
        """Says why a judge does not suit; nothing if it does."""
        shape = self.env.observation_space.shape or ()
        codec = ActionCodec(self.env.action_space)
        pairs = {
            "frame size": (judge.size, tuple(shape[:2])),
            "ticks in a step": (judge.frames_per_step, self.dreamer.frames_per_step),
            "actions": (judge.codec.to_json(), codec.to_json()),
            "environment": (_kind(judge.config.env_id), _kind(getattr(self.env.spec, "id", ""))),
        }
        for name, (found, wanted) in pairs.items():
            if found != wanted:
                return f"expected one with {name} {wanted}, got {found}"
        return ""

    def _trained(self, progress: Progress) -> Judge:
        """Trains a judge on real frames, and keeps it in the folder."""
        steps = min(JudgeTraining().num_steps, round(_JUDGE_STEPS_A_MINUTE * self._judge_minutes))
        settings = JudgeTraining(num_steps=max(steps, _LEAST_JUDGE_STEPS), max_minutes=self._judge_minutes)
        stages: dict[str, int] = {}

        def told(what: str, share: float) -> None:
            if what not in stages:
                stages[what] = 0
                progress.stage(f"judge, {what}", 100)
            done = int(100 * share)
            progress.advance(done - stages[what])
            stages[what] = done

        judge = train_judge(self.env, self._judge_player(), settings, progress=told)
        judge.save(self.folder / _JUDGE)
        return judge

    def _judge_player(self) -> Player:
        """Returns whom a judge watches: it knows only what players do, so they should do all kinds of things."""
        if self.is_block_world:
            return make_player("mixture", self.env, players={"explorer": 0.4, "fidgeter": 0.4, "builder": 0.2})
        chances = {"random": 0.2, self.player: 0.8}
        return make_player("mixture", self.env, players=chances, kwargs={self.player: self._player_kwargs})


def default_player(env: gymnasium.Env) -> str:
    """Returns the name of the player that shows most of an environment."""
    if hasattr(env.unwrapped, "block_at"):
        return "explorer"
    return "forager" if hasattr(env.unwrapped, "ahead") else "random"


def _kind(env_id: str) -> str:
    """Returns an environment's id; the tasks of the block world look all alike."""
    return "the block world" if env_id in VOXEL_IDS else env_id
