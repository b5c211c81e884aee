from support.fresh import fresh, prelude

__all__ = ["fresh", "prelude"]
