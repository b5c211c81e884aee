"""What an ORM does with the rows of its queries: making objects, and what an N + 1 costs beside its statements."""

from __future__ import annotations

import pytest
from support.engines import ENGINES

from .conftest import Compared

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)

MODELS = """
    from sqlalchemy import Column, ForeignKey, Integer, String, create_engine, func, select
    from sqlalchemy.orm import Session, declarative_base, relationship
    Base = declarative_base()
    class Customer(Base):
        __tablename__ = "customer"
        id = Column(Integer, primary_key=True)
        name = Column(String)
        orders = relationship("Order")
    class Order(Base):
        __tablename__ = "orders"
        id = Column(Integer, primary_key=True)
        customer_id = Column(ForeignKey("customer.id"))
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Customer(name=SECRET, orders=[Order(), Order()]) for _ in range(8)])
        session.commit()
"""
LOADED = """
    with Session(engine) as session:
        print(len(session.execute(select(Customer)).scalars().all()))
        print(len(session.query(Customer).filter(Customer.name == SECRET).all()), session.get(Order, 1).id)
        print(len(session.execute(select(Customer.id, Customer.name)).all()), session.scalar(select(func.count(Order.id))))
        print(sum(len(part) for part in session.execute(select(Order).execution_options(yield_per=5)).scalars().partitions()))
        print(session.execute(select(Order).where(Order.id == 999)).scalars().first())
        for one in session.execute(select(Order)).scalars():
            if one.id == 3: break
"""


@EACH_ENGINE
def test_the_making_of_objects_is_told_by_class(engine: str, compared: Compared) -> None:
    """Once for each result that is read, of several columns as rows; what nobody reads is not made."""
    env = {"HOOKMON_ENGINE": engine}
    under = compared(MODELS + LOADED, needs=["sqlalchemy"], env=env, packs=["sqlalchemy", "sqlite3"])
    made = {name: calls for name, calls in under.calls("hook").items() if name.startswith("load ")}
    assert made == {"load Customer": 2, "load Order": 1 + 1 + 1 + 1, "load rows": 2}
    plain = compared(MODELS + LOADED, needs=["sqlalchemy"], env=env, packs=["sqlite3"])
    assert plain.calls("sql") == under.calls("sql")


ASKED = """
    def page():
        with Session(engine) as session:
            return sum(len(customer.orders) for customer in session.query(Customer).all())
    print([page() for _ in range(5)])
"""
OWN = '[[watch]]\nmodule = "__main__"\ncalls = ["page"]\nkind = "task"\nentry = true\n'


@EACH_ENGINE
def test_an_n_plus_one_is_worth_more_than_its_statements(engine: str, compared: Compared) -> None:
    """What SQLAlchemy does around each of the eight is saved with it: the statements are the smaller part by far."""
    packs = ["sqlalchemy", "sqlite3"]
    env = {"HOOKMON_ENGINE": engine}
    under = compared(MODELS + ASKED, needs=["sqlalchemy"], env=env, packs=packs, config=OWN)
    (page,) = (row for row in under.report["transactions"] if row["name"] == "page")
    (found,) = (finding for finding in under.report["findings"] if finding["kind"] == "repetition")
    (asked,) = (row for row in page["children"] if row["name"] == found["call"])
    (loaded,) = (row for row in page["children"] if row["name"] == "lazy load Customer.orders")
    assert (asked["calls"], loaded["calls"]) == (5 * 8, 5 * 8)
    assert found["title"].endswith(" 8 times in a row")
    assert "in the ORM around the calls" in found["evidence"]
    assert asked["total_ns"] < found["time_ns"] <= loaded["total_ns"]
