"""`python -m node`: the same as `daicho`."""

import sys

from node.cli.main import main

sys.exit(main())
