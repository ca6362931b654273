"""Readers of recordings, one file for each layout on disk; `worldmodel.data.read_source` finds out which one is needed.

A reader has a function `find_...(folder)`, which looks at names and returns the recordings of its layout that lie in a
folder, and a function `open_...(path)`, which returns a `Track`: the video, and what stands beside each frame of it.
Cutting a track into episodes is the same for all and stands in `track.py`.
"""
