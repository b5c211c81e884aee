"""Short names for texts: digests by BLAKE2.

`hashlib` loads OpenSSL for the other hashes it has, which takes more time and memory than many a run. Runs in the launcher.
"""

from __future__ import annotations


def digest(text: str, size: int) -> str:
    """Return a digest of so many bytes, as hexadecimal digits."""
    try:
        from _blake2 import blake2s
    except ImportError:  # an interpreter that was built without
        from hashlib import blake2s
    return blake2s(text.encode("utf-8", "replace"), digest_size=size).hexdigest()
