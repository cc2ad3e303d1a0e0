"""GPU kernels without a GPU: programs lowered for CUDA, or interpreted on the CPU."""

import contextlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.engine import runner
from neurojax.engine.gpu import kernel

needs_kernels = pytest.mark.skipif(
    jax.__version_info__ < (0, 11), reason="GPU kernels need JAX 0.11 (and Python 3.12)"
)


@contextlib.contextmanager
def on(place):
    """What is computed in here is computed at this place; a time loop that is a scan raises."""
    kernel.warn_of_scan.cache_clear()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(runner, "place_of", lambda *a, **k: place)
        warnings.simplefilter("error")
        yield


def lowered(f, *args, **how):
    """The text of f(*args) for an NVIDIA GPU."""
    with on(runner.Place(None, "gpu", kernel.Kernel(**how))):
        # A function of its own: JAX would remember what f was at another place.
        return (
            jax.jit(lambda *args: f(*args))
            .trace(*args)
            .lower(lowering_platforms=("cuda",))
            .as_text()
        )


def kernels(f, *args):
    """How many kernels f(*args) is on an NVIDIA GPU. Raises where a time loop is a scan there."""
    return lowered(f, *args).count("custom_call @mosaic_gpu")


def interpreted(f, **how):
    """f() with its kernels interpreted on the CPU."""
    with on(runner.Place(None, "cpu", kernel.Kernel(interpret=True, **how))):
        return f()


def close(got, want, rtol=2e-5, atol=2e-6):
    """The same structure, shapes and dtypes; whole numbers and truth values the same."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(want), strict=True
    ):
        name = jax.tree_util.keystr(path)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        if jnp.issubdtype(a.dtype, jnp.floating):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)


def agree(f, **tolerance):
    """f's result, the same with kernels interpreted and without any."""
    got = interpreted(f)
    close(got, f(), **tolerance)
    return got
