"""The command line: which commands there are and what their flags mean; what they do is in ``keeper.commands``.

Command bodies load when they are called, so that ``keeper --help`` does not wait for an exchange library.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from keeper import __version__, stdio
from keeper.cli_stress import stress
from keeper.errors import KeeperError

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130


class _Commands(TyperGroup):
    """Turns errors into one clear message on stderr and an exit code that scripts can rely on."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeeperError as error:
            _say(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:  # the edge: what is left is a fault of ours, told without secrets
            if _is_command_line_fault(error) or (isinstance(error, OSError) and stdio.fault_of_output()):
                raise
            known = _only_cause(error)
            if known is None:
                _report_fault(error)
                raise typer.Exit(1) from None
            _say(str(known))
            raise typer.Exit(known.exit_code) from None


app = typer.Typer(
    cls=_Commands,
    name="keeper",
    help="Keeps a spot crypto portfolio hedged with short futures.",
    epilog="Start here:  keeper demo  ·  keeper init  ·  keeper check  ·  keeper plan  ·  keeper run",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigPath = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", envvar="KEEPER_CONFIG", help="The configuration file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
DEFAULT_CONFIG = Path("keeper.toml")


def main() -> None:
    """The ``keeper`` program."""
    stdio.hold()
    try:
        code = app(prog_name="keeper", standalone_mode=True)
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError:
        if stdio.fault_of_output() is None:
            raise
        code = 1  # a page of help that could not be printed
    sys.exit(stdio.ended(code))


def body(module: str, name: str | None = None) -> Callable[..., Any]:
    """The function ``name`` of ``keeper.commands.<module>``, loaded now."""
    function: Callable[..., Any] = getattr(import_module(f"keeper.commands.{module}"), name or module)
    return function


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"keeper {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keeps a spot crypto portfolio hedged with short futures."""


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there already.")] = False,
) -> None:
    """Write a commented configuration to start from.

    Example: `keeper init`  ·  `keeper init /etc/keeper/keeper.toml`
    """
    body("init")(path, force)


@app.command()
def demo(
    for_seconds: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", min=0, help="Stop after this long; else after three minutes."),
    ] = None,
    journal: Annotated[
        str | None, typer.Option("--journal", metavar="PATH", help="Keep the journal in this file.")
    ] = None,
    story: Annotated[
        str, typer.Option("--story", metavar="NAME", help="What is played: day, or roll (a coin-margined hedge).")
    ] = "day",
) -> None:
    """Watch a hedge at work on a simulated exchange; needs no account and no configuration.

    Example: `keeper demo`  ·  `keeper demo --for 30 --journal demo.db`  ·  `keeper demo --story roll`
    """
    body("demo")(for_seconds, journal, story)


@app.command()
def run(
    config: ConfigPath = DEFAULT_CONFIG,
    live: Annotated[
        bool, typer.Option("--live", help='Required, beside mode = "live" in the configuration, to trade real money.')
    ] = False,
) -> None:
    """Keep the portfolio hedged until stopped. Stopping leaves the hedges open.

    Example: `keeper run -c keeper.toml`  ·  `keeper run -c keeper.toml --live`
    """
    body("run")(config, live)


