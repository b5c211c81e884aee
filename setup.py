"""The compiled engine; all else about the build is in pyproject.toml."""

from glob import glob

from setuptools import Extension, setup

ENGINE = Extension(
    "hookmon.probe._engine",
    sources=["agent/hookmon/probe/_engine.c", "agent/hookmon/probe/_engine_others.c"],
    depends=sorted(
        ["agent/hookmon/probe/_engine.c", *glob("agent/hookmon/probe/c/*.h")]
    ),  # part of a source distribution, and built again when one changes
    optional=True,  # where it cannot be built the pure engine serves
    extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
)

setup(ext_modules=[ENGINE])
