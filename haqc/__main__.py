"""``python -m haqc`` is the command ``haqc``."""

from haqc.cli import main

if __name__ == "__main__":
    main()
