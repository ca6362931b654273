"""Rollouts of dreams: alone, or with the truth beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from PIL import Image, ImageOps

from worldmodel.cli.errors import UsageError
from worldmodel.cli.moments import EnvironmentSource, Moment, Source, ending, noted
from worldmodel.cli.playing import make_env, make_player, one_line
from worldmodel.cli.settings import EnvConfig, PlayerConfig

if TYPE_CHECKING:
    from worldmodel.agents import Player
    from worldmodel.envs.twin import Twin

_TICKWISE = ("policy", "recorded")
"""Players that play in the dream itself and give a list with an action for each tick of a step."""


@dataclass(kw_only=True, slots=True)
class DreamStart:
    """How a dream begins; configs/rollout.yaml explains it."""

    prompt: str | None
    image: str | None
    twin: bool
    context_steps: int

    def __post_init__(self) -> None:
        """Raises UsageError if there is less than no context."""
        if self.context_steps < 0:
            raise UsageError(f"context_steps: expected 0 or more, got {self.context_steps}")

    @property
    def is_given(self) -> bool:
        """Whether prompt or image say what the dream begins with."""
        return self.prompt is not None or self.image is not None


def dream_source(env: EnvConfig, player: PlayerConfig, start: DreamStart) -> Source:
    """Makes an imagined environment, its twin if there is to be one, and the player.

    Raises:
        UsageError: If settings are wrong, or the player cannot play there.
    """
    imagined = make_env(env)
    try:
        remark = ""
        if start.twin and not start.is_given:
            from worldmodel.envs.twin import Twin

            try:
                twin = Twin(imagined, context_steps=start.context_steps)
            except (ValueError, ImportError, gymnasium.error.Error) as error:
                remark = f"the dream has no twin: {one_line(error)}"
            else:
                return _twin_source(twin, player)
        return _alone(imagined, player, start, remark)
    except BaseException:
        imagined.close()
        raise


class DreamSource(EnvironmentSource):
    """A player in a dream."""

    names = ("dream",)
    unit = "imagined frames"

    def __init__(self, env: gymnasium.Env, player: "Player", start: DreamStart, remark: str = "") -> None:
        """Takes both.

        Args:
            env: The imagined environment.
            player: Who plays it.
            start: How the dream begins.
            remark: Why there is no twin.

        Raises:
            UsageError: If the image cannot be read.
        """
        options: dict[str, Any] = {} if start.prompt is None else {"prompt": start.prompt}
        if start.image is not None:
            height, width = env.observation_space.shape[:2]  # type: ignore[index]
            options["image"] = read_image(start.image, height, width)
        super().__init__(env, player, options)
        self._start, self.remark = start, remark

    def about(self) -> dict[str, Any]:
        """Returns how the dream began."""
        return {"prompt": self._start.prompt, "image": self._start.image, "twin": None}


class TwinSource(Source):
    """A player in a real environment, and a dream that gets the same actions.

    A player that plays in the dream itself gives actions one a tick, which the real environment cannot take: both get
    the first of each step, for all of its ticks.
    """

    names = ("dream", "truth")
    unit = "imagined frames"

    def __init__(self, twin: "Twin", player: "Player", name: str) -> None:
        """Takes both.

        Args:
            twin: Real and imagined environment; closed by `close`.
            player: Who plays.
            name: Its name.
        """
        self._twin, self._player, self._name = twin, player, name
        dream = twin.imagined
        self.fps = dream.metadata["render_fps"] * dream.frames_per_step
        self._psnr: list[float] = []
        self._real_reward = 0.0

    def play(self, seed: int, num_steps: int) -> Iterator[Moment]:
        """Plays the context in the real environment, then both; see `Source`. The first moment is its end."""
        self._player.reset(seed)
        # There is no dream yet to ask its player.
        act = None if self._name == "policy" else self._act
        try:
            observation, imagined, info = self._twin.reset(seed=seed, act=act)
        except RuntimeError as error:
            raise UsageError(f"seed: {one_line(error)}") from error
        caption = str(info.get("caption", ""))
        start = {"caption": caption, "real": noted(info)}
        yield Moment(views=[[imagined], [observation]], info={"caption": caption}, figures=start)
        for _ in range(num_steps):
            action = self._act(observation, info)
            step = self._twin.step(action)
            observation, real_reward, real_terminated, real_truncated, info = step.real
            _, reward, terminated, truncated, dreamed = step.imagined
            self._psnr.append(step.psnr)
            self._real_reward += float(real_reward)
            real = {"reward": float(real_reward), "terminated": real_terminated, "truncated": real_truncated}
            ends = [
                ending("the real episode", real_terminated, real_truncated),
                ending("the dreamed episode", terminated, truncated),
            ]
            ended = " and ".join(filter(None, ends))
            yield Moment(
                views=[list(step.imagined_frames), list(step.real_frames)],
                action=action,
                reward=reward,
                ended=ended,
                info={**dreamed, "psnr": step.psnr},
                figures={
                    **noted(dreamed),
                    "terminated": terminated,
                    "truncated": truncated,
                    "psnr": step.psnr,
                    "real": real | noted(info),
                },
            )
            if ended:
                return

    def about(self) -> dict[str, Any]:
        """Returns what the twin is, and how well the dream did."""
        spec = self._twin.real.spec
        return {
            "prompt": None,
            "image": None,
            "twin": None if spec is None else {"id": spec.id, "kwargs": spec.kwargs},
            "total_real_reward": self._real_reward,
            "mean_psnr": float(np.mean(self._psnr)) if self._psnr else None,
        }

    def close(self) -> None:
        """Closes both environments."""
        self._twin.close()

    def _act(self, observation: Any, info: dict[str, Any]) -> Any:
        action = self._player.act(observation, info)
        return action[0] if self._name in _TICKWISE else action


def read_image(path: str, height: int, width: int) -> np.ndarray:
    """Reads a picture file; its middle is cut out, if it has another shape, and resized.

    Returns:
        uint8 (height, width, 3).

    Raises:
        UsageError: If there is none, or it is no picture.
    """
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except OSError as error:
        raise UsageError(f"image: expected a picture file, got {path!r}: {one_line(error)}") from error
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))


def _twin_source(twin: "Twin", player: PlayerConfig) -> TwinSource:
    try:
        # Scripted players read the blocks of the real one.
        where: gymnasium.Env = twin.imagined if player.name in _TICKWISE else twin.real
        return TwinSource(twin, make_player(player, where), player.name)
    except BaseException:
        twin.real.close()
        raise


def _alone(imagined: gymnasium.Env, player: PlayerConfig, start: DreamStart, remark: str) -> DreamSource:
    from worldmodel.agents import PLAYERS

    blind = [name for name, kind in PLAYERS.items() if not getattr(kind, "privileged", False)]
    if player.name in PLAYERS and player.name not in blind:
        mend = (
            "" if remark else ", or leave out prompt and image, with twin=true, to play the real one beside the dream"
        )
        raise UsageError(
            f"player {player.name}: it reads the blocks of the real environment, and the dream is alone"
            f"{remark and f' ({remark})'}; choose one of {', '.join(blind)}{mend}"
        )
    return DreamSource(imagined, make_player(player, imagined), start, remark)
