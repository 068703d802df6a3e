"""Builds the optional C++ kernels: every file of graphssl/ops/cpp once for each instruction set, into one library.

Without a working compiler the package installs all the same and computes with torch alone. The library has a plain
C interface and knows neither Python nor torch, so one binary serves every version of both.
"""

import os
import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

FOLDER = Path("graphssl/ops/cpp")
COMMON = [
    "-std=c++17",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-pthread",
    "-Wno-psabi",
]
# What cpu.cpp may find at run time.
X86 = {
    "base": [],
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c", "-mprefer-vector-width=512"],
}
X86["avx512_bf16"] = [*X86["avx512"], "-mavx512bf16"]
X86["amx_bf16"] = [*X86["avx512_bf16"], "-mamx-tile", "-mamx-bf16"]
ONCE = {"cpu.cpp", "parallel.cpp"}  # machine code for any processor of the platform


def wanted(source, isa):
    """Is this file compiled for that instruction set? Files named *_bf16.cpp need one with bf16, others none."""
    if Path(source).name in ONCE:
        return isa == "base"
    return source.endswith("_bf16.cpp") == isa.endswith("_bf16")


class BuildKernels(build_ext):
    """Compiles per instruction set, and gives the library a name without a Python version in it."""

    def get_ext_filename(self, fullname):  # noqa: D102
        return str(Path(*fullname.split("."))) + ".so"

    def build_extension(self, ext):  # noqa: D102
        sets = X86 if platform.machine().lower() in ("x86_64", "amd64") else {"base": []}
        objects = []
        for isa, flags in sets.items():
            sources = [source for source in ext.sources if wanted(source, isa)]
            try:
                objects += self.compiler.compile(
                    sources, output_dir=str(Path(self.build_temp, isa)), depends=ext.depends,
                    macros=[("ISA", isa)], extra_postargs=[*COMMON, *flags],
                )  # fmt: skip
            except CompileError:
                if isa == "base":
                    raise
                self.warn(f"this compiler cannot build the kernels for {isa}: they are left out")
        target = self.get_ext_fullpath(ext.name)
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        fresh = f"{target}.new"
        self.compiler.link_shared_object(objects, fresh, extra_postargs=["-pthread"], target_lang="c++")
        os.replace(fresh, target)  # a process that runs the old one keeps it


class PlatformWheel(bdist_wheel):
    """The wheel fits one platform and every Python."""

    def get_tag(self):  # noqa: D102
        return ("py3", "none", super().get_tag()[2])


setup(
    cmdclass={"build_ext": BuildKernels, "bdist_wheel": PlatformWheel},
    ext_modules=[
        Extension(
            "graphssl.ops.cpp.kernels",
            sources=sorted(map(str, FOLDER.glob("*.cpp"))),
            depends=sorted(map(str, FOLDER.glob("*.h"))),
            optional=True,
        )
    ],
)
