"""Globs take what people mean by them."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase

import pytest

from hookmon.core.globs import Glob

TAKEN = {
    "app.*": (["app.views", "app.sub"], ["app", "app.sub.deep", "apple.views", "myapp.views"]),
    "app.**": (["app", "app.views", "app.sub.deep"], ["apple", "ap", "other.app"]),
    "app.**.models": (["app.models", "app.shop.models", "app.a.b.models"], ["app", "models", "app.models.old"]),
    "app.*.models": (["app.shop.models"], ["app.models", "app.a.b.models"]),
    "app.v*s": (["app.views", "app.vs"], ["app.view", "app.v.s"]),
    "app.[a-c]?": (["app.b1"], ["app.d1", "app.b", "app.b12"]),
    "app.[!a]": (["app.b"], ["app.a"]),
    "*.views": (["app.views"], ["views", "app.sub.views"]),
    "**": (["app", "app.sub.deep"], []),
    "**.views": (["views", "app.sub.views"], ["app.view", "app.views.old"]),
}


@pytest.mark.parametrize("glob", TAKEN)
def test_a_star_stays_in_its_part_and_two_stars_are_any_number_of_parts(glob: str):
    """Also none: "app.**" is app and all below it."""
    taken, left = TAKEN[glob]
    assert [name for name in (*taken, *left) if Glob(glob).takes(name)] == taken


@pytest.mark.parametrize(
    ("glob", "taken", "left"),
    [
        ("/srv/dags/*.py", ["/srv/dags/sales.py"], ["/srv/dags/old/sales.py", "/srv/dags/sales.pyc"]),
        ("/srv/**/*.py", ["/srv/a.py", "/srv/dags/old/sales.py"], ["/var/a.py"]),
    ],
)
def test_a_glob_of_files_has_slashes_between_its_parts(glob: str, taken: list[str], left: list[str]):
    """And is otherwise the same."""
    assert [path for path in (*taken, *left) if Glob(glob, "/").takes(path)] == taken


def test_a_part_means_what_it_means_to_fnmatch():
    """For patterns and names at random, of the signs that matter."""
    dice = random.Random(7)
    for _ in range(20_000):
        pattern = "".join(dice.choice("ab*?[]!-") for _ in range(dice.randint(0, 7)))
        name = "".join(dice.choice("ab-!]") for _ in range(dice.randint(0, 6)))
        if pattern != "**":
            assert Glob(pattern, "/").takes(name) == fnmatchcase(name, pattern), (pattern, name)


def test_many_stars_take_no_time():
    """A pattern that goes back at each star would take years."""
    assert not Glob("*a" * 30).takes("a" * 29 + "b" * 2_000)


@pytest.mark.parametrize(("glob", "root"), [("app.**", "app"), ("app.*.x", "app"), ("**", ""), ("*.views", ""), ("ap?.x", "")])
def test_the_root_is_the_first_part_of_all_names(glob: str, root: str):
    """By it the finder tells at once what a glob cannot take."""
    assert Glob(glob).root == root


def test_the_narrower_glob_has_more_letters():
    """It goes first."""
    globs = ["**", "app.**", "app.db.*", "app.*"]
    assert sorted(globs, key=lambda glob: -Glob(glob).literal_length) == ["app.db.*", "app.**", "app.*", "**"]
