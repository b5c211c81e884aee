"""All that runs inside the watched program.

`start` keeps the Arrivals of this process here, as `arrivals`. Those it imports by name later, `guard` and `session`, look here.
"""
