"""The compiled engine, the table of the packs, and how an editable install finds the packages; the rest is in pyproject.toml."""

import sys
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command import editable_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent

ENGINE = Extension(
    "hookmon.probe._engine",
    sources=["agent/hookmon/probe/_engine.c", "agent/hookmon/probe/_engine_others.c"],
    depends=sorted(
        ["agent/hookmon/probe/_engine.c", *glob("agent/hookmon/probe/c/*.h")]
    ),  # part of a source distribution, and built again when one changes
    optional=True,  # where it cannot be built the pure engine serves
    extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
)


class FoldersOfPackages(editable_wheel.editable_wheel):
    """Names the folders of the packages in the .pth file of an editable install.

    For packages in more than one folder setuptools installs a finder, whose imports more than double the start of each
    interpreter of the environment: every program that a test runs.
    """

    def _select_strategy(self, name, tag, build_lib):
        static = getattr(editable_wheel, "_StaticPth", None)
        if static is None:
            return super()._select_strategy(name, tag, build_lib)
        return static(self.distribution, name, [ROOT / "agent", ROOT / "bootstrap"])


class BuildTable(build_py):
    """Lays the table of the packs beside them, but for an installation that can be edited: there they may change."""

    def run(self):
        """Check the packs: a mistake in one ends the build."""
        super().run()
        if not self.editable_mode:
            sys.path.insert(0, str(ROOT / "agent"))
            from hookmon.config.pack_table import write

            write(Path(self.build_lib, "hookmon", "packs"))


setup(ext_modules=[ENGINE], cmdclass={"build_py": BuildTable, "editable_wheel": FoldersOfPackages})
