"""Programs that nobody wrote for hookmon, and what they work on: for `benchmarks.own`."""

from __future__ import annotations

import random
from pathlib import Path

PACKAGES = ("sphinx", "docutils", "yapf", "pycodestyle", "lark", "mistune", "markdown", "sqlparse", "pylint")

PROGRAMS = {
    "sphinx": """
        from sphinx.cmd.build import main
        ---
        main(["-q", "-q", "-E", "docs", "out"])
        """,
    "rst2html": """
        from docutils.core import publish_file
        quiet = {"report_level": 5}
        ---
        publish_file(source_path="page.rst", destination_path="/dev/null", writer_name="html5", settings_overrides=quiet)
        """,
    "yapf": """
        import argparse
        from yapf.yapflib.yapf_api import FormatCode
        text = open(argparse.__file__).read()
        ---
        FormatCode(text)
        """,
    "pycodestyle": """
        import argparse, logging, typing, pycodestyle
        ---
        style = pycodestyle.StyleGuide(quiet=2)
        for module in (argparse, logging, typing, pycodestyle):
            style.input_file(module.__file__)
        """,
    "lark": """
        import argparse, lark
        from lark.indenter import PythonIndenter
        text = open(argparse.__file__).read() + "\\n"
        ---
        options = {"parser": "lalr", "postlex": PythonIndenter(), "start": "file_input"}
        parser = lark.Lark.open_from_package("lark", "python.lark", ["grammars"], **options)
        for _ in range(2):
            parser.parse(text)
        """,
    "mistune": """
        import mistune
        text = open("page.md").read()
        ---
        markdown = mistune.create_markdown(plugins=["table", "strikethrough"])
        for _ in range(6):
            markdown(text)
        """,
    "markdown": """
        import markdown
        text = open("page.md").read()
        ---
        for _ in range(2):
            markdown.markdown(text, extensions=["tables", "fenced_code"])
        """,
    "sqlparse": """
        import sqlparse
        text = open("queries.sql").read()
        ---
        sqlparse.format(text, reindent=True, keyword_case="upper")
        """,
    "pylint": """
        import io, shutil, textwrap
        from pylint.lint import Run
        from pylint.reporters.text import TextReporter
        ---
        Run(["--persistent=n", textwrap.__file__, shutil.__file__], reporter=TextReporter(io.StringIO()), exit=False)
        """,
}
"""By name: what a script imports and reads, and what it does then."""

_TEXT = "alpha beta gamma module value returns which under over count *important* **strong** ``code``"
_WORDS = tuple(_TEXT.split())
_MODULES = ("argparse", "json", "logging", "shutil", "string", "textwrap")


def write_inputs(folder: Path) -> None:
    """Write what the programs work on: always the same."""
    pick = random.Random(4)

    def words(count: int) -> str:
        return " ".join(pick.choice(_WORDS) for _ in range(count))

    def page(sections: int) -> str:
        parts = ["Page\n====\n"]
        for number in range(sections):
            items = "\n".join(f"* {words(12)}" for _ in range(5))
            table = "+-----+-----+\n| a   | b   |\n+=====+=====+\n| one | two |\n+-----+-----+"
            parts += [f"Section {number}\n{'-' * 20}\n\n{words(60)}\n\n{items}\n\n1. {words(10)}\n2. {words(10)}\n"]
            parts += [f"term\n   {words(15)}\n\n::\n\n   x = 1\n\n{table}\n\n.. note:: {words(20)}\n\n:field: {words(8)}\n"]
        return "\n".join(parts)

    docs = folder / "docs"
    docs.mkdir(exist_ok=True)
    (docs / "conf.py").write_text("project = 'p'\nextensions = ['sphinx.ext.autodoc']\n")
    pages = [f"page{number}" for number in range(6)] + list(_MODULES)
    (docs / "index.rst").write_text("Index\n=====\n\n.. toctree::\n\n" + "".join(f"   {name}\n" for name in pages))
    for name in pages:
        automatic = f"{name}\n{'=' * 20}\n\n.. automodule:: {name}\n   :members:\n   :undoc-members:\n"
        (docs / f"{name}.rst").write_text(automatic if name in _MODULES else page(12))
    (folder / "page.rst").write_text(page(60))
    sections = [
        f"## Section\n\n{words(60)}\n\n- {words(12)}\n- {words(12)}\n\n```\nx\n```\n\n> {words(20)}\n" for _ in range(150)
    ]
    (folder / "page.md").write_text("\n".join(sections).replace("``", "`").replace("`\nx\n`", "```\nx\n```"))
    query = (
        "select a.x, count(*) as n from t a left join u b on a.id = b.id where a.x in (1, 2) and (b.y > 'x' or b.y is null);\n"
    )
    (folder / "queries.sql").write_text(query * 250)
