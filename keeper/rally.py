"""Can a rally liquidate this hedge, and at about which price? For ``keeper check``, from one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from keeper.config import HedgeConfig
from keeper.config.margin import MarginConfig
from keeper.core.margin import Curve, as_decimal
from keeper.core.margins import AccountMargin
from keeper.core.model import Exposure, InstrumentId, Kind, LegExposure, Snapshot
from keeper.core.portfolio import curve_of, pool_name, portfolio_beta, short_of
from keeper.preflight import Finding
from keeper.report import FAR_RATIO, NO_NEAR_LIQUIDATION, rounded


def by_its_kind(hedge: HedgeConfig) -> str:
    """What the contract alone says."""
    if hedge.looks_coin_margined:
        return (
            "coin-margined: no rally liquidates it while the short is no more than the coins that margin it at its "
            "entry; beyond that one does"
        )
    return (
        "a rally can liquidate it: the coins gain what the short loses, and the margin account bears the loss alone; "
        "keep money there, and see [margin] for when to warn, stop and buy back"
    )


def rally_findings(seen: Sequence[Exposure], snapshot: Snapshot, margin: MarginConfig) -> list[Finding]:
    """One finding a contract, with the price where it can be told; hedges that share an account count together.

    ``seen`` are all hedges as a look judged them, with their margins and the contracts that carry them now.
    """
    shorts = {leg.id: _wanted(exposure, leg) for exposure in seen for leg in exposure.legs}
    findings: list[Finding] = []
    for exposure in seen:
        if (beta := portfolio_beta(exposure, snapshot)) is not None:
            text = f"the portfolio moves {rounded(str(beta), 4)} times as far as its contract"
            findings.append(Finding(f"hedges.{exposure.hedge.name}", True, text))
        for leg in exposure.legs:
            sharing = [(each, other) for each in seen for other in each.legs if _same_account(leg, other)]
            findings.append(_finding(exposure, leg, sharing, snapshot, shorts, margin))
    return findings


def _wanted(exposure: Exposure, leg: LegExposure) -> Fraction | None:
    """Quote money that a leg is short, or will be once the hedge is built: the larger one.

    Split by shares, each contract will have its part; else the first one has the whole. None where the position, the
    price or the hedge's target is not known: that may be any short.
    """
    if exposure.target_base is None or leg.position is None or leg.mark is None:
        return None
    now = max(Fraction(0), short_of(leg))
    whole = Fraction(1 if leg.id == exposure.hedge.instrument.id else 0)
    part = whole if leg.leg.share is None else Fraction(leg.leg.share)
    return max(now, -Fraction(exposure.target_base) * part / Fraction(leg.worth) * Fraction(leg.mark.mark))


def _same_account(one: LegExposure, other: LegExposure) -> bool:
    return other.margin is not None and other.mark is not None and pool_name(one) == pool_name(other)


def _finding(
    exposure: Exposure,
    leg: LegExposure,
    sharing: list[tuple[Exposure, LegExposure]],
    snapshot: Snapshot,
    wanted: Mapping[InstrumentId, Fraction | None],
    policy: MarginConfig,
) -> Finding:
    subject = f"hedges.{exposure.hedge.name}: {leg.id}"
    linear = leg.leg.instrument.kind is not Kind.INVERSE
    told = "a rally can liquidate it" if linear else "a rally liquidates it once the short is more than its coins"
    if leg.margin is None or leg.mark is None:
        return Finding(subject, None, f"{told}; its margin cannot be read here, so at which price is not told")
    if leg.margin.isolated:
        price = leg.margin.liquidation_price
        where = "at a price that is not told" if price is None else f"at {rounded(str(price), 1)}"
        return Finding(subject, None, f"a rally liquidates it {where}: its margin is its own (isolated)")
    shorts = {ident: short for ident, short in wanted.items() if short is not None}
    unknown = dict.fromkeys(other.hedge.name for other, each in sharing if each.id not in shorts)
    if unknown:
        names = " and ".join(f"hedges.{name}" for name in unknown)
        text = f"what {names} will be short is not known (see above), so at which price is not told"
        return Finding(subject, None, f"{told}; {text}")
    curve = curve_of(sharing, snapshot, shorts)
    return _judged(subject, leg, curve, leg.margin.account, policy)


def _judged(subject: str, leg: LegExposure, curve: Curve, account: AccountMargin, policy: MarginConfig) -> Finding:
    move, equity = curve.liquidation_move, f"{rounded(str(account.equity), 2)} {account.asset}"
    if move is None or (move <= 0 and not curve.liquidated_at(Fraction(0))):
        return Finding(subject, True, f"no rally liquidates it: {equity} in {account.account} covers the whole hedge")
    if curve.liquidated_at(Fraction(0)):
        text = f"{equity} in {account.account} does not margin the whole hedge: put money there before it is built"
        return Finding(subject, None, text)
    if move >= FAR_RATIO:
        return Finding(subject, True, f"{NO_NEAR_LIQUIDATION} ({equity} behind it)")
    assert leg.mark is not None  # noqa: S101  it has a curve
    price = rounded(str(as_decimal(Fraction(leg.mark.mark) * (1 + move))), 0)
    rise = rounded(str(as_decimal(move * 100)), 1)
    text = f"a rally of {rise} % liquidates it, at about {price}: {equity} in {account.account} has to bear the loss"
    return Finding(subject, None, f"{text}{_done_before(policy)}")


def _done_before(policy: MarginConfig) -> str:
    """What keeper will do before liquidation, where it buys nothing back."""
    distance = policy.min_liquidation_distance
    if policy.reduce is not None or distance.reduce is not None:
        return ""
    acts = (("warn", policy.warn or distance.warn), ("open no new short", policy.block or distance.block))
    done = " and ".join(what for what, threshold in acts if threshold is not None)
    will = f"keeper will {done} before that" if done else "keeper will do nothing before that"
    return f"; {will}; to have it buy back, set [margin] reduce"
