"""What the tests share: runs of `hookmon run`, real servers, other interpreters."""