@app.command()
def plan(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Look once and print what would be traded now. Sends nothing, writes nothing.

    Example: `keeper plan`  ·  `keeper plan -c keeper.toml --json`
    """
    body("plan")(config, as_json)


@app.command()
def size(
    kind: Annotated[str, typer.Option(metavar="linear|inverse|index", help="What one contract is.")] = "linear",
    spot: Annotated[str | None, typer.Option(metavar="COINS", help="Coins held.")] = None,
    price: Annotated[str | None, typer.Option(metavar="PRICE", help="Mark price of the contract.")] = None,
    ratio: Annotated[str | None, typer.Option(metavar="0..1", help="Share to hedge.")] = None,
    contract_size: Annotated[
        str | None, typer.Option(metavar="UNITS", help="Coins a contract (linear), quote money a contract (inverse).")
    ] = None,
    step: Annotated[
        str | None, typer.Option(metavar="CONTRACTS", help="Smallest step of an order; left out: no rounding.")
    ] = None,
    beta: Annotated[str | None, typer.Option(metavar="SLOPE", help="Slope on the contract's returns; 1.")] = None,
    min_notional: Annotated[str | None, typer.Option(metavar="MONEY", help="Smallest order in quote money; 0.")] = None,
    value: Annotated[str | None, typer.Option(metavar="MONEY", help="Index: value of the portfolio.")] = None,
    index: Annotated[str | None, typer.Option(metavar="POINTS", help="Index: its level.")] = None,
    multiplier: Annotated[
        str | None, typer.Option(metavar="MONEY", help="Index: quote money a point and contract.")
    ] = None,
    futures: Annotated[
        str | None, typer.Option(metavar="COINS", help="Base units held in futures already; -2 is short 2.")
    ] = None,
    asset_price: Annotated[
        str | None, typer.Option(metavar="PRICE", help="Price of the coin held, where it is not the contract's own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How many contracts hedge an exposure? Arithmetic only, no venue.

    Example: `keeper size --spot 5 --price 65000 --ratio 0.5 --contract-size 1 --step 0.001`

    Coin-margined: `keeper size --kind inverse --spot 5 --price 65000 --ratio 1 --contract-size 100 --futures -2`

    Another coin's future: `keeper size --spot 1000 --asset-price 200 --beta 1.2 --price 65000 --ratio 1
    --contract-size 1`

    Index: `keeper size --kind index --value 500000 --ratio 0.5 --index 2000 --multiplier 100`
    """
    from keeper.commands.size import SizeFlags

    flags = SizeFlags(
        kind=kind, ratio=ratio, spot=spot, price=price, contract_size=contract_size, step=step, beta=beta,
        min_notional=min_notional, value=value, index=index, multiplier=multiplier, futures=futures,
        asset_price=asset_price,
    )  # fmt: skip
    body("size")(flags, as_json)


app.command()(stress)


@app.command()
def check(
    config: ConfigPath = DEFAULT_CONFIG,
    connect: Annotated[
        bool, typer.Option("--connect", help="Ask the venues too: credentials, permissions, symbols, clock.")
    ] = False,
) -> None:
    """Check the configuration and print every setting in force.

    Example: `keeper check`  ·  `keeper check -c keeper.toml --connect`
    """
    raise typer.Exit(body("check")(config, connect))


@app.command()
def status(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """What a running keeper sees and does.

    Example: `keeper status`  ·  `keeper status -c keeper.toml --json`
    """
    body("status")(config, as_json)


def _hedge_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of hedges for the shell's completion, which has nobody to tell of a missing or broken file."""
    import tomllib

    path = Path(ctx.params.get("config") or os.environ.get("KEEPER_CONFIG") or DEFAULT_CONFIG)
    try:
        hedges = tomllib.loads(path.read_text(encoding="utf-8")).get("hedges", [])
    except (OSError, ValueError):
        return []
    names = [str(hedge.get("name", "")) for hedge in hedges if isinstance(hedge, dict)]
    return [name for name in names if name.startswith(incomplete)]


HedgeName = Annotated[
    str | None,
    typer.Argument(
        metavar="[HEDGE]", help="The name of one hedge; left out: all of them.", autocompletion=_hedge_names
    ),
]


@app.command()
def pause(hedge: HedgeName = None, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Tell a running keeper to stop trading; it keeps watching, and open hedges stay open.

    Example: `keeper pause`  ·  `keeper pause btc -c keeper.toml`
    """
    body("status", "pause")(config, hedge)


@app.command()
def resume(hedge: HedgeName = None, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Tell a running keeper to trade again after a pause or a halt.

    Example: `keeper resume`  ·  `keeper resume btc -c keeper.toml`
    """
    body("status", "resume")(config, hedge)


@app.command()
def flatten(
    hedge: HedgeName = None,
    config: ConfigPath = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Tell a running keeper to buy back a hedge's whole short and keep it at zero, until it is resumed. Asks first.

    Example: `keeper flatten btc`  ·  `keeper flatten --yes -c keeper.toml`
    """
    body("status", "flatten")(config, hedge, yes)


@app.command()
def roll(
    hedge: HedgeName = None,
    config: ConfigPath = DEFAULT_CONFIG,
    horizon: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Compare over so many days instead of the configured ones.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Tell a running keeper to begin the roll.")] = False,
    to: Annotated[
        str | None, typer.Option(metavar="CONTRACT", help="With --now: into this one, or perpetual, next, second.")
    ] = None,
    out_of: Annotated[
        str | None, typer.Option("--from", metavar="CONTRACT", help="With --now: out of this one of several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare what holding the short costs in each contract that could carry a hedge. Sends nothing, writes nothing.
    With --now a running keeper begins the roll, into the cheapest or the one named.

    Example: `keeper roll`  ·  `keeper roll btc --horizon 30`  ·  `keeper roll btc --now --to BTC/USDT:USDT-270326`
    """
    if now or to is not None or out_of is not None:
        body("roll", "roll_now")(config, hedge, horizon, now, to, out_of, as_json)
    else:
        body("roll")(config, hedge, horizon, as_json)


@app.command()
def target(
    hedge: Annotated[str, typer.Argument(help="The name of the hedge.", autocompletion=_hedge_names)],
    config: ConfigPath = DEFAULT_CONFIG,
    ratio: Annotated[str | None, typer.Option(metavar="0..1", help="Set: this share of the exposure.")] = None,
    quantity: Annotated[str | None, typer.Option(metavar="COINS", help="Set: so many coins.")] = None,
    notional: Annotated[str | None, typer.Option(metavar="MONEY", help="Set: so much quote money.")] = None,
    add: Annotated[str | None, typer.Option(metavar="POINTS", help="Add to what it is; --add=-0.1 takes off.")] = None,
    scale: Annotated[str | None, typer.Option(metavar="FACTOR", help="Multiply what it is.")] = None,
    configured: Annotated[bool, typer.Option("--configured", help="Give it back to the configuration.")] = False,
    over: Annotated[str | None, typer.Option(metavar="TIME", help="Move there over 6h, 90m, 1d12h; else jump.")] = None,
    steps: Annotated[str | None, typer.Option(metavar="N", help="In so many equal steps; else evenly.")] = None,
    as_json: AsJson = False,
) -> None:
    """See or change what a running keeper aims at. A change stands, over restarts too, until --configured.

    Example: `keeper target btc`  ·  `keeper target btc --ratio 0.3 --over 6h --steps 6`  ·
    `keeper target btc --configured`
    """
    from keeper.commands.target import TargetFlags

    flags = TargetFlags(ratio, quantity, notional, add, scale, configured, over, steps)
    body("target")(config, hedge, flags, as_json)


@app.command()
def history(
    config: ConfigPath = DEFAULT_CONFIG,
    journal: Annotated[
        str | None, typer.Option("--journal", metavar="PATH|URL", help="This journal, without a configuration.")
    ] = None,
    hedge: Annotated[str | None, typer.Option("--hedge", metavar="NAME", help="Only this hedge.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many lines each.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Print cycles, orders and fills from the journal: what was done, and why not when it was not.

    Example: `keeper history -n 50`  ·  `keeper history --journal demo.db --hedge btc --json`
    """
    if journal is None:
        url: str = body("loading", "load")(config, need_credentials=False).journal_url
    else:
        url = journal if "://" in journal else f"sqlite:///{os.path.expanduser(journal)}"  # noqa: PTH111  # its ~ may stand for nobody
    body("history")(url, hedge=hedge, limit=limit, as_json=as_json)


@app.command()
def sim(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the exchange; 0 takes a free one.")] = 0,
    control_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of its controls.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same prices.")] = 1,
    speed: Annotated[
        float, typer.Option(min=0, max=100_000, help="How much faster prices run than time; at 0 they stand still.")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Serve a simulated exchange on this machine, for a keeper or any client to trade on.

    Example: `keeper sim`  ·  `keeper sim --port 9000 --control-port 9001 --seed 7 --speed 60`
    """
    body("sim")(port, control_port, seed, speed, as_json)


@app.command()
def fuzz(
    seeds: Annotated[
        int, typer.Option("--seeds", "-n", min=1, help="How many runs, each from a seed of its own.")
    ] = 100,
    seed: Annotated[
        str | None, typer.Option(metavar="SEED|HASH", help="The first seed, or a commit's hash; drawn when left out.")
    ] = None,
    cycles: Annotated[int, typer.Option(min=1, max=1_000_000, help="Turns of the loop in a run, with faults.")] = 500,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; left out: one for each processor.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the keeper under faults, on virtual time against the simulated exchange; what fails can be run again.

    Example: `keeper fuzz --seeds 1000`  ·  `keeper fuzz --seeds 1 --seed 59 --cycles 500`
    """
    from keeper.commands.fuzz import FuzzFlags

    raise typer.Exit(body("fuzz")(FuzzFlags(seeds, seed, cycles, jobs), as_json))


def _is_command_line_fault(error: Exception) -> bool:
    """Whether this is Typer's own word for a bad command line, which it reports with exit code 2."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def _only_cause(error: Exception) -> KeeperError | None:
    """The one error of ours that a task group has wrapped, or None."""
    inner: BaseException = error
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner if isinstance(inner, KeeperError) else None


def _say(message: str) -> None:
    from keeper.logs import redact

    colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    prefix = typer.style("error:", fg="red", bold=True) if colored else "error:"
    with suppress(OSError):  # where nobody can be told, the exit code still tells
        typer.echo(f"{prefix} {_visible(redact(message))}", err=True, color=colored)


def _visible(text: str) -> str:
    """What is told repeats names that others chose; signs that would move a cursor or hide a line are spelt out."""
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)


def _report_fault(error: Exception) -> None:
    """One line for the person; the redacted traceback in a private file, or here when KEEPER_DEBUG=1."""
    import tempfile
    import traceback

    from keeper.logs import redact

    details = redact("".join(traceback.format_exception(error)))
    if os.environ.get("KEEPER_DEBUG") == "1":
        typer.echo(details, err=True)
        where = "the details are above"
    else:
        try:
            descriptor, name = tempfile.mkstemp(prefix="keeper-", suffix=".log")
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(details)
            where = f"the details are in {name}"
        except OSError as reason:
            where = f"the details could not be written ({reason.strerror}), KEEPER_DEBUG=1 prints them"
    summary = str(error).splitlines()[0] if str(error) else "no message"
    _say(f"an unexpected {type(error).__name__}: {summary}; {where}")


if __name__ == "__main__":
    main()
