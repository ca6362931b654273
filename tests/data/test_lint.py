import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.data import Episode, EpisodeSource, EpisodeStore, EpisodeStoreWriter, LintReport, lint_store
from worldmodel.data.action_codec import ActionCodec

MOVES = np.array([(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)])
TOY_SPACE = gymnasium.spaces.Discrete(len(MOVES))


def _episode(frames, actions, seed):
    return Episode(
        frames=np.stack(frames),
        actions=list(actions),
        rewards=np.zeros(len(actions)),
        terminated=False,
        truncated=True,
        infos=[{}] * len(frames),
        source=EpisodeSource(env_id="Lint-v0", seed=seed),
    )


def _toy(seed, steps=60):
    """A bright square that every action moves or leaves."""
    rng = np.random.default_rng(seed)
    place, actions = rng.integers(0, 57, 2), rng.integers(0, len(MOVES), steps)
    frames = []
    for move in [MOVES[0], *MOVES[actions]]:
        place = np.clip(place + move, 0, 56)
        frame = np.full((64, 64, 3), 30, np.uint8)
        frame[place[1] : place[1] + 8, place[0] : place[0] + 8] = 220
        frames.append(frame)
    return _episode(frames, actions.tolist(), seed)


def _play(env, choose, seed, steps):
    frame, info = env.reset(seed=seed)
    frames, actions = [frame], []
    for _ in range(steps):
        actions.append(choose(frame, info))
        frame, _, terminated, _, info = env.step(actions[-1])
        frames.append(frame)
        if terminated:
            break
    return _episode(frames, actions, seed)


@pytest.fixture(scope="module")
def voxel():
    env = gymnasium.make("worldmodel/Voxel-v0", render_mode="rgb_array", height=64, width=64)
    player = make_player("explorer", env)
    episodes = []
    for seed in range(8):
        player.reset(seed)
        episodes.append(_play(env, player.act, seed, 250))
    return env.action_space, episodes


@pytest.fixture(scope="module")
def crafter():
    pytest.importorskip("crafter")
    env = gymnasium.make("worldmodel/Crafter-v0")
    env.action_space.seed(0)
    return env.action_space, [_play(env, lambda *_: env.action_space.sample(), seed, 120) for seed in range(8)]


@pytest.fixture(scope="module")
def toy():
    return TOY_SPACE, [_toy(seed) for seed in range(10)]


def _store(folder, space, episodes, keys=None, held_out_percent=50):
    codec = None if space is None else ActionCodec(space)
    with EpisodeStoreWriter(folder, codec=codec, fps=20, held_out_percent=held_out_percent) as writer:
        for i, episode in enumerate(episodes):
            writer.append(episode, keys[i] if keys else f"run/{i}")
    return EpisodeStore(folder)


def _shifted(episode, shift):
    """Puts every action one row later (1) or earlier (-1) than it belongs."""
    actions = episode.actions[:-1]
    actions = [actions[0], *actions[:-1]] if shift == 1 else episode.actions[1:] if shift == -1 else actions
    return _episode(episode.frames[:-1], actions, episode.source.seed)


@pytest.mark.parametrize("world", ["voxel", "crafter", "toy"])
def test_actions_beside_the_wrong_frames_are_noticed(tmp_path, request, world):
    space, episodes = request.getfixturevalue(world)
    reports = {}
    for shift in (0, 1, -1):
        store = _store(tmp_path / str(shift), space, [_shifted(episode, shift) for episode in episodes])
        reports[shift] = lint_store(store)
        scores = reports[shift].figures["alignment"]
        assert max(scores, key=scores.get) == {0: "0", 1: "+1", -1: "-1"}[shift]
    assert reports[0].ok and not any("shifted" in warning for warning in reports[0].warnings), reports[0]
    for shift, when in ((1, "late"), (-1, "early")):
        (problem,) = reports[shift].problems
        assert f"one frame {when}: shifted by {shift:+d}" in problem


