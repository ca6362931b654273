import copy
import json
import pickle
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from worldmodel.data.minecraft.dictionary import ITEM_ACTIONS
from worldmodel.envs.minerl.errors import Failure, MineRLError
from worldmodel.envs.minerl.spaces import Enum, checked_action, checked_observation, no_op, to_gymnasium

GOLDEN = json.loads((Path(__file__).parent / "golden" / "minerl_0.4.4.json").read_text())
BUTTONS = ("attack", "back", "forward", "jump", "left", "right", "sneak", "sprint")


def camera_and(**parts):
    keys = {name: spaces.Discrete(2) for name in BUTTONS} | {"camera": spaces.Box(-180, 180, (2,), np.float32)}
    return spaces.Dict(keys | parts)


def counts(*names):
    return spaces.Dict({name: spaces.Box(0, 2304, (), np.int32) for name in names})


def converted(task, part):
    return to_gymnasium(GOLDEN[task][part])


def test_treechop():
    assert converted("MineRLTreechop-v0", "action") == camera_and()
    assert converted("MineRLTreechop-v0", "observation") == spaces.Dict(pov=spaces.Box(0, 255, (64, 64, 3), np.uint8))


def test_navigate():
    assert converted("MineRLNavigate-v0", "action") == camera_and(place=Enum(["dirt", "none"], "none"))
    observed = converted("MineRLNavigate-v0", "observation")
    assert observed == spaces.Dict(
        compass=spaces.Dict(angle=spaces.Box(-180, 180, (), np.float32)),
        inventory=counts("dirt"),
        pov=spaces.Box(0, 255, (64, 64, 3), np.uint8),
    )
    assert list(observed) == ["compass", "inventory", "pov"]


def test_obtain_diamond_with_all_its_enums():
    space = converted("MineRLObtainDiamond-v0", "action")
    enums = {key: part for key, part in space.spaces.items() if isinstance(part, Enum)}
    assert {key: set(part.values) for key, part in enums.items()} == {key: set(v) for key, v in ITEM_ACTIONS.items()}
    assert all(part.values == tuple(sorted(part.values)) and part.default == "none" for part in enums.values())
    assert space == camera_and(**enums)
    observed = converted("MineRLObtainDiamond-v0", "observation")
    assert len(observed["inventory"]) == 18 and observed["inventory"] == counts(*observed["inventory"])
    hand = observed["equipped_items"]["mainhand"]
    assert hand["damage"] == hand["maxDamage"] and hand["damage"].dtype.kind == "i" and hand["damage"].shape == ()
    assert "other" in hand["type"].values


def test_others():
    assert converted("MineRLTreechopVectorObf-v0", "action")["vector"].shape == (64,)
    assert converted("MineRLBasaltFindCave-v0", "action")["use"] == spaces.Discrete(2)
    assert "snowball" in converted("MineRLBasaltFindCave-v0", "observation")["inventory"].spaces
    assert converted("MineRLBasaltMakeWaterfallHighRes-v0", "observation")["pov"].shape == (1024, 1024, 3)


@pytest.mark.parametrize("task", GOLDEN)
def test_the_same_does_nothing_as_in_minerl(task):
    space = converted(task, "action")
    nothing = no_op(space)
    assert {key: np.asarray(value).tolist() for key, value in nothing.items()} == GOLDEN[task]["noop"]
    assert nothing in space and list(nothing) == list(GOLDEN[task]["noop"])


@pytest.mark.parametrize("task", GOLDEN)
def test_every_sample_is_an_action_and_stays_as_it_is(task):
    space = converted(task, "action")
    space.seed(0)
    for _ in range(50):
        action = space.sample()
        checked = checked_action(space, action)
        assert checked in space and list(checked) == list(space)
        assert all(np.array_equal(checked[key], action[key]) for key in space)
        assert all(type(checked[key]) is str for key, part in space.spaces.items() if isinstance(part, Enum))


def test_enum_is_a_space():
    space = Enum(["cobblestone", "dirt", "none"], "none", seed=3)
    assert {space.sample() for _ in range(100)} == set(space.values)
    assert all(sample in space for sample in space.values) and np.str_("dirt") in space
    assert not any(other in space for other in ("stone", 0, None, "", np.int64(1)))
    assert space.sample(mask=np.array([0, 1, 0], np.int8)) == "dirt"
    assert space != Enum(["cobblestone", "dirt", "none"], "dirt") and space != spaces.Discrete(3)
    for other in (copy.deepcopy(space), pickle.loads(pickle.dumps(space)), eval(repr(space))):
        assert other == space and other.default == "none"
    flat = spaces.flatten(space, "dirt")
    assert flat in spaces.flatten_space(space) and spaces.unflatten(space, flat) == "dirt"
    assert batch_space(space, 2).contains(("dirt", "none"))
    assert Enum(["a", "b"]).default == "a"


