import json
import signal
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from fake_voxel import FakeVoxel, action_space, play
from PIL import Image

import worldmodel.cli.data
from worldmodel.cli import main
from worldmodel.data import (
    Episode,
    EpisodeSource,
    EpisodeStoreWriter,
    MinariWriter,
    VideoWriter,
    VptWriter,
    write_episode,
)
from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.card import STRETCH_FRAMES, DataCard, store_stretches, stretch_of
from worldmodel.data.store import EpisodeStore

FILES = ["contact_sheet.png", "data_card.json", "data_card.md", "data_card.png"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def record(folder="recording", episodes=3, steps=12):
    """Episodes in VPT's layout, exactly stored."""
    Path(folder).mkdir(exist_ok=True)
    made = [play(seed=seed, steps=steps) for seed in range(episodes)]
    for i, episode in enumerate(made):
        write_episode(VptWriter(Path(folder), f"episode_{i:06d}", episode.source, lossless=True), episode)
    return made


def store(episodes, folder="store", codec=None):
    with EpisodeStoreWriter(folder, codec=codec or ActionCodec(action_space()), fps=20, held_out_percent=30) as writer:
        for i, episode in enumerate(episodes):
            writer.append(episode, f"seed_{i}")
    return folder


def card(*arguments, code=0):
    assert main(["data", *arguments, "output=out"]) == code
    return json.loads(Path("out/data_card.json").read_text())


def without_place(figures):
    return {name: value for name, value in figures.items() if name not in ("path", "kind", "lint")}


def test_a_recording_is_described(capsys):
    episodes = record()
    figures = card("recording")
    assert sorted(path.name for path in Path("out").iterdir()) == FILES
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "out/data_card.json, data_card.md, data_card.png, contact_sheet.png"
    assert Path("out/data_card.md").read_text() in out and "| episodes | 3 |" in out
    assert (figures["num_episodes"], figures["num_frames"]) == (3, 39)
    assert figures["hours"] == pytest.approx(39 / 20 / 3600)
    assert figures["frame_sizes"] == {"48x64": 39} and figures["fps"] == {"20": 3}
    assert figures["environments"] == {"Fake-v0": 3}
    assert figures["episode_frames"] == {"least": 13, "median": 13, "most": 13}
    assert figures["ends"] == {"terminated": 0, "truncated": 3}
    rewards = np.concatenate([episode.rewards for episode in episodes])
    assert figures["reward"]["sum"] == rewards.sum()
    assert figures["reward"]["rewarded_share"] == pytest.approx((rewards > 0).mean())
    assert figures["captions"]["share"] == 1 and figures["captions"]["words"]["step"] == 39
    assert figures["still_share"] == 0 and figures["damaged"] == []
    actions = [action for episode in episodes for action in episode.actions]
    factors = figures["actions"]["factors"]
    assert figures["actions"]["known_share"] == 1 and figures["actions"]["idle_share"] == 0
    for key in ("forward", "attack", "hotbar.3"):
        pressed = np.mean([action[key] for action in actions])
        assert factors[key] == {"kind": "categories", "values": [0, 1], "shares": pytest.approx([1 - pressed, pressed])}
    camera = factors["camera[1]"]
    assert camera["kind"] == "bins" and sum(camera["shares"]) == pytest.approx(1)
    mean = np.mean([action["camera"][1] for action in actions])
    assert np.dot(camera["values"], camera["shares"]) == pytest.approx(mean, rel=1e-3)
    assert Image.open("out/contact_sheet.png").size == (4 + 8 * 132, 4 + 4 * 100)


def test_a_store_and_a_run_are_described_alike(capsys):
    store(record(), "run/data")
    from_recording, from_store = card("recording"), card("run/data")
    assert from_store["kind"] == "episode store"
    for figures in (from_recording, from_store):
        for part in figures["actions"]["factors"].values():
            part["shares"] = [round(share, 2) for share in part["shares"]]  # stored in half precision
        figures["captions"].pop("words")  # long captions take turns in a store
    assert without_place(from_store) == without_place(from_recording)
    assert card("run")["path"] == "run/data"
    assert "num_frames_train" in from_store["lint"]


def test_episodes_of_other_spaces_are_described(capsys):
    pytest.importorskip("minari")
    env = gymnasium.make("worldmodel/Pixels-v0", env_id="CartPole-v1", height=16, width=16)
    frame, info = env.reset(seed=0)
    with MinariWriter(Path(), "data_set", EpisodeSource(seed=0, fps=50), env) as writer:
        writer.reset(frame, info)
        for action in (1, 1, 0, 1):
            frame, reward, *ends, info = env.step(action)
            writer.step(action, frame, reward, *ends, info)
    figures = card("data_set")
    shares = figures["actions"]["factors"]["action"]["shares"]
    assert shares == pytest.approx([0.25, 0.75]) and figures["actions"]["idle_share"] == pytest.approx(0.25)
    assert figures["reward"]["sum"] == 4 and figures["environments"] == {"worldmodel/Pixels-v0": 1}
    assert "| captions | 0.0% of the frames |" in capsys.readouterr().out


def test_videos_and_pictures_are_described(capsys):
    Path("videos").mkdir()
    frames = np.full((30, 40, 56, 3), 90, np.uint8)
    frames[10:, 5:20, 5:20] = 200
    with VideoWriter("videos/a.mp4", fps=10) as writer:
        for frame in frames:
            writer.write(frame)
    Path("videos/a.txt").write_text("a grey wall")
    Image.fromarray(frames[0]).save("videos/b.png")
    figures = card("videos")
    assert (figures["num_episodes"], figures["num_frames"]) == (2, 31)
    assert figures["actions"] == {"known_share": 0, "idle_share": None, "factors": {}}
    assert figures["still_share"] == pytest.approx(28 / 29), "compression changes little"
    assert figures["captions"]["words"] == {"grey": 30, "wall": 30}
    assert "The action space is not known" in capsys.readouterr().out


def test_damaged_files_are_named(capsys):
    record()
    Path("recording/episode_000001.mp4").write_bytes(b"nothing")
    figures = card("recording")
    assert figures["num_episodes"] == 2 and len(figures["damaged"]) == 1
    captured = capsys.readouterr()
    assert "| damaged files | 1 |" in captured.out and "episode_000001" in captured.out.split("## Damaged files")[1]
    assert "Traceback" not in captured.err


def test_what_is_wrong_is_told(capsys):
    still = play(steps=20)
    still.frames[:] = still.frames[0]
    for action in still.actions:
        action.update({key: np.zeros_like(value) for key, value in action.items()})
    store([still])
    figures = card("store")
    assert figures["still_share"] == 1 and figures["actions"]["idle_share"] == 1
    out = capsys.readouterr().out
    assert "- problem: 100.0% of the episodes never change their picture: seed_0" in out
    assert "- problem: the action is the same in all frames" in out
    assert card("store", "lint=false")["lint"] is None and "Not looked at." in capsys.readouterr().out


def test_shifted_actions_are_found(capsys):
    """A square that moves as it is told, a frame late."""
    space, generator = gymnasium.spaces.Discrete(3), np.random.default_rng(0)
    episodes = []
    for seed in range(8):
        actions = generator.integers(3, size=100)
        places = 24 + np.cumsum(np.concatenate([[0, 0], 3 * (actions - 1)]))[:-1] % 24
        frames = np.full((101, 64, 64, 3), 60, np.uint8)
        frames += generator.integers(0, 20, (64, 64, 1), np.uint8)
        for frame, place in zip(frames, places, strict=True):
            frame[24:40, place - 10 : place + 10] = np.linspace(90, 250, 20)[:, None]
        episodes.append(
            Episode(
                frames=frames,
                actions=actions.tolist(),
                rewards=np.zeros(100),
                terminated=False,
                truncated=True,
                infos=[{}] * 101,
                source=EpisodeSource(seed=seed),
            )
        )
    store(episodes, codec=ActionCodec(space))
    figures = card("store")
    assert max(figures["lint"]["alignment"], key=figures["lint"]["alignment"].get) == "-1"
    assert "actions are stored one frame early" in capsys.readouterr().out


def test_memory_is_bounded_and_parts_add_up():
    episode = play(seed=1, steps=30, env=FakeVoxel(height=16, width=16))
    codec = ActionCodec(action_space())
    whole, parts = DataCard(codec), DataCard(codec)
    whole.add(stretch_of(episode, "a", codec, continues=False))
    for start in range(0, 30, 10):
        part = Episode(
            frames=episode.frames[start : start + 11],
            actions=episode.actions[start : start + 10],
            rewards=episode.rewards[start : start + 10],
            terminated=episode.terminated and start == 20,
            truncated=False,
            infos=episode.infos[start : start + 11],
            source=episode.source,
        )
        parts.add(stretch_of(part, "a", codec, continues=start > 0))
    one, other = whole.figures(), parts.figures()
    for name, part in other["actions"]["factors"].items():
        assert part["shares"] == pytest.approx(one["actions"]["factors"][name].pop("shares"))
        del part["shares"]
    assert one == other and one["num_frames"] == 31 and one["ends"] == {"terminated": 1, "truncated": 0}


def test_long_episodes_of_a_store_come_in_parts():
    long = play(seed=1, steps=9, env=FakeVoxel(height=16, width=16))
    long.frames = np.repeat(long.frames, 250, axis=0)
    long.actions = [long.actions[i % 9] for i in range(len(long.frames) - 1)]
    long.rewards = np.ones(len(long.actions))
    long.infos = long.infos[:1] * len(long.frames)
    opened = EpisodeStore(store([long, play(seed=2, env=FakeVoxel(height=16, width=16))]))
    stretches = list(store_stretches(opened))
    assert [len(stretch.frames) for stretch in stretches] == [STRETCH_FRAMES, STRETCH_FRAMES, 502, 13]
    assert [stretch.continues for stretch in stretches] == [False, True, True, False]
    data_card = DataCard(opened.codec)
    for stretch in stretches:
        data_card.add(stretch)
    figures = data_card.figures()
    assert (figures["num_episodes"], figures["num_frames"]) == (2, 2500 + 13)
    assert figures["episode_frames"]["most"] == 2500
    assert data_card.episodes()["reward"][0] == 2499
    places = [place for place, _ in data_card.sheet]
    assert len(places) == 32 and {episode for episode, _ in places} == {0, 1}
    for (episode, t), frame in data_card.sheet:
        assert np.array_equal(frame, opened.buckets["16x16"].frames[2500 * episode + t])


def test_large_frames_are_shrunk_for_the_sheet():
    data_card = DataCard()
    episode = play(steps=1, env=FakeVoxel(height=400, width=800))
    data_card.add(stretch_of(episode, "a", None, continues=False))
    assert [frame.shape for _, frame in data_card.sheet] == [(96, 192, 3)] * 2


def test_an_interrupted_card_is_a_card_of_a_part(capsys, monkeypatch):
    record(episodes=4)
    add = DataCard.add

    def interrupted(self, stretch):
        add(self, stretch)
        if len(self._episodes) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(worldmodel.cli.data.DataCard, "add", interrupted)
    figures = card("recording", code=130)
    assert figures["num_episodes"] == 2 and figures["lint"] is None
    assert "interrupted: this is a part of it" in capsys.readouterr().out


def test_without_matplotlib_there_are_no_plots(capsys, monkeypatch):
    record(episodes=1, steps=3)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    card("recording")
    out = capsys.readouterr().out
    assert 'no plots: they need the extra "train"' in out and not Path("out/data_card.png").exists()
    assert out.splitlines()[-1] == "out/data_card.json, data_card.md, contact_sheet.png"


@pytest.mark.parametrize("name", ["a b,c", "x=1", "[odd] {name}"])
def test_any_path_is_taken(name):
    record(name, episodes=1, steps=2)
    assert card(name)["path"] == name == card(f"path='{name}'")["path"]


def test_default_output_is_named_after_the_time(capsys):
    record(episodes=1, steps=2)
    assert main(["data", "recording", "lint=false"]) == 0
    (folder,) = Path("runs/data").iterdir()
    assert capsys.readouterr().out.splitlines()[-1].startswith(str(folder))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("data", "path: expected a value, got none; add path=<value>"),
        ("data nowhere", "path: expected recorded episodes, videos or images, found none at nowhere"),
        ("data recording steps=3", "expected a setting among path, lint, output, got 'steps'"),
        ("data recording lint=maybe", "lint: "),
        ("data broken", "has nothing but 1 damaged files"),
    ],
)
def test_a_wrong_command_gets_one_line_that_helps(capsys, command, message):
    record(episodes=1, steps=2)
    Path("broken").mkdir()
    Path("broken/a.png").write_bytes(b"nothing")
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert message in captured.err.splitlines()[0] and "Traceback" not in captured.err
    assert not Path("runs").exists()
