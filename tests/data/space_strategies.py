"""Hypothesis strategies that compose random Gymnasium spaces."""

import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

SHAPES = st.lists(st.integers(1, 3), max_size=2).map(tuple)
FLOATS = st.sampled_from([np.float32, np.float64])
INTEGERS = st.sampled_from([np.int8, np.uint8, np.int32, np.int64])


@st.composite
def float_boxes(draw):
    """Boxes of floats, each component with bounds of its own, some infinite."""
    shape, dtype = draw(SHAPES), draw(FLOATS)
    low, high = np.empty(shape, dtype), np.empty(shape, dtype)
    for index in np.ndindex(shape):
        low[index] = draw(st.floats(-1e4, 1e4, width=32))
        high[index] = low[index] + draw(st.floats(0, 1e4, width=32))
        low[index] = -np.inf if draw(st.booleans()) else low[index]
        high[index] = np.inf if draw(st.booleans()) else high[index]
    return spaces.Box(low, high, shape, dtype)


@st.composite
def integer_boxes(draw):
    """Boxes of integers within the range of their type, all of it sometimes."""
    shape, dtype = draw(SHAPES), draw(INTEGERS)
    limits = np.iinfo(dtype)
    bounds = [draw(st.tuples(*[st.integers(limits.min, limits.max - 1)] * 2)) for _ in np.ndindex(shape)]
    if draw(st.booleans()):
        bounds = [(limits.min, limits.max - 1)] * len(bounds)
    low = np.array([min(pair) for pair in bounds], dtype).reshape(shape)
    high = np.array([max(pair) for pair in bounds], dtype).reshape(shape)
    return spaces.Box(low, high, shape, dtype)


@st.composite
def multi_discretes(draw):
    """MultiDiscrete of one or two dimensions, with starts."""
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple))
    count = int(np.prod(shape))
    nvec = draw(st.lists(st.integers(1, 6), min_size=count, max_size=count))
    start = draw(st.lists(st.integers(-5, 5), min_size=count, max_size=count))
    dtype = draw(st.sampled_from([np.int8, np.int64]))
    return spaces.MultiDiscrete(np.reshape(nvec, shape), dtype, start=np.reshape(start, shape))


LEAVES = st.one_of(
    st.builds(spaces.Discrete, st.integers(1, 50), start=st.integers(-20, 20)),
    st.builds(spaces.Discrete, st.integers(1, 5), start=st.integers(-3, 3), dtype=st.sampled_from([np.int8, np.int32])),
    st.builds(spaces.MultiBinary, st.integers(1, 4)),
    st.builds(spaces.MultiBinary, st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple)),
    multi_discretes(),
    float_boxes(),
    integer_boxes(),
    st.just(spaces.Box(0, 1, (2,), np.bool_)),
    st.just(spaces.Box(-180.0, 180.0, (2,), np.float32)),
)

KEYS = st.sampled_from(["camera", "forward", "hotbar.1", "a/b", "", "größe"])

SPACES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.dictionaries(KEYS, parts, min_size=1, max_size=4).map(lambda items: spaces.Dict(list(items.items()))),
        st.lists(parts, min_size=1, max_size=3).map(spaces.Tuple),
    ),
    max_leaves=6,
)
"""Spaces with something to choose, nested."""
