"""Every Triton kernel compiles for compute capability 9.0, to machine code, on a machine without a GPU."""

import subprocess
import tempfile
from importlib import util
from pathlib import Path

import pytest

if util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from graphssl.ops.triton import neighbours, rows, subgraphs, tiles, walks

TARGET = GPUTarget("cuda", 90, 32)
SHARED_MEMORY = 227 * 1024  # bytes that a block may have there
COUNTS = dict.fromkeys(("A", "C", "half", "width"), "i32")
ROWS = dict(src_ptr="*fp32", begin_ptr="*i32", end_ptr="*i32", out_ptr="*fp32", width="i32")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def build(kernel, types, constants, options, aligned=()):
    """Compile for pointers, and the integers named, that 16 divides."""
    signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
    aligned = [name for name, kind in types.items() if kind.startswith("*") or name in aligned]
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={(kernel.arg_names.index(name),): value for name, value in constants.items()},
        attrs={(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned},
    )
    return triton.compile(source, target=TARGET, options=options)


def stack_bytes(compiled):
    """What a thread keeps in memory because registers did not suffice."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = subprocess.run([tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True)
    return int(usage.stdout.split("STACK:")[1].split()[0])


@pytest.mark.parametrize(
    ("backward", "score_parts", "parts", "dims"),
    [
        (False, 3, 3, 128),
        (True, 3, 3, 128),
        (False, 2, 2, 128),
        (True, 2, 2, 128),
        (True, 1, 2, 256),
        (True, 2, 2, 256),
        (False, 3, 3, 256),
        (True, 3, 3, 256),
        (False, 1, 1, 16),
        (True, 3, 3, 64),
        (True, 1, 2, 384),
    ],
)
def test_contrast(backward, score_parts, parts, dims):
    check_contrast(backward, score_parts, parts, dims)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("skip", ["none", "self"])
def test_contrast_with_a_running_maximum_and_other_pairs(backward, skip):
    check_contrast(backward, 3, 3, 128, skip=skip, fixed=False)


def check_contrast(backward, score_parts, parts, dims, *, skip="self and partner", fixed=True):
    shape = tiles.shape_for(dims, score_parts, parts, backward=backward)
    constants = dict(SKIP=skip, P=dims, PARTS=parts)
    types = dict(x_ptr="*bf16", y_ptr="*bf16", out_ptr="*fp32", coefficient="fp32", **COUNTS)
    if backward:
        constants |= dict(BLOCK_OUT=shape.out, SCORE_PARTS=score_parts)
        types |= dict.fromkeys(("lse_x_ptr", "lse_y_ptr", "grad_x_ptr", "grad_y_ptr"), "*fp32") | {"scale": "fp32"}
    else:
        constants["FIXED"] = fixed
        types["shift"] = "fp32"
    options = shape.options()
    constants |= {name: options.pop(name) for name in ("BLOCK_A", "BLOCK_C", "BLOCK_P")}
    compiled = build(tiles.gradient_kernel if backward else tiles.logsumexp_kernel, types, constants, options)
    assert "wgmma.mma_async" in compiled.asm["ptx"]  # the tensor cores of this generation
    assert "cp.async" in compiled.asm["ptx"]  # the next tile is loaded meanwhile
    assert compiled.metadata.shared <= SHARED_MEMORY
    assert stack_bytes(compiled) == 0


@pytest.mark.parametrize(("reduce", "product"), [("sum", True), ("max", False)])
def test_rows(reduce, product):
    types = dict(ROWS)
    if product:
        types |= dict(order_ptr="*i32", value_ptr="*fp32", gather_ptr="*i64", scatter_ptr="*i64")
    constants = dict.fromkeys(("order_ptr", "gather_ptr", "value_ptr", "scatter_ptr")) if not product else {}
    constants |= dict.fromkeys(("HAS_ORDER", "HAS_GATHER", "HAS_VALUE", "HAS_SCATTER"), product)
    constants |= dict(REDUCE=reduce, BLOCK_E=8, BLOCK_D=128)
    compiled = build(rows.reduce_kernel, types, constants, dict(num_warps=1, enable_fp_fusion=True), ["width"])
    assert "ld.global.v4" in compiled.asm["ptx"]  # 16 bytes at a time
    assert "atom" not in compiled.asm["ptx"]
    assert stack_bytes(compiled) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_walks(weighted):
    pointers = ("ptr_ptr", "seed_ptr", "key_ptr", "out_ptr")
    types = dict.fromkeys(pointers, "*i64") | dict(neighbour_ptr="*i32", restart_ptr="*fp64", count="i32", length="i32")
    constants = dict(WEIGHTED=weighted, RESTART=True, BLOCK=32)
    if weighted:
        types["cumulative_ptr"] = "*fp64"
    else:
        constants["cumulative_ptr"] = None
    compiled = build(walks.walk_kernel, types, constants, dict(num_warps=1))
    assert stack_bytes(compiled) == 0


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(("width", "block"), [(1, 32), (16, 32), (32, 32), (64, 16)])
def test_neighbours(width, block, replace):
    arrays = ("node", "tree", "key", "start", "degree", "end", "owner", "entry", "found")
    types = {f"{name}_ptr": "*i64" for name in arrays} | dict.fromkeys(("count", "hop", "fanout"), "i32")
    constants = dict(REPLACE=replace, WIDTH=width, BLOCK=block)
    compiled = build(neighbours.draw_kernel, {**types, "neighbour_ptr": "*i32"}, constants, dict(num_warps=1))
    assert stack_bytes(compiled) == 0
    assert "bar.sync" not in compiled.asm["ptx"]  # no thread waits for others


@pytest.mark.parametrize("fill", [False, True])
def test_subgraphs(fill):
    arrays = ("ptr", "node", "owner", "list", "key", "place", "end")
    types = {f"{name}_ptr": "*i64" for name in arrays} | {"neighbour_ptr": "*i32", "edges": "i64", "nodes": "i32"}
    constants = dict(FILL=fill, BLOCK=64)
    out = ("edge_index_ptr", "entry_ptr")
    if fill:
        types |= dict.fromkeys(out, "*i64")
    else:
        constants |= dict.fromkeys(out)
    compiled = build(subgraphs.edges_kernel, types, constants, dict(num_warps=1))
    assert stack_bytes(compiled) == 0
    assert "atom" not in compiled.asm["ptx"]
