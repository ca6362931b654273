"""`python -m worldmodel.cli`."""

import sys

from worldmodel.cli import main

sys.exit(main())
