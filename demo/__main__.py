"""What `python -m demo` runs."""

import signal
import sys

if __name__ == "__main__":
    # The imports take a second or two, and Ctrl-C would print a traceback of one of them.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .command import main

    sys.exit(main(sys.argv[1:]))
