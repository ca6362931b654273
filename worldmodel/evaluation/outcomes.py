"""Outcomes: does a dream know when a reward comes and when an episode ends, and does it know how wrong it is?

All three are measured in dreams that go on from real frames with the actions of the real episode, for a few steps each.
A dreamer says nothing of frames that it is only shown; closest to that are the first steps after the real frames, whose
figures stand beside those of all steps.

Shapes: E episodes, D dreams of an episode, H steps of a dream, N steps of all dreams, H W pixels, r ticks in a step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from worldmodel.evaluation.agreement import Reliability, auroc, brier, pearson, reliability, spearman
from worldmodel.evaluation.dreamers import Dreamer, dream, psnr
from worldmodel.evaluation.episodes import RealEpisode, context
from worldmodel.evaluation.estimates import NOTHING, Estimate, bootstrap
from worldmodel.evaluation.plots import pyplot, save_figure
from worldmodel.evaluation.sections import Check, Section, Table, Value

HORIZON = 16
"""Steps of a dream."""
NEAR = 4
"""So many steps after the real frames count as near."""
RETURN_STEPS = 16
"""Steps whose rewards are summed to a return."""

_TRUST_GROUPS = 10
"""In the plot: equally many steps in each."""


@dataclass(slots=True)
class Outcomes:
    """What came of each step, and what was said of it: float64 (E, D, H), NaN where there is no such dream or step.

    Attributes:
        rewards: That came.
        said_rewards: That were predicted.
        ends: 1 where the episode ended with the step, 0 elsewhere.
        said_ends: Their predicted probability.
        trust: In the frames.
        errors: Of the frames: the negative PSNR in dB.
    """

    rewards: np.ndarray
    said_rewards: np.ndarray
    ends: np.ndarray
    said_ends: np.ndarray
    trust: np.ndarray
    errors: np.ndarray


def _begins(episodes: Sequence[RealEpisode], horizon: int, seed: int) -> list[range]:
    """Returns after which steps of each episode a dream begins.

    Dreams follow each other without a gap; where the first begins is drawn, so that the end of an episode, and whatever
    comes at certain times, falls on every step of a dream alike.
    """
    generator = np.random.default_rng(seed)
    return [
        range(int(generator.integers(min(horizon, episode.num_steps))), episode.num_steps, horizon)
        for episode in episodes
    ]


def collect(
    dreamer: Dreamer,
    episodes: Sequence[RealEpisode],
    *,
    horizon: int = HORIZON,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Outcomes:
    """Dreams through real episodes, a stretch at a time, and notes what was said and what came.

    Args:
        dreamer: Who dreams.
        episodes: E real ones, of any length; each has a dream for every `horizon` of its steps.
        horizon: H.
        seed: Of the noise, and of where dreams begin.
        batch: Dreams at a time.
        progress: Called with the number of new steps, over all dreams.
    """
    begins = _begins(episodes, horizon, seed)
    shape = (len(episodes), max(map(len, begins), default=0), horizon)
    found = Outcomes(**{field.name: np.full(shape, np.nan) for field in fields(Outcomes)})
    wanted = [(i, d, first) for i, starts in enumerate(begins) for d, first in enumerate(starts)]
    # Starts of the same length run together, so those with all the context stand side by side.
    wanted.sort(key=lambda item: min(item[2], dreamer.context_steps))
    for start in range(0, len(wanted), batch):
        chosen = wanted[start : start + batch]
        actions = []
        for i, _, first in chosen:
            real = episodes[i].actions[first : first + horizon]
            actions.append(real + [real[-1]] * (horizon - len(real)))  # what is dreamed past the end is not looked at
        contexts = [context(episodes[i], first, dreamer.context_steps) for i, _, first in chosen]
        dreams = dream(dreamer, contexts, actions, seed=seed + start, batch=batch, progress=progress)
        for j, (i, d, first) in enumerate(chosen):
            episode, steps = episodes[i], min(horizon, episodes[i].num_steps - first)
            found.rewards[i, d, :steps] = episode.rewards[first : first + steps]
            found.said_rewards[i, d, :steps] = dreams.rewards[j, :steps]
            found.ends[i, d, :steps] = 0
            if episode.terminated and first + steps == episode.num_steps:
                found.ends[i, d, steps - 1] = 1
            found.said_ends[i, d, :steps] = dreams.terminations[j, :steps]
            found.trust[i, d, :steps] = dreams.trust[j, :steps]
            frames = episode.frames[first + 1 : first + 1 + steps]
            found.errors[i, d, :steps] = -psnr(dreams.frames[j, :steps], frames).mean(1)
    return found


def evaluate_outcomes(
    dreamer: Dreamer,
    episodes: Sequence[RealEpisode],
    folder: Path,
    *,
    horizon: int = HORIZON,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Section:
    """Scores rewards, ends and trust; for the arguments see `collect`.

    Args:
        dreamer: Who dreams.
        episodes: Such as those of tasks; without rewards or ends in them, only trust is scored.
        folder: For the plot.
        horizon: H.
        seed: Of the noise, and of where dreams begin.
        batch: Dreams at a time.
        progress: Called with the number of new steps, over all dreams.

    Raises:
        ValueError: If there is no episode.
    """
    if not episodes:
        raise ValueError("episodes: expected at least one real episode, got none")
    found = collect(dreamer, episodes, horizon=horizon, seed=seed, batch=batch, progress=progress)
    there = ~np.isnan(found.rewards)
    section = Section(
        "outcomes",
        "Rewards, ends and trust",
        f"Dreams of {horizon} steps through {len(episodes)} real episodes, one after the other, each from the real "
        f"frames before it with the real actions: {there.sum()} steps. A dreamer says nothing of frames that it is "
        f"only shown; steps 1 to {min(NEAR, horizon)} after them come closest. Intervals are bootstrapped over "
        f"episodes.",
        figures={"steps": int(there.sum()), "episodes": len(episodes)},
    )
    _score_rewards(section, found)
    _score_ends(section, found)
    _score_trust(section, found)
    _plot(section, folder / "outcomes.png", found)
    return section


def _over(parts: Sequence[np.ndarray], statistic: Callable[..., float], steps: int | None = None) -> Estimate:
    """Estimates a figure of all steps, or of the first few of each dream, resampling episodes.

    Args:
        parts: Arrays (E, D, H) that the statistic takes, as samples (N,); steps with a NaN in any are left out.
        statistic: The figure.
        steps: How many of each dream; `None` is all.
    """
    cut = [part[..., :steps] for part in parts]
    whole = np.logical_not(np.isnan(np.stack(cut)).any(0))
    # Rows of an episode are cut out once: episodes have different numbers of steps.
    rows = [[part[i][whole[i]] for part in cut] for i in range(len(whole)) if whole[i].any()]
    if not rows:
        return NOTHING

    def figure(chosen: np.ndarray) -> float:
        return statistic(*(np.concatenate([rows[i][k] for i in chosen]) for k in range(len(parts))))

    return bootstrap(np.arange(len(rows)), figure)


def _both(section: Section, name: str, parts: Sequence[np.ndarray], statistic: Callable[..., float]) -> list[Estimate]:
    """Adds a figure of the near steps and of all, and returns them."""
    found = [_over(parts, statistic, NEAR), _over(parts, statistic)]
    section.figures |= {f"{name}_near": found[0], f"{name}_all": found[1]}
    return found


def _header(found: Outcomes) -> list[str]:
    horizon = found.rewards.shape[-1]
    return ["", f"steps 1 to {min(NEAR, horizon)}", f"steps 1 to {horizon}"]


def _range(said: np.ndarray) -> tuple[float, float]:
    """Returns the ends of the bins for predictions of any number."""
    return float(np.nanmin(said)), float(np.nanmax(said))


def _tellable(said: np.ndarray, came: np.ndarray) -> bool:
    """Whether something was predicted, and something came."""
    return bool(np.isfinite(said).any()) and bool(np.nanmin(came) < np.nanmax(came))


def _score_rewards(section: Section, found: Outcomes) -> None:
    real, said = found.rewards, found.said_rewards
    positive = np.where(np.isnan(real), np.nan, real > 0)
    number = int(np.count_nonzero(np.nan_to_num(real)))
    section.figures["rewards"] = number
    tellable = _tellable(said, real)
    if not np.isfinite(said).any():
        section.text += " The dreamer predicts no rewards."
    elif not tellable:
        section.text += " The real episodes have no rewards that differ, so there was nothing to measure of them."
    pair = [said, real] if tellable else [np.full_like(real, np.nan)] * 2
    low, high = _range(said) if tellable else (0.0, 1.0)
    rows: list[list[Value]] = [
        ["correlation (Pearson)", *_both(section, "reward_pearson", pair, pearson)],
        ["correlation of ranks (Spearman)", *_both(section, "reward_spearman", pair, spearman)],
        ["AUROC of a reward above 0", *_both(section, "reward_auroc", [pair[0], positive], auroc)],
        [
            "calibration error, in units of reward",
            *_both(section, "reward_calibration", pair, lambda *both: reliability(*both, low=low, high=high).error),
        ],
    ]
    windows = [_returns(part) for part in pair]
    for name, label, statistic in (("pearson", "", pearson), ("spearman", " of ranks", spearman)):
        section.figures[f"return_{name}"] = value = _over(windows, statistic)
        rows.append([f"correlation{label} of returns over {RETURN_STEPS} steps", "", value])
    if not tellable:
        return
    section.tables.append(Table(_header(found), rows, f"Rewards, {number} other than 0", 3))
    decisive = section.figures["reward_pearson_all"]
    section.checks.append(_above("rewards are told", decisive, 0.0, "correlation of predicted and real reward"))


def _returns(rewards: np.ndarray) -> np.ndarray:
    """Returns sums over stretches of a dream, (E, D, H // 16); NaN where the episode ended before."""
    whole = rewards.shape[-1] // RETURN_STEPS
    return rewards[..., : whole * RETURN_STEPS].reshape(*rewards.shape[:-1], whole, RETURN_STEPS).sum(-1)


def _score_ends(section: Section, found: Outcomes) -> None:
    real, said = found.ends, found.said_ends
    section.figures["ends"] = int(np.nansum(real))
    tellable = _tellable(said, real)
    if not np.isfinite(said).any():
        section.text += " The dreamer predicts no ends."
    elif not tellable:
        section.text += " No real episode ended, or all did at once, so there was nothing to measure of ends."
    pair = [said, real] if tellable else [np.full_like(real, np.nan)] * 2
    rate = pair[1].copy()
    if tellable:
        rate[~np.isnan(rate)] = np.nanmean(rate)
    rows: list[list[Value]] = [
        ["AUROC", *_both(section, "end_auroc", pair, auroc)],
        ["Brier score", *_both(section, "end_brier", pair, brier)],
        [
            "Brier score of saying how often it happens",
            *_both(section, "end_brier_rate", [rate, pair[1]], brier),
        ],
        ["calibration error", *_both(section, "end_calibration", pair, lambda *both: reliability(*both).error)],
    ]
    if tellable:
        section.tables.append(Table(_header(found), rows, f"Ends, {section.figures['ends']} of them", 4))
        section.checks.append(_above("ends are told", section.figures["end_auroc_all"], 0.5, "AUROC of ends"))


def at_equal_steps(trust: np.ndarray, errors: np.ndarray) -> float:
    """Returns the rank correlation of trust and error between dreams (N, H) at one step, in the mean over steps."""
    values = []
    for t in range(trust.shape[1]):
        there = ~np.isnan(trust[:, t])
        values.append(spearman(-trust[there, t], errors[there, t]))
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _score_trust(section: Section, found: Outcomes) -> None:
    known = np.isfinite(found.trust).any()
    at_once = _over([found.trust, found.errors], lambda trust, errors: spearman(-trust, errors))
    # Rollouts of an episode are resampled together: they show the same world.
    equal = bootstrap(
        np.flatnonzero(np.isfinite(found.trust).any((1, 2))),
        lambda rows: at_equal_steps(*(np.concatenate(part[rows]) for part in (found.trust, found.errors))),
    )
    equal = equal if np.isfinite(equal.value) else NOTHING
    section.figures |= {"trust_all_steps": at_once, "trust_equal_steps": equal}
    if not known:
        section.text += " The dreamer does not say how far it trusts its frames."
        return
    if equal.number == 0:
        section.text += " Trust or errors were all alike, so there was nothing to measure of trust."
        return
    rows: list[list[Value]] = [["all steps together", at_once], ["dreams at equal steps, mean over steps", equal]]
    section.tables.append(
        Table(["", "rank correlation"], rows, "Distrust (trust turned round) and true error (PSNR turned round)")
    )
    # Errors grow with time anyway, so any signal that falls would pass over all steps.
    section.checks.append(_above("trust tells error", equal, 0.0, "rank correlation at equal steps"))


def _above(name: str, found: object, bound: float, what: str) -> Check:
    """Returns the check that a figure's interval lies above a bound; an interval of one episode says nothing."""
    assert isinstance(found, Estimate)
    passed = bool(found.number > 1 and found.low > bound)
    return Check(name, passed, f"{what} {found.text()}, from {found.number} episodes; expected to be above {bound:g}")


def _plot(section: Section, path: Path, found: Outcomes) -> None:
    """Draws what there is to draw, if anything."""
    panels: list[tuple[str, Reliability]] = []
    for name, said, came in (("reward", found.said_rewards, found.rewards), ("end", found.said_ends, found.ends)):
        if _tellable(said, came):
            there = np.isfinite(said)
            low, high = _range(said) if name == "reward" else (0.0, 1.0)
            panels.append((name, reliability(said[there], came[there], low=low, high=high)))
    trusted = np.isfinite(found.trust)
    if not panels and not trusted.any():
        return
    number = len(panels) + bool(trusted.any())
    figure, axes = pyplot().subplots(1, number, figsize=(4.2 * number, 3.6), squeeze=False)
    for axis, (name, part) in zip(axes[0], panels, strict=False):
        ends = [min(part.predicted.min(), part.came.min()), max(part.predicted.max(), part.came.max())]
        axis.plot(ends, ends, "--", color="tab:gray", lw=1, label="perfect")
        axis.plot(part.predicted, part.came, marker="o", ms=4, color="tab:blue", label="dream")
        for x, y, samples in zip(part.predicted, part.came, part.numbers, strict=True):
            axis.annotate(str(samples), (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
        what, real = ("reward", "reward") if name == "reward" else ("probability of an end", "share of ends")
        axis.set(xlabel=f"predicted {what}", ylabel=f"real {real}")
        axis.set_title(f"{name}s: what was said, what came (steps in a bin)", fontsize=9)
    if trusted.any():
        order = np.argsort(found.trust[trusted], kind="stable")
        groups = [part for part in np.array_split(order, _TRUST_GROUPS) if len(part)]
        trust, errors = (part[trusted] for part in (found.trust, found.errors))
        means = [[part[group].mean() for group in groups] for part in (trust, -errors)]
        axes[0, -1].plot(*means, marker="o", ms=4, color="tab:blue", label="a tenth of the steps each")
        axes[0, -1].set(xlabel="trust", ylabel="PSNR in dB")
        axes[0, -1].set_title("trust and the true quality of the frame", fontsize=9)
    for axis in axes[0]:
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    save_figure(figure, path)
    section.pictures["outcomes.png"] = "What was said of rewards and ends against what came; trust against PSNR."
