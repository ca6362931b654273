import pytest

from worldmodel.data import EpisodeSource
from worldmodel.data.splits import FIRST_EVALUATION_SEED, held_out, world_key


def _source(seed, env_id="worldmodel/Voxel-v0"):
    return EpisodeSource(env_id=env_id, seed=seed)


def test_one_world_is_in_one_split_whoever_plays_in_it():
    for seed in range(200):
        keys = [f"runs/{player}/episode_{seed:06d}" for player in ("explorer", "builder")]
        assert len({world_key(_source(seed), key) for key in keys}) == 1
        assert len({held_out(world_key(_source(seed), key), 20) for key in keys}) == 1


def test_one_world_is_in_one_split_whichever_task_is_set_in_it():
    for seed in range(50):
        tasks = ("worldmodel/Voxel-v0", "worldmodel/VoxelTreechop-v0")
        assert len({world_key(_source(seed, env_id), "episode") for env_id in tasks}) == 1


def test_no_world_is_in_both_splits_when_a_recording_grows_or_is_recorded_in_another_order():
    def split(seeds):
        worlds = {world_key(_source(seed), f"episode_{i}") for i, seed in enumerate(seeds)}
        test = {world for world in worlds if held_out(world, 10)}
        return worlds - test, test

    train, test = split(range(300))
    more_train, more_test = split(reversed(range(1000)))
    assert train and test and not train & test
    assert train <= more_train and test <= more_test and not more_train & more_test


@pytest.mark.parametrize("percent", [1, 5, 20, 50])
def test_the_share_is_about_what_was_asked_for(percent):
    share = sum(held_out(world_key(_source(seed), ""), percent) for seed in range(20_000)) / 200
    assert share == pytest.approx(percent, rel=0.2)


def test_the_ends_of_the_range():
    worlds = [str(i) for i in range(1000)]
    assert not any(held_out(world, 0) for world in worlds)
    assert all(held_out(world, 100) for world in worlds)
    for percent in (-1, 101, float("nan")):
        with pytest.raises(ValueError, match="percent: expected a number from 0 to 100"):
            held_out("world", percent)


def test_a_larger_share_holds_out_the_same_worlds_and_more():
    five, ten = ({i for i in range(1000) if held_out(str(i), percent)} for percent in (5, 10))
    assert five < ten


def test_without_a_seed_the_name_decides_and_the_folder_above_does_not():
    one, two = (world_key(_source(None, ""), f"{place}/clips/walk.mp4") for place in ("/home/ada", "data"))
    assert one == two == "clips/walk.mp4"
    assert world_key(_source(None, ""), "data/other/walk.mp4") != one


def test_the_split_is_the_same_on_every_machine():
    assert [seed for seed in range(60) if held_out(world_key(_source(seed), ""), 5)] == [17, 31, 54]


def test_worlds_for_evaluation_are_held_out_whatever_the_share():
    for seed in (FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + 7, 2**40):
        assert all(held_out(world_key(_source(seed), ""), percent) for percent in (0, 0.01, 50, 100))
    assert not any(held_out(world_key(_source(FIRST_EVALUATION_SEED - 1 - seed), ""), 0) for seed in range(100))
