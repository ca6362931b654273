"""Places that are come back to, and what is built there: in truth it stays, and who forgets it is caught."""

import math

import gymnasium
import numpy as np
import pytest
import torch

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.envs.imagined.dreams import Moment
from worldmodel.evaluation import places as places_module
from worldmodel.evaluation import presence
from worldmodel.evaluation.dreamers import psnr
from worldmodel.evaluation.episodes import RealEpisode, evaluation_seeds
from worldmodel.evaluation.permanence import Revisit
from worldmodel.evaluation.places import Places, Reader, evaluate_places, play_places, steps_dreamed
from worldmodel.evaluation.presence import Presence
from worldmodel.evaluation.revisits import INVENTORY, Built, away_steps, build, pairs, walk_away, walked_steps

SIZE, GREY = 32, 128
WORLDS, AWAY = 8, 4


def block_world(ticks: int = 2) -> gymnasium.Env:
    return gymnasium.make("worldmodel/Voxel-v0", height=32, width=32, frame_skip=ticks, render_mode="rgb_array",
                          day_length_ticks=None, weather="clear", start_time=0.2, inventory=INVENTORY)  # fmt: skip


@pytest.mark.parametrize("ticks", [1, 2, 4])
@pytest.mark.parametrize("sides", [2, 3])
def test_walks_come_back(sides, ticks):
    env = block_world(ticks)
    visits = walk_away(env, evaluation_seeds(2, 80), sides)
    env.close()
    assert len(visits) == 2
    for visit in visits:
        poses = [info["pose"] for info in visit.episode.infos]
        first, last = poses[visit.left], poses[visit.back]
        assert math.hypot(last["x"] - first["x"], last["z"] - first["z"]) < 0.15 and last["y"] == first["y"]
        assert last["yaw"] == pytest.approx(first["yaw"], abs=1e-3) and last["pitch"] == first["pitch"]
        assert max(math.hypot(pose["x"] - first["x"], pose["z"] - first["z"]) for pose in poses) > 1.5
        for step in range(visit.out - visit.unseen, visit.out + 1):
            assert abs((poses[step]["yaw"] - first["yaw"] + 180) % 360 - 180) >= 119
        assert (visit.back - visit.left, visit.back - visit.out) == walked_steps(sides, ticks)
        frames = visit.episode.frames[:, -1]
        assert psnr(frames[visit.left], frames[visit.back]) > 20 > psnr(frames[visit.left], frames[visit.out])


@pytest.mark.parametrize("digs", [False, True])
def test_what_is_built_is_seen_and_out_of_sight_and_seen_again(digs):
    env = block_world()
    found = build(env, evaluation_seeds(2, 82), digs=digs)
    env.close()
    assert len(found) == 2
    for built in found:
        visit, twin = built.visit, built.twin
        assert (visit.left, visit.out, visit.back) == (twin.left, twin.out, twin.back)
        assert (visit.back - visit.left, visit.back - visit.out) == away_steps()
        frames, other = visit.episode.frames[:, -1], twin.episode.frames[:, -1]
        assert 0.02 <= built.where.mean() <= 0.3
        for step in (visit.left, visit.back):
            assert psnr(frames[step][built.where][None], other[step][built.where][None]) < 22
        assert psnr(frames[visit.left], frames[visit.back]) > 30
        for step in range(visit.out - visit.unseen, visit.out + 1):  # it is not to be seen, nor is its shade
            assert psnr(frames[step][: SIZE // 2], other[step][: SIZE // 2]) > 40
        acted = [action["attack"] or action["use"] for action in visit.episode.actions]
        assert any(acted) and not any(action["attack"] or action["use"] for action in twin.episode.actions)
        kinds = {event["type"] for info in visit.episode.infos for event in info["events"]}
        assert ("mined" if digs else "placed") in kinds


def test_a_network_learns_what_buildings_look_like():
    env = block_world()
    lessons, tests = (pairs(env, range(first, first + 6), digs=False) for first in (550_000, 595_000))
    env.close()
    assert len(tests[0]) == len(tests[1]) >= 20
    network = Presence(*lessons)
    there, absent = (network.read(frames) for frames in tests)
    assert there.mean() > 0.9 and absent.mean() < 0.1


def test_the_same_seed_learns_the_same(monkeypatch):
    monkeypatch.setattr(presence, "_UPDATES", 3)
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, SIZE, SIZE, 3), dtype=np.uint8)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    said = [Presence(*frames, seed=seed).read(frames[0]).tolist() for seed in (0, 0, 1)]
    assert said[0] == said[1] != said[2]
    assert (torch.get_rng_state() == before).all(), "nothing else draws other numbers for it"


