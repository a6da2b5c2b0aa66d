"""Small pieces of machine code that kernels are made of, by numba: products, and two curves.

A matrix times a vector is one loop over the inputs, written in LLVM: outputs lie side by side in
vectors of `LANES` and stay in registers throughout. So weights are stored as blocks of `LANES`
outputs, each block (inputs, LANES), of floats, bfloat16 or bytes. Every sum is of floats and takes
its inputs in order, by fused multiply-adds, for one row and for several, and nothing is compiled
with fastmath: a row's bits depend neither on its neighbours nor on how wide the machine's vectors
are. Weights that bfloat16 holds exactly may be kept so, as the upper halves of their bits: half as
much is read, and every product is the same.

numba keeps compiled code by the file of the outermost function, and would not see that this one was
changed, or one that says how weights lie or how threads meet: what it kept is thrown away where it
was kept under other texts of these.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from filelock import FileLock
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Weights = NDArray[np.float32] | NDArray[np.uint16] | NDArray[np.int8]
"""As they are, the upper halves of their bits, or bytes."""
F = TypeVar("F", bound=Callable[..., Any])

LANES = 16  # outputs in one vector; a machine with narrower ones takes two or more
ROW_BLOCK = 4  # rows that share a read of the weights
WIDE = 4  # vectors of outputs at once of a lone row: sums enough to keep the adders busy

F32, I8, I32, I64 = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64)
VECTOR, BITS = (ir.VectorType(kind, LANES) for kind in (F32, I32))
HALF, ONE = np.float32(0.5), np.float32(1)


def compiled(function: F) -> F:
    """Machine code of it that runs without Python's lock, kept on disk where there is room."""
    dispatcher: Any
    try:
        dispatcher = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
        folder = Path(dispatcher.stats.cache_path)
        forget_stale_code(folder, Path(function.__code__.co_filename).stem, sources())
        dispatcher.compile = _one_process_at_a_time(dispatcher.compile, folder / "compiling.lock")
    except RuntimeError:  # neither beside its file nor in the user's own folder
        dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(F, dispatcher)


def _one_process_at_a_time(compile_signature: F, path: Path) -> F:
    """Lets other processes wait for code that one of them compiles: they then read it from disk."""

    @wraps(compile_signature)
    def compile_alone(*args: Any) -> Any:
        with FileLock(path, is_singleton=True):
            return compile_signature(*args)

    return cast(F, compile_alone)


def sources(models: Path = Path(__file__).parents[1]) -> list[Path]:
    """The files that compiled functions use besides their own."""
    return [*sorted(models.glob("kernels/*.py")), *sorted(models.rglob("*_weights.py"))]


def forget_stale_code(kept: Path, module: str, files: Sequence[Path]) -> None:
    """Removes what numba kept of a module before one of these files changed."""
    text = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    note = kept / f"{module}.lanes"
    if note.exists() and note.read_text() == text:
        return
    for stale in kept.glob(f"{module}.*.nb?"):
        stale.unlink(missing_ok=True)  # another process may have been here as well
    note.write_text(text)


def padded(count: int) -> int:
    """Whole vectors."""
    return -(-count // LANES) * LANES


def blocks_of(matrices: Floats) -> Floats:
    """Of (n, inputs, outputs) in one row: blocks of outputs, the last filled up with zeros."""
    count, inputs, outputs = matrices.shape
    whole = np.zeros((count, inputs, padded(outputs)), np.float32)
    whole[:, :, :outputs] = matrices
    blocks = whole.reshape(count, inputs, -1, LANES).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks).reshape(-1)


def upper_halves(weights: Floats) -> NDArray[np.uint16] | None:
    """All that there is of weights that bfloat16 holds exactly; of others nothing."""
    bits = weights.view(np.uint32)
    return None if (bits & 0xFFFF).any() else (bits >> 16).astype(np.uint16)


