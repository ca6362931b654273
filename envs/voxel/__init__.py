"""The embedded block world, in the manner of Minecraft; `docs/architecture.md` maps the modules."""

import hashlib
import logging
from pathlib import Path


def _drop_stale_kernels() -> None:
    """Forgets compiled kernels if any source file of this package has changed since they were compiled.

    Numba's cache watches only the file that a kernel stands in, but kernels contain the tables and the inlined
    functions of other files: after an edit of `blocks.py`, say, the cached ones would be wrong.
    """
    folder = Path(__file__).parent
    sources = sorted((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in folder.glob("*.py"))
    stamp = hashlib.sha256(repr(sources).encode()).hexdigest()
    record = folder / "__pycache__" / "kernels.stamp"
    try:
        if record.exists() and record.read_text() == stamp:
            return
        for path in record.parent.glob("*.nb[ic]"):
            path.unlink(missing_ok=True)
        logging.getLogger(__name__).warning("compiling the block world, once: this takes about a minute")
        record.parent.mkdir(exist_ok=True)
        record.write_text(stamp)
    except OSError:
        return  # an installation that cannot be written does not change either


_drop_stale_kernels()
