"""Commands that refuse what they cannot mean, in one line: typer classes that all commands use."""

from __future__ import annotations

from typing import Any

import jax
import typer
from typer.core import TyperCommand, TyperGroup

from neurojax.cli import console


class Command(TyperCommand):
    """A command that refuses an option given twice: the last one would win in silence."""

    def make_parser(self, ctx: Any) -> Any:
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_once(args: list[str]) -> Any:
            values, rest, order = parse(args)
            once = [p for p in order if getattr(p, "opts", None) and not _repeatable(p)]
            for k, option in enumerate(once):
                if option.param_type_name == "option" and option in once[:k]:
                    name = max(option.opts, key=len)
                    raise ValueError(f"{name} is given twice; expected it once")
            return values, rest, order

        parser.parse_args = parse_once
        return parser


def _repeatable(option: Any) -> bool:
    return bool(getattr(option, "multiple", False) or getattr(option, "count", False))


class Commands(TyperGroup):
    """Commands whose errors are told in one line, unless --debug asks for the traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except Exception as error:
            if ctx.params.get("debug") or not (told := _told(error)):
                raise
            console.complain(told)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            console.err.print("interrupted", style="red")
            raise typer.Exit(130) from None


def _told(error: Exception) -> Exception | None:
    """What a user can put right: a wrong value or file, too much memory, no home, no device."""
    if isinstance(error, (ValueError, OSError)):
        return error
    if isinstance(error, MemoryError):
        return ValueError(f"this does not fit into memory: {error or 'ask for less'}")
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return ValueError("a path begins with ~, but there is no such user, or none with a home")
    return no_device()


def no_device() -> Exception | None:
    """Why JAX has no device to compute on; None where it has one."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        wanted = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        return ValueError(
            f"JAX_PLATFORMS asks for {wanted!r}, which JAX cannot use here"
            f"{f' ({error})' if str(error) else ''}; leave it out for the best there is, or 'cpu'"
        )
    return None
