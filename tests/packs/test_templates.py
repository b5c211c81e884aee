"""The packs of template engines: a template that is rendered is one call by its name, whatever it includes."""

from __future__ import annotations

from packs.conftest import Compared

JINJA2 = """
    import asyncio, jinja2
    pages = {"page.html": "{% extends 'base.html' %}{% block b %}{{ x }}{% include 'part.html' %}{% endblock %}",
        "base.html": "<{% block b %}{% endblock %}>", "part.html": "{{ x|length }}", "bad.html": "{{ nothing.at.all }}"}
    env = jinja2.Environment(loader=jinja2.DictLoader(pages))
    for _ in range(5): print(len(env.get_template("page.html").render(x=SECRET)))
    print(len("".join(env.get_template("part.html").generate(x=SECRET))))
    print(len(env.from_string("{{ x }}" + SECRET).render({"x": SECRET})))
    try: env.get_template("bad.html").render()
    except jinja2.UndefinedError: print("undefined")
    later = jinja2.Environment(loader=jinja2.DictLoader(pages), enable_async=True)
    async def main():
        return await asyncio.gather(*[later.get_template("part.html").render_async(x=SECRET) for _ in range(20)])
    print(len(asyncio.run(main())))
"""


def test_jinja2_templates_are_counted_by_name(compared: Compared) -> None:
    """Each is compiled once in each environment."""
    under = compared(JINJA2, needs=["jinja2"], env={})
    rendered = {"page.html": 5, "part.html": 1 + 20, "<template>": 1, "bad.html": 1}
    compiled = {"page.html": 1, "base.html": 1, "part.html": 2, "?": 1, "bad.html": 1}
    assert under.calls("template") == {f"jinja2 {name}": count for name, count in rendered.items()} | {
        f"jinja2 compile {name}": count for name, count in compiled.items()
    }
    assert under.errors("template") == {"jinja2 bad.html": 1}


MAKO = """
    import os
    from mako.template import Template
    from mako.lookup import TemplateLookup
    os.makedirs("pages")
    for name, text in {"page.html": "<%include file='part.html'/>${x}", "part.html": "${len(x)}", "bad.html": "${1/0}"}.items():
        with open(f"pages/{name}", "w") as file: file.write(text)
    lookup = TemplateLookup(directories=["pages"])
    for _ in range(5): print(len(lookup.get_template("page.html").render(x=SECRET)))
    print(len(lookup.get_template("part.html").render_unicode(x=SECRET)))
    for _ in range(3): print(len(Template("${x}" + SECRET).render(x=SECRET)))
    try: lookup.get_template("bad.html").render()
    except ZeroDivisionError: print("bad")
"""


def test_mako_templates_are_counted_by_name(compared: Compared) -> None:
    """Those that are made of a text have none."""
    under = compared(MAKO, needs=["mako"], env={})
    rendered = {"page.html": 5, "part.html": 1, "Template": 3, "bad.html": 1}
    compiled = {"page.html": 1, "part.html": 1, "None": 3, "bad.html": 1}
    assert under.calls("template") == {f"mako {name}": count for name, count in rendered.items()} | {
        f"mako compile {name}": count for name, count in compiled.items()
    }
    assert under.errors("template") == {"mako bad.html": 1}


TORNADO = """
    from tornado.template import DictLoader, Template
    loader = DictLoader({"page.html": "{% include part.html %}{{ x }}", "part.html": "{{ len(x) }}", "bad.html": "{{ 1/0 }}"})
    for _ in range(5): print(len(loader.load("page.html").generate(x=SECRET)))
    print(len(Template("{{ x }}" + SECRET).generate(x=SECRET)))
    try: loader.load("bad.html").generate()
    except ZeroDivisionError: print("bad")
"""


def test_tornado_templates_are_counted_by_name(compared: Compared) -> None:
    """Each is compiled once."""
    under = compared(TORNADO, needs=["tornado"], env={})
    rendered = {"page.html": 5, "<string>": 1, "bad.html": 1}
    compiled = {"page.html": 1, "part.html": 1, "?": 1, "bad.html": 1}
    assert under.calls("template") == {f"tornado {name}": count for name, count in rendered.items()} | {
        f"tornado compile {name}": count for name, count in compiled.items()
    }
    assert under.errors("template") == {"tornado bad.html": 1}