def scenery(random: np.random.Generator, built: bool) -> np.ndarray:
    frame = np.clip(random.integers(120, 250, 3) + random.integers(-9, 9, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    if built:
        frame[12:20, 12:20] = 30
    return frame


def revisit(seed: int, built: bool) -> Revisit:
    """A view that is seen, hidden and seen again, with a black square in its middle or without."""
    view = scenery(np.random.default_rng(seed), built)
    hidden = np.full_like(view, GREY)
    frames = np.stack([view] * 3 + [hidden] * AWAY + [view])[:, None]
    infos = [{} for _ in frames]
    actions = [0] * 2 + [1] * AWAY + [0]
    return Revisit(
        RealEpisode(seed, frames, actions, np.zeros(len(actions)), infos, False), 2, 2 + AWAY, AWAY - 1, 3 + AWAY
    )


@pytest.fixture(scope="module")
def played() -> Places:
    where = np.zeros((SIZE, SIZE), bool)
    where[12:20, 12:20] = True
    lessons, tests = (
        [
            np.stack([scenery(np.random.default_rng(i), built) for i in range(first, first + 40)])
            for built in (True, False)
        ]
        for first in (100, 200)
    )
    network = Presence(*lessons)
    return Places(
        walks={"aba": [revisit(i, False) for i in range(WORLDS)]},
        built={"block": [Built(revisit(i, True), revisit(i, False), where) for i in range(20, 20 + WORLDS)]},
        readers={"block": Reader(network, *(network.read(frames) for frames in tests))},
    )


class Rememberer:
    """Shows the last view of its context again; its memory forgets everything, or only what was built."""

    name, frames_per_step, fps, context_steps = "rememberer", 1, 10.0, 16

    def __init__(self, *, forgets: str = "") -> None:
        self.forgets = forgets

    def begin(self, contexts, seed):
        self.begun = [part.frames for part in contexts]

    def step(self, actions):
        frames = np.full((len(actions), 1, SIZE, SIZE, 3), GREY, np.uint8)
        for i, action in enumerate(actions):
            seen = [frame for frame in self.begun[i] if (frame != GREY).any()]
            if action == 0 and seen and self.forgets != "everything":
                frames[i, 0] = seen[-1]
                if self.forgets == "buildings":
                    frames[i, 0, 12:20, 12:20] = seen[-1][0, 0]
        number = np.full(len(actions), np.nan)
        return Moment(frames, number, number, number, number, number)

    def reconstruct(self, frames):
        return frames


def test_perfect_memory_passes(played, tmp_path):
    section = evaluate_places(Rememberer(), played, tmp_path)
    assert [check.passed for check in section.checks] == [True, True]
    for kind in ("aba", "block"):
        assert section.figures[f"psnr_dream_{kind}"].value == pytest.approx(60)
    assert section.figures["memory_gain_aba"].low > 10 and section.figures["memory_gain_walks"].number == WORLDS
    for name in ("nearer", "read"):
        assert section.figures[f"{name}_right_block_dream"].value == 1
        assert section.figures[f"{name}_right_block_amnesiac"].value == 0.5, "both of its dreams are alike"
    assert section.figures["built_right"].value == 1 and section.figures["reader_accuracy_block"] > 0.95
    assert (tmp_path / "places.png").stat().st_size > 1000


def test_who_forgets_only_what_was_built_is_caught(played, tmp_path):
    section = evaluate_places(Rememberer(forgets="buildings"), played, tmp_path)
    assert [check.passed for check in section.checks] == [True, False]
    assert section.figures["built_right"].value == section.figures["read_right_block_dream"].value == 0.5
    (row,) = (row for row in section.tables[1].rows if row[1] == "dream")
    assert row[2:4] == [0, 0], "it shows no block, where one was built nor where none was"


def test_amnesia_is_caught(played, tmp_path):
    section = evaluate_places(Rememberer(forgets="everything"), played, tmp_path)
    assert [check.passed for check in section.checks] == [False, False]
    assert section.figures["memory_gain_walks"].value == 0


def test_the_progress_bar_is_right(monkeypatch, tmp_path):
    monkeypatch.setattr(places_module, "_LESSON_WORLDS", 1)
    monkeypatch.setattr(places_module, "_TEST_WORLDS", 1)
    monkeypatch.setattr(presence, "_UPDATES", 1)
    env = block_world()
    played = play_places(env, 1, 80)
    env.close()
    assert [len(found) for found in (played.walks, played.built, played.readers)] == [2, 2, 2]

    class Stub(Rememberer):
        def step(self, actions):
            number = np.full(len(actions), np.nan)
            frames = np.zeros((len(actions), 2, SIZE, SIZE, 3), np.uint8)
            return Moment(frames, number, number, number, number, number)

    done = []
    section = evaluate_places(Stub(), played, tmp_path, progress=done.append)
    assert sum(done) == steps_dreamed(1, 2)
    assert not any(check.passed for check in section.checks), "one world says nothing"


def test_where_nothing_can_be_walked_it_says_so(monkeypatch):
    monkeypatch.setattr(places_module, "walk_away", lambda *_: [])
    monkeypatch.setattr(places_module, "build", lambda *_, digs: [])
    with pytest.raises(ValueError, match="env: expected worlds in which a few steps can be walked, found none"):
        play_places(block_world(), 1, 80)
