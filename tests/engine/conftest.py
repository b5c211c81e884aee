from support.fresh import fresh

__all__ = ["fresh"]
