"""The flags of ``keeper stress``; what it does is in ``keeper.commands.stress``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Coins = Annotated[str | None, typer.Option(metavar="COINS", help="Coins held outside the futures account.")]
Price = Annotated[str | None, typer.Option(metavar="PRICE", help="Mark price of the contract.")]
Ratio = Annotated[str | None, typer.Option(metavar="0..1", help="Share that is hedged.")]
Contracts = Annotated[
    str | None, typer.Option(metavar="CONTRACTS", help="The position in place of a ratio; -3 is short 3.")
]
ContractSize = Annotated[
    str | None,
    typer.Option(metavar="UNITS", help="Coins a contract (linear), quote money a contract (inverse); 1."),
]
AssetPrice = Annotated[
    str | None, typer.Option(metavar="PRICE", help="Price of the coin held, where it is not the contract's own.")
]
Beta = Annotated[str | None, typer.Option(metavar="SLOPE", help="Slope on the contract's returns; 1.")]
Entry = Annotated[str | None, typer.Option(metavar="PRICE", help="Price at which the position was entered; now.")]
Wallet = Annotated[
    str | None, typer.Option(metavar="MONEY", help="Quote money in the futures account, profit since the entry apart.")
]
Collateral = Annotated[
    str | None,
    typer.Option(metavar="COINS", help="Coins in the futures account; they are hedged as well, beside --spot."),
]
Haircut = Annotated[str | None, typer.Option(metavar="0..1", help="Share at which --collateral counts as margin; 1.")]
Maintenance = Annotated[
    str | None,
    typer.Option(
        metavar="RATE",
        help="Maintenance margin, a share of notional, such as 0.005; else none is shown.",
    ),
]
Value = Annotated[str | None, typer.Option(metavar="MONEY", help="Index: value of the portfolio.")]
Index = Annotated[str | None, typer.Option(metavar="POINTS", help="Index: its level.")]
Multiplier = Annotated[str | None, typer.Option(metavar="MONEY", help="Index: quote money a point and contract; 1.")]
Moves = Annotated[
    str, typer.Option(metavar="PERCENT,…", help="Moves of the contracts' prices in percent, as in --moves=-30,-5,40.")
]
Portfolio = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A portfolio in TOML, of tables [[hedges]] with these words as keys."),
]


def _kinds(incomplete: str) -> list[str]:
    return [kind for kind in ("linear", "inverse", "index") if kind.startswith(incomplete)]


Kind = Annotated[
    str | None,
    typer.Option(
        metavar="linear|inverse|index", help="What one contract is; states a portfolio.", autocompletion=_kinds
    ),
]
ConfigPath = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", envvar="KEEPER_CONFIG", help="The configuration file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]


def stress(
    config: ConfigPath = Path("keeper.toml"),
    moves: Moves = "-50,-20,-10,10,20,50",
    portfolio: Portfolio = None,
    kind: Kind = None,
    spot: Coins = None,
    price: Price = None,
    ratio: Ratio = None,
    contracts: Contracts = None,
    contract_size: ContractSize = None,
    asset_price: AssetPrice = None,
    beta: Beta = None,
    entry: Entry = None,
    wallet: Wallet = None,
    collateral: Collateral = None,
    haircut: Haircut = None,
    maintenance: Maintenance = None,
    value: Value = None,
    index: Index = None,
    multiplier: Multiplier = None,
    as_json: AsJson = False,
) -> None:
    """What would a move of prices do: to the hedges of the configuration (one look, nothing sent), or to a stated one?

    Example: `keeper stress`  ·  `keeper stress -c keeper.toml --moves=-30,-5,40 --json`

    Stated: `keeper stress --kind linear --spot 5 --price 65000 --ratio 0.5 --wallet 50000 --maintenance 0.005`

    Coin-margined: `keeper stress --kind inverse --collateral 5 --price 65000 --ratio 1 --maintenance 0.005`

    Several: `keeper stress --portfolio portfolio.toml`
    """
    from keeper.commands.stress import stress as run

    stated = {
        "kind": kind, "spot": spot, "price": price, "ratio": ratio, "contracts": contracts,
        "contract_size": contract_size, "asset_price": asset_price, "beta": beta, "entry": entry, "wallet": wallet,
        "collateral": collateral, "haircut": haircut, "maintenance": maintenance, "value": value, "index": index,
        "multiplier": multiplier,
    }  # fmt: skip
    run(config, moves, portfolio, {key: text for key, text in stated.items() if text is not None}, as_json=as_json)