@pytest.mark.parametrize(("values", "default"), [([], None), (["a", "a"], "a"), (["a"], "b")])
def test_bad_enums_are_refused(values, default):
    with pytest.raises(ValueError, match="values: expected different strings"):
        Enum(values, default)


def test_what_an_observation_means_is_kept_and_its_types_are_made_those_of_the_space():
    space = converted("MineRLNavigate-v0", "observation")
    pov = np.zeros((64, 64, 3), np.uint8)
    seen = checked_observation(
        space, {"pov": pov, "compass": {"angle": np.array(-43.52664)}, "inventory": {"dirt": np.int64(3)}}
    )
    assert seen in space and seen["compass"]["angle"] == np.float32(-43.52664) and seen["inventory"]["dirt"] == 3
    pov[:] = 1
    assert not seen["pov"].any()
    hand = converted("MineRLObtainDiamond-v0", "observation")["equipped_items"]["mainhand"]["type"]
    assert checked_observation(hand, np.array("stone_axe")) == "stone_axe"


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (spaces.Box(0, 255, (2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8), r"got uint8 of shape \(2, 3, 3\)"),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([0.5, 1]), "got float64"),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([-1, 1]), "got int64"),
        (spaces.Box(0, 9, (), np.int32), 2**40, "got 1099511627776"),
        (spaces.Box(0, 9, (), np.int32), None, "got None"),
        (spaces.Box(0, 9, (), np.float32), "1", "got '1'"),
        (spaces.Discrete(3), np.array([1]), "got int64 of shape"),
        (Enum(["a", "b"]), "c", "got 'c'"),
        (Enum(["a", "b"]), 0, "got 0"),
        (spaces.Dict(a=spaces.Discrete(2)), {}, r"the keys \['a'\], got the keys \[\]"),
        (spaces.Dict(a=spaces.Discrete(2)), 3, r"the keys \['a'\], got 3"),
        (spaces.Tuple([spaces.Discrete(2)]), (0, 1), r"got \(0, 1\)"),
        (spaces.Text(5), 5, "got 5"),
    ],
)
def test_what_is_not_an_observation_is_refused(space, value, message):
    with pytest.raises(MineRLError, match=f"(?s)here: expected.*{message}.*it is no data") as error:
        checked_observation(space, value, "here")
    assert error.value.failure is Failure.INVALID


def test_actions_may_be_partial_and_of_any_number_type():
    space = converted("MineRLNavigate-v0", "action")
    action = checked_action(space, {"forward": np.array([1]), "camera": [[5, -10.0]], "jump": True, "attack": 1.0})
    assert action in space and action["place"] == "none" and action["camera"].tolist() == [5, -10]
    assert [action[key] for key in ("forward", "jump", "attack", "back")] == [1, 1, 1, 0]
    assert str(checked_action(space, {})) == str(no_op(space))


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (3, TypeError, "action: expected a dictionary with any of the keys attack, back"),
        ({"craft": "planks"}, ValueError, "action: expected keys among .*, got 'craft'"),
        ({"place": "stone"}, ValueError, r"action\['place'\]: expected a member of Enum.*got 'stone'"),
        ({"place": 0}, ValueError, r"action\['place'\]"),
        ({"jump": 2}, ValueError, r"action\['jump'\]: expected a member of Discrete\(2\), got 2"),
        ({"jump": 0.5}, ValueError, r"action\['jump'\]"),
        ({"jump": "1"}, TypeError, r"action\['jump'\]"),
        ({"camera": [0.0]}, ValueError, r"action\['camera'\]"),
        ({"camera": [0.0, 181.0]}, ValueError, r"action\['camera'\]"),
        ({"camera": [0.0, float("nan")]}, ValueError, r"action\['camera'\]"),
        ({"camera": None}, TypeError, r"action\['camera'\]"),
    ],
)
def test_bad_actions_are_refused(action, error, message):
    with pytest.raises(error, match=message):
        checked_action(converted("MineRLNavigate-v0", "action"), action)


def test_an_unknown_space_is_named():
    said = {"type": "Dict", "spaces": [["a", {"type": "Strange", "said": "Strange()"}]]}
    with pytest.raises(MineRLError, match=r"space\['a'\]: expected one of MineRL's spaces, got Strange Strange\(\)"):
        to_gymnasium(said)


def test_conversion_agrees_with_gymnasium_on_bounds():
    said = {"type": "Box", "low": [0.0, 0.0], "high": [1.5, float("inf")], "shape": [2], "dtype": "float64"}
    space = to_gymnasium(said)
    assert isinstance(space, gymnasium.spaces.Box) and space.dtype == np.float64
    assert space.bounded_above.tolist() == [True, False] and space.high.tolist() == [1.5, float("inf")]
