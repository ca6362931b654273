"""Recorded episodes: video files, VPT's layout, Minari datasets, and folders of them.

```python
from worldmodel.data import read_episodes

for episode in read_episodes("runs/record/explorer"):
    seed, frames, actions = episode.source.seed, episode.frames, episode.actions
```
"""

from worldmodel.data.episodes import Episode, EpisodeSource, EpisodeWriter, write_episode
from worldmodel.data.lint import LintReport, lint_store
from worldmodel.data.minari import MinariWriter, append_minari, read_minari
from worldmodel.data.readers.vpt import read_vpt
from worldmodel.data.recording import Format, Recording, RecordingPlan, read_episodes, read_manifest
from worldmodel.data.sources import read_source
from worldmodel.data.store import EpisodeStore, EpisodeStoreWriter
from worldmodel.data.video import VideoInfo, VideoWriter, read_video, video_info, write_contact_sheet
from worldmodel.data.vpt import VptWriter

__all__ = [
    "Episode",
    "EpisodeSource",
    "EpisodeStore",
    "EpisodeStoreWriter",
    "EpisodeWriter",
    "Format",
    "LintReport",
    "MinariWriter",
    "Recording",
    "RecordingPlan",
    "VideoInfo",
    "VideoWriter",
    "VptWriter",
    "append_minari",
    "lint_store",
    "read_episodes",
    "read_manifest",
    "read_minari",
    "read_source",
    "read_video",
    "read_vpt",
    "video_info",
    "write_contact_sheet",
    "write_episode",
]