def _product(rows: int, blocks: int) -> Any:
    """product(w, x, y, at) adds w x to y, for so many rows of x and y and blocks of outputs.

    `at`: where w, x and y begin, the steps between rows of x and of y, and how many inputs.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args[:3]
        w, x, y = (
            context.make_array(kind)(context, builder, array).data
            for kind, array in zip(kinds, args[:3], strict=True)
        )
        w_at, x_at, y_at, x_step, y_step, count = (
            builder.extract_value(args[3], i) for i in range(6)
        )
        xs = [builder.gep(x, [_along(builder, x_at, x_step, row)]) for row in range(rows)]
        ys = [builder.gep(y, [_along(builder, y_at, y_step, row)]) for row in range(rows)]
        block = builder.mul(count, I64(LANES))
        ws = [builder.gep(w, [_along(builder, w_at, block, number)]) for number in range(blocks)]
        pointers = [
            _vector(builder, y, I64(LANES * number)) for y in ys for number in range(blocks)
        ]
        _emit_loop(builder, count, ws, xs, pointers)
        return context.get_dummy_value()

    def product(typing: Any, w: Any, x: Any, y: Any, at: Any) -> Any:
        six = types.UniTuple(types.int64, 6)  # type: ignore[no-untyped-call]
        return types.void(w, x, y, six), emit

    return intrinsic(product)


def _along(builder: Any, start: Any, step: Any, number: int) -> Any:
    return builder.add(start, builder.mul(step, I64(number)))


def _vector(builder: Any, base: Any, index: Any) -> Any:
    return builder.bitcast(builder.gep(base, [index]), VECTOR.as_pointer())


def _read(builder: Any, pointer: Any) -> Any:
    """A vector of weights in single precision: of floats, of bfloat16 as the upper halves of their
    bits, or of bytes. None of them loses anything."""
    kind = pointer.type.pointee
    of_its_own = ir.VectorType(kind, LANES)
    vector = builder.load(builder.bitcast(pointer, of_its_own.as_pointer()), align=1)
    if kind == F32:
        return vector
    if kind == I8:
        return builder.sitofp(builder.sext(vector, BITS), VECTOR)
    upper = builder.shl(builder.zext(vector, BITS), BITS([I32(16)] * LANES))
    return builder.bitcast(upper, VECTOR)


def _emit_loop(builder: Any, count: Any, ws: list[Any], xs: list[Any], pointers: list[Any]) -> None:
    """sums[row, block] += x[row, i] w[block, i] for i in order; the sums stand in `places`."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    name = f"llvm.fma.v{LANES}f32"
    fma = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]
    undefined, first = ir.Constant(VECTOR, ir.Undefined), BITS(None)
    begun = [builder.load(pointer, align=4) for pointer in pointers]
    before = builder.basic_block
    loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    i, sums = builder.phi(I64), [builder.phi(VECTOR) for _ in pointers]
    here = builder.mul(i, I64(LANES))
    weights = [_read(builder, builder.gep(w, [here])) for w in ws]
    after: list[Any] = []
    for x in xs:
        one = builder.insert_element(undefined, builder.load(builder.gep(x, [i])), I32(0))
        same = builder.shuffle_vector(one, undefined, first)
        after += [builder.call(fma, [w, same, sums[len(after) + k]]) for k, w in enumerate(weights)]
    following = builder.add(i, I64(1))
    for phi, start, end in zip([i, *sums], [I64(0), *begun], [following, *after], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(end, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
    builder.position_at_end(done)
    for pointer, total in zip(pointers, after, strict=True):
        builder.store(total, pointer, align=4)


_one_row_wide, _one_row, _row_block = _product(1, WIDE), _product(1, 1), _product(ROW_BLOCK, 1)


def _power(typing: Any, n: Any) -> Any:
    """2^n of a float that holds a whole number from -126 to 127."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        exponent = builder.add(builder.fptosi(args[0], I32), I32(127))
        return builder.bitcast(builder.shl(exponent, I32(23)), F32)

    return types.float32(types.float32), emit


_two_to: Any = intrinsic(_power)


@compiled
def multiply(w: Weights, x: Floats, y: Floats, at: Any, outputs: int, rows: int) -> None:
    """y += w x, for one row or, if there are more, for ROW_BLOCK; `at` as in `_product`."""
    w_at, x_at, y_at, x_step, y_step, count = at
    block, size = 0, count * LANES
    if rows == 1:
        while (block + WIDE) * LANES <= outputs:
            begin = (w_at + block * size, x_at, y_at + block * LANES, x_step, y_step, count)
            _one_row_wide(w, x, y, begin)
            block += WIDE
    while block * LANES < outputs:
        begin = (w_at + block * size, x_at, y_at + block * LANES, x_step, y_step, count)
        if rows == 1:
            _one_row(w, x, y, begin)
        else:
            _row_block(w, x, y, begin)
        block += 1


@compiled
def tanh(x: Any) -> Any:
    """A ratio of polynomials, within 4e-7 (Eigen's `ptanh_float`); no number stays none."""
    x = np.float32(7.90531110763549805) if x > np.float32(7.90531110763549805) else x
    x = np.float32(-7.90531110763549805) if x < np.float32(-7.90531110763549805) else x
    s = x * x
    p = np.float32(-2.76076847742355e-16) * s + np.float32(2.00018790482477e-13)
    p = p * s + np.float32(-8.60467152213735e-11)
    p = p * s + np.float32(5.12229709037114e-08)
    p = p * s + np.float32(1.48572235717979e-05)
    p = p * s + np.float32(6.37261928875436e-04)
    p = p * s + np.float32(4.89352455891786e-03)
    q = np.float32(1.19825839466702e-06) * s + np.float32(1.18534705686654e-04)
    q = q * s + np.float32(2.26843463243900e-03)
    q = q * s + np.float32(4.89352518554385e-03)
    return x * p / q


@compiled
def exp(x: Any) -> Any:
    """Of x up to 0, by Cephes' `expf`: within 2e-7 of the value, and 1e-38 where that is less."""
    x = np.float32(-87) if x < np.float32(-87) else x
    n = np.floor(x * np.float32(1.44269504088896341) + HALF)
    r = x - n * np.float32(0.693359375) - n * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4) * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    return (p * r * r + r + ONE) * _two_to(n if n > np.float32(-126) else np.float32(-126))
