"""The compiled engine, and how an editable install finds the packages; all else about the build is in pyproject.toml."""

from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command import editable_wheel

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


setup(ext_modules=[ENGINE], cmdclass={"editable_wheel": FoldersOfPackages})
