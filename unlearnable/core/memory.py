"""How much memory there is."""

import os


def memory_of_machine() -> int:
    """Bytes of memory of this machine; where that is not known, more than anything needs."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 1 << 60