def _sliding(seed, steps=120):
    """The square goes on for a while after it was pushed."""
    rng = np.random.default_rng(seed)
    place, speed, actions = np.full(2, 28.0), np.zeros(2), np.repeat(rng.integers(0, len(MOVES), steps // 3), 3)
    frames = []
    for move in [MOVES[0], *MOVES[actions]]:
        speed = 0.8 * speed + 0.3 * move
        place = (place + speed) % 56
        x, y = place.astype(int)
        frame = np.full((64, 64, 3), 30, np.uint8)
        frame[y : y + 8, x : x + 8] = 220
        frames.append(frame)
    return _episode(frames, actions.tolist(), seed)


def test_sliding_is_no_shift(tmp_path):
    episodes = [_sliding(seed) for seed in range(12)]
    reports = {}
    for shift in (0, 1, -1):
        shifted = [_shifted(episode, shift) for episode in episodes]
        reports[shift] = lint_store(_store(tmp_path / str(shift), TOY_SPACE, shifted))
    scores = reports[0].figures["alignment"]
    assert scores["-1"] > scores["0"] + 0.015 and reports[0].ok
    assert any("as where bodies slide" in warning for warning in reports[0].warnings)
    (problem,) = reports[-1].problems
    assert "one frame early" in problem


def test_actions_that_explain_nothing_are_a_warning(tmp_path, toy):
    space, episodes = toy
    rng = np.random.default_rng(0)
    random = [_episode(e.frames, rng.permutation(e.actions).tolist(), e.source.seed) for e in episodes]
    report = lint_store(_store(tmp_path, space, random))
    assert report.ok and any("do not explain how frames change" in warning for warning in report.warnings)


def test_little_data_is_not_judged(tmp_path, toy):
    space, episodes = toy
    report = lint_store(_store(tmp_path, space, [_shifted(episode, 1) for episode in episodes[:2]]))
    assert report.ok and "alignment" not in report.figures
    assert any("too few changes of action" in warning for warning in report.warnings)


def test_few_long_episodes_are_judged_by_their_pieces(tmp_path):
    episode = _toy(0, steps=1200)
    assert lint_store(_store(tmp_path / "right", TOY_SPACE, [episode])).figures["alignment"]["0"] > 0.5
    report = lint_store(_store(tmp_path / "wrong", TOY_SPACE, [_shifted(episode, -1)]))
    assert any("one frame early" in problem for problem in report.problems)


def test_a_good_store_has_nothing_to_tell(tmp_path, toy):
    report = lint_store(_store(tmp_path, *toy))
    assert report.ok and report == LintReport(figures=report.figures)
    assert report.figures["num_episodes"] == 10
    assert report.figures["num_frames_train"] + report.figures["num_frames_held_out"] == 610


def test_null_and_constant_actions(tmp_path):
    still = [_episode(e.frames, [3] * 60, e.source.seed) for e in map(_toy, range(10))]
    assert "the action is the same in all frames" in lint_store(_store(tmp_path / "same", TOY_SPACE, still)).problems[0]
    none = [_episode(e.frames, [None] * 60, e.source.seed) for e in still]
    (problem,) = lint_store(_store(tmp_path / "none", TOY_SPACE, none)).problems
    assert "no episode has actions" in problem
    assert lint_store(_store(tmp_path / "film", None, none)).ok
    store = _store(tmp_path / "null", TOY_SPACE, map(_toy, range(10)))
    np.memmap(tmp_path / "null/64x64/actions.f16", np.float16, "r+")[: 61 * 5] = 0
    assert any("actions of 1 episodes are all null: run/0" in problem for problem in lint_store(store).problems)


def test_broken_frames(tmp_path, toy):
    space, episodes = toy
    black = _episode(np.zeros((61, 64, 64, 3), np.uint8), episodes[0].actions, 0)
    frozen = _episode(np.repeat(episodes[1].frames[:1], 61, 0), episodes[1].actions, 1)
    report = lint_store(_store(tmp_path / "many", space, [black, frozen, *episodes[2:]]))
    assert len(report.problems) == 2
    assert "10.0% of the frames are of one colour: run/0;" in report.problems[0]
    assert "20.0% of the episodes never change their picture: run/0, run/1;" in report.problems[1]
    flash = _episode(episodes[0].frames.copy(), episodes[0].actions, 0)
    flash.frames[7] = 255
    report = lint_store(_store(tmp_path / "few", space, [flash, *episodes[1:]]))
    assert report.ok and "0.2% of the frames are of one colour: run/0" in report.warnings[0]


def test_short_episodes(tmp_path, toy):
    space, episodes = toy
    short = [_toy(seed, steps=4) for seed in range(20, 32)]
    report = lint_store(_store(tmp_path / "some", space, [*episodes, short[0]]))
    assert report.ok and "1 of 11 episodes have fewer than 8 frames: run/10" in report.warnings[0]
    report = lint_store(_store(tmp_path / "most", space, [*episodes, *short]))
    assert any("12 of 22 episodes have fewer than 8 frames: run/10, run/11, run/12 and 9" in p for p in report.problems)


def test_empty_splits(tmp_path, toy):
    report = lint_store(_store(tmp_path / "train", *toy, held_out_percent=0))
    assert report.ok and report.warnings == [
        "no episode is held out, so nothing can be tested; add data, or hold out a larger share"
    ]
    (problem,) = lint_store(_store(tmp_path / "test", *toy, held_out_percent=100)).problems
    assert "no episode is left to train on" in problem
    assert "no episode is left to train on" in lint_store(_store(tmp_path / "empty", None, [])).problems[0]


def test_leaks(tmp_path, toy):
    space, episodes = toy

    def with_copy(name, change):
        store = _store(tmp_path / name, space, episodes)
        records = store.buckets["64x64"].episodes
        source = next(record for record in records if not record.held_out)
        target = next(record for record in records if record.held_out)
        change(store, source, target)
        return lint_store(store)

    def same_world(store, source, target):
        target.seed = source.seed

    def same_frames(store, source, target, count=61):
        frames = np.memmap(store.folder / "64x64/frames.u8", np.uint8, "r+", shape=(610, 64, 64, 3))
        frames[target.start : target.start + count] = frames[source.start : source.start + count]
        frames.flush()

    def same_start(store, source, target):
        same_frames(store, source, target, count=1)

    assert "worlds are both trained on and held out" in with_copy("world", same_world).problems[0]
    assert "the same frames are both trained on and held out" in with_copy("frames", same_frames).problems[0]
    report = with_copy("start", same_start)
    assert report.ok and "start with the same frame" in report.warnings[0]


def test_looks_at_some_episodes_only(tmp_path, toy):
    store = _store(tmp_path, *toy)
    few = lint_store(store, max_episodes=6).figures
    assert few["num_episodes"] == 10 and few["alignment_rows"] < lint_store(store).figures["alignment_rows"]
    with pytest.raises(ValueError, match="max_episodes: expected at least 1, got 0"):
        lint_store(store, max_episodes=0)
