"""The parts of an evaluation: what each needs, how it is run on a bench, and which of its figures tell most."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from worldmodel.evaluation import (
    control,
    cost,
    counterfactuals,
    drift,
    outcomes,
    permanence,
    places,
    prediction,
    scenes,
    selfplay,
    text,
)
from worldmodel.evaluation.bench import Bench
from worldmodel.evaluation.dreamers import ModelDreamer
from worldmodel.evaluation.episodes import evaluation_seeds, play
from worldmodel.evaluation.revisits import INVENTORY
from worldmodel.evaluation.sections import Section

Advance = Callable[[int], None]

_PERMANENCE_BLOCK, _OUTCOMES_BLOCK, _SELFPLAY_BLOCK, _DRIFT_BLOCK = 40, 50, 60, 70
_COUNTERFACTUALS_BLOCK, _PLACES_BLOCK = 75, 80
"""Blocks of `evaluation_seeds` whose worlds these parts take."""


_DAY = 0.2
"""Time of day, before noon, in which what is built is seen."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        run: Finds its section.
        total: Steps of its progress bar; `None` if nobody knows.
        unfit: Why it cannot be run on a bench, as a clause; empty if it can.
        episodes: Whether it takes the real episodes that parts share.
        judge: Whether it takes the judge.
        alone: Whether it takes the machine for itself, because time is measured.
        highlights: Figures for the summary: label, and name in `report.json`.
    """

    run: Callable[[Bench, Advance], Section]
    total: Callable[[Bench], int | None] = lambda bench: None
    unfit: Callable[[Bench], str] = lambda bench: ""
    episodes: bool = False
    judge: bool = False
    alone: bool = False
    highlights: Mapping[str, str] = field(default_factory=dict)


def _prediction(bench: Bench, advance: Advance) -> Section:
    section = prediction.evaluate_prediction(
        bench.dreamer,
        bench.episodes(),
        bench.folder,
        horizon=bench.preset.horizon,
        teco=bench.teco,
        seed=bench.seed,
        batch=bench.batch,
        progress=advance,
    )
    if bench.preset.teco and not bench.teco:
        section.text += " TECO's protocol is left out: episodes end too early for it."
    return section


def _prediction_total(bench: Bench) -> int:
    return bench.preset.clips * prediction.steps_dreamed(bench.dreamer, bench.preset.horizon, bench.teco)


def _control(bench: Bench, advance: Advance) -> Section:
    return control.evaluate_control(
        bench.dreamer,
        bench.judge(),
        bench.episodes(),
        bench.folder,
        seed=bench.seed,
        batch=bench.batch,
        progress=advance,
    )


def _counterfactuals(bench: Bench, advance: Advance) -> Section:
    forks = counterfactuals.play_forks(
        bench.env,
        bench.make_player(bench.env),
        evaluation_seeds(bench.preset.counterfactual_states, _COUNTERFACTUALS_BLOCK),
    )
    return counterfactuals.evaluate_counterfactuals(
        bench.dreamer,
        bench.judge(),
        forks,
        bench.folder,
        seed=bench.seed,
        batch=bench.batch,
        progress=advance,
    )


def _permanence(bench: Bench, advance: Advance) -> Section:
    env = bench.make_env(day_length_ticks=None, weather="clear")
    try:
        revisits = {
            steps: permanence.look_away(
                env, evaluation_seeds(bench.preset.permanence_worlds, _PERMANENCE_BLOCK + i), steps
            )
            for i, steps in enumerate(permanence.LOOK_AWAY_STEPS)
        }
    finally:
        env.close()
    return permanence.evaluate_permanence(
        bench.dreamer, revisits, bench.folder, seed=bench.seed, batch=bench.batch, progress=advance
    )


def _places(bench: Bench, advance: Advance) -> Section:
    env = bench.make_env(day_length_ticks=None, weather="clear", start_time=_DAY, inventory=INVENTORY)
    try:
        played = places.play_places(env, bench.preset.place_worlds, _PLACES_BLOCK)
    finally:
        env.close()
    return places.evaluate_places(
        bench.dreamer, played, bench.folder, seed=bench.seed, batch=bench.batch, progress=advance
    )


def _text(bench: Bench, advance: Advance) -> Section:
    episodes = scenes.play_scenes(
        bench.env, bench.make_player(bench.env), bench.preset.text_scenes, text.steps_needed(bench.dreamer)
    )
    return text.evaluate_text(
        bench.dreamer,
        bench.judge(),
        episodes,
        bench.folder,
        seed=bench.seed,
        batch=bench.batch,
        progress=advance,
    )


def _text_unfit(bench: Bench) -> str:
    return text.why_unfit(bench.dreamer) or ("" if bench.is_block_world else "only the block world's words are known")


def _outcomes(bench: Bench, advance: Advance) -> Section:
    player = bench.make_player(bench.env)
    # To their end, where they have one: that is what is to be told.
    episodes = [
        play(bench.env, player, seed, bench.preset.outcomes_steps)
        for seed in evaluation_seeds(bench.preset.outcomes_episodes, _OUTCOMES_BLOCK)
    ]
    return outcomes.evaluate_outcomes(
        bench.dreamer, episodes, bench.folder, seed=bench.seed, batch=bench.batch, progress=advance
    )


def _selfplay(bench: Bench, advance: Advance) -> Section:
    assert isinstance(bench.dreamer, ModelDreamer)
    env = bench.make_env(frame_skip=1) if bench.dreamer.frames_per_step > 1 else bench.make_env()
    try:
        return selfplay.evaluate_selfplay(
            bench.dreamer,
            env,
            bench.make_training_player(env),
            evaluation_seeds(bench.preset.selfplay_worlds, _SELFPLAY_BLOCK),
            bench.folder,
            num_ticks=bench.preset.selfplay_ticks,
            seed=bench.seed,
            batch=bench.batch,
            progress=advance,
        )
    finally:
        env.close()


def _selfplay_unfit(bench: Bench) -> str:
    if not isinstance(bench.dreamer, ModelDreamer):
        return "only a world model has a player of its own"
    try:
        bench.make_training_player(bench.env)
    except (TypeError, ValueError, FileNotFoundError) as error:
        return f"the player that it was trained on cannot play here ({error})"
    return ""


def _drift(bench: Bench, advance: Advance) -> Section:
    worlds = bench.preset.drift_worlds
    played = drift.play_long(
        bench.env,
        bench.make_player(bench.env),
        evaluation_seeds(6 * worlds, _DRIFT_BLOCK),  # three times as many as are needed, since some end early
        2 * worlds,
        context_steps=bench.dreamer.context_steps,
        most_steps=bench.preset.drift_steps,
        progress=advance,
    )
    section = drift.evaluate_drift(
        bench.dreamer, bench.judge(), played, bench.folder, seed=bench.seed, batch=bench.batch, progress=advance
    )
    if section.figures["last_step"] != drift.shown_steps(bench.preset.drift_steps)[-1]:
        section.text += " Episodes end too early for more steps."
    return section


def _drift_unfit(bench: Bench) -> str:
    least = drift.STEPS[0]
    return f"it takes {least} steps" if bench.preset.drift_steps < least else ""


def _cost(bench: Bench, advance: Advance) -> Section:
    return cost.evaluate_cost(bench.dreamer, bench.episodes(), seed=bench.seed, progress=advance)


PARTS: dict[str, Part] = {
    "prediction": Part(
        _prediction,
        _prediction_total,
        episodes=True,
        highlights={
            "PSNR after 1 step, moving clips": "psnr_full_1_moving",
            "PSNR after 16 steps, moving clips": "psnr_full_16_moving",
            "repeating the last frame, 16 steps": "psnr_repeat_16_moving",
            "codec alone, 16 steps": "psnr_codec_16_moving",
        },
    ),
    "control": Part(
        _control,
        lambda bench: bench.preset.clips * control.steps_dreamed(),
        lambda bench: "it takes two clips" if bench.preset.clips < 2 else "",
        episodes=True,
        judge=True,
        highlights={
            "gain in dB by the true actions": "psnr_gain",
            "keys read back, macro F1": "keys_f1_dream",
            "the same on real frames": "keys_f1_real",
            "camera read back, accuracy": "camera_accuracy_dream",
            "the same on real frames ": "camera_accuracy_real",
            "choices read back, accuracy": "choices_accuracy_dream",
            "the same on real frames  ": "choices_accuracy_real",
        },
    ),
    "counterfactuals": Part(
        _counterfactuals,
        lambda bench: bench.preset.counterfactual_states * counterfactuals.steps_dreamed(),
        lambda bench: (
            "" if bench.is_block_world else "only the block world can go back to a state and do another thing"
        ),
        judge=True,
        highlights={
            "endings of actions identified": "identified_dream",
            "the same by chance": "identified_chance",
            "gain in dB by the action": "gain",
            "change of the picture, rank correlation": "change_spearman_dream",
            "degrees turned and read, correlation": "turn_pearson_dream",
            "the same on real frames": "turn_pearson_real",
        },
    ),
    "permanence": Part(
        _permanence,
        lambda bench: bench.preset.permanence_worlds * permanence.steps_dreamed(),
        lambda bench: "" if bench.is_block_world else "only in the block world is it known how to look away",
        highlights={
            "gain in dB by memory, 8 steps out of sight": "memory_gain_8",
            "longest time out of sight that is remembered": "memory_steps",
        },
    ),
    "places": Part(
        _places,
        lambda bench: places.steps_dreamed(bench.preset.place_worlds, bench.dreamer.frames_per_step),
        lambda bench: "" if bench.is_block_world else "only in the block world is it known how to walk and build",
        highlights={
            "gain in dB by memory, after walks": "memory_gain_walks",
            "what was built is told, right": "built_right",
        },
    ),
    "text": Part(
        _text,
        lambda bench: text.steps_dreamed(bench.preset.text_scenes, bench.judge()),
        _text_unfit,
        judge=True,
    ),
    "outcomes": Part(
        _outcomes,
        lambda bench: bench.preset.outcomes_episodes * bench.preset.outcomes_steps,
    ),
    "selfplay": Part(
        _selfplay,
        lambda bench: selfplay.ticks_played(bench.preset.selfplay_worlds, bench.preset.selfplay_ticks),
        _selfplay_unfit,
        highlights={
            "distance to its player, real world": "distance_real",
            "distance to its player, dream": "distance_dream",
            "random player": "distance_random",
        },
    ),
    "drift": Part(
        _drift,
        lambda bench: drift.steps_taken(bench.preset.drift_worlds, bench.preset.drift_steps),
        _drift_unfit,
        judge=True,
        highlights={
            "Frechet distance to real frames, 16 steps": "frechet_16",
            "the same, after the last step": "frechet_last",
            "other real worlds, after the last step": "frechet_real_last",
            "brightness off after the last step, of 255": "brightness_last",
            "share of rollouts that have collapsed by then": "collapsed_last",
        },
    ),
    "cost": Part(
        _cost,
        lambda bench: cost.MEASUREMENTS,
        episodes=True,
        alone=True,
        highlights={
            "frames per second, 1 dream": "frames_per_second_1",
            "frames per second, 16 dreams together": "frames_per_second_16",
            "GFLOP of a step of one dream": "gflop_per_step_1",
            "share of the rate of a matrix product, 16 dreams": "matrix_share_16",
        },
    ),
}
"""All parts by name, in the order of the report."""
