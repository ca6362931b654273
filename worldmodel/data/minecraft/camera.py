"""Camera bins: a few numbers for the turn of a tick, fine for small turns and coarse for large ones.

The law is the mu-law of telephony, applied to each angle: `sign(x) log(1 + mu |x|) / log(1 + mu)` of `x`, the share of
the largest turn. The result is cut evenly. Source: openai/Video-Pre-Training on GitHub, `lib/actions.py`,
`CameraQuantizer`.
"""

import math
from dataclasses import dataclass

from worldmodel.data.action_factors import CAMERA_BINSIZE, CAMERA_MAXVAL, CAMERA_MU


@dataclass(kw_only=True, slots=True)
class MuLaw:
    """One set of bins, counted from 0, the largest turn up or left.

    Attributes:
        maxval: The largest turn in degrees; what is beyond it becomes it.
        binsize: Step between bins before the law, in degrees.
        mu: The law's constant; the larger, the finer are small turns.
    """

    maxval: float
    binsize: float
    mu: float

    @property
    def count(self) -> int:
        """How many bins there are; odd, so that no turn has one."""
        return 2 * self.centre + 1

    @property
    def centre(self) -> int:
        """The bin of no turn."""
        return round(self.maxval / self.binsize)

    def encode(self, degrees: float) -> int:
        """Returns the bin that is nearest under the law."""
        share = min(abs(degrees) / self.maxval, 1.0)
        law = math.copysign(math.log1p(self.mu * share) / math.log1p(self.mu), degrees)
        return round((law * self.maxval + self.maxval) / self.binsize)

    def decode(self, index: float) -> float:
        """Returns the turn of a bin in degrees; between two bins the law goes on."""
        law = (index * self.binsize - self.maxval) / self.maxval
        return math.copysign(self.maxval / self.mu * ((1 + self.mu) ** abs(law) - 1), law)


VPT_CAMERA = MuLaw(maxval=CAMERA_MAXVAL, binsize=CAMERA_BINSIZE, mu=CAMERA_MU)
"""VPT's 11 bins."""

OASIS_CAMERA = MuLaw(maxval=20.0, binsize=0.5, mu=2.7)
"""Oasis's 81 bins. Source: etched-ai/open-oasis on GitHub, issue 9."""

MINEWORLD_CAMERA = MuLaw(maxval=90.0, binsize=9.0, mu=11.4887)
"""MineWorld's 21 bins. Source: microsoft/mineworld on GitHub, `mcdataset.py`."""
