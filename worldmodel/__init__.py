"""World models as Gymnasium environments.

`worldmodel.envs` holds the environments (importing it registers their ids), `worldmodel.agents` the players,
`worldmodel.data` the recordings and `worldmodel.cli` the command line.
"""

__version__ = "0.1.0"
