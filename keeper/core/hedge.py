"""Where a hedge stands, and whether to do something about it.

Formulas: ``exposure E = Q + C``, ``target T = -S`` with S as :mod:`keeper.core.targets` has it (for a ratio
H·Σ βᵢ·Eᵢ·Pᵢ / P_hedge, 0 where the sum is not positive), ``drift = D - T``, ``achieved ratio
h = -D / (Σ βᵢ·Eᵢ·Pᵢ / P_hedge)``. A coin-margined position's unrealised PnL is taken at the same mark as its delta:
then E + D does not move with the price, and a full hedge stays full.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from keeper.core import stated
from keeper.core.beta import Slope
from keeper.core.changing import changed
from keeper.core.coins import have_come
from keeper.core.foreign import counted_changes, has_gone, old_wallets
from keeper.core.legs import futures_source, leg_exposures
from keeper.core.model import (
    NO_BASE,
    NO_CONTRACTS,
    ONE,
    ZERO,
    AccountId,
    Base,
    Contracts,
    Decision,
    Exposure,
    ExposureMode,
    Halt,
    Hedge,
    HedgeMemory,
    Hold,
    InstrumentId,
    Kind,
    LegExposure,
    Mark,
    Position,
    Quote,
    Reason,
    Rebalance,
    Snapshot,
    Unlisted,
)
from keeper.core.targets import Ground, Target, TargetKind, aim
from keeper.core.unshown import awaiting, is_given_up, unshown_cover

FORMER_MAX = 16
"""Positions kept of before fills that followed each other closely."""
COINS_CAME = "coins_came_in"
"""The code of what holds new shorts until coins that came in have been seen twice."""


def sources(hedge: Hedge) -> frozenset[str]:
    """The readings that a hedge stands on as a whole: its wallets, the books of their venues, and everything ("*").

    What is read of a contract and of its venue's futures is that leg's own affair while there are other legs.
    """
    readings = {"*", *(str(account) for account in accounts_of(hedge))}
    carrying = {instrument.id.venue for instrument in hedge.instruments}
    readings |= {futures_source(account.venue) for account in hedge.spot if account.venue not in carrying}
    return frozenset(readings)


def accounts_of(hedge: Hedge) -> tuple[AccountId, ...]:
    """Every wallet and file that has to be read for this hedge, each once."""
    return (*_wallets_of(hedge), *stated.files_of(hedge))


def _wallets_of(hedge: Hedge) -> tuple[AccountId, ...]:
    extra = (leg.collateral for leg in hedge.legs if leg.collateral is not None)
    return tuple(dict.fromkeys((*hedge.spot, *extra)))


@dataclass(frozen=True, slots=True)
class _Coins:
    """Coins by origin: of the one asset, or for a basket weighted into coins of the hedging contract.

    None is not known. ``weight`` takes a sum of them to coins of the hedging contract.
    """

    spot: Base | None
    wallet: Base | None
    declared: Base
    weight: Decimal | None
    by_asset: Mapping[str, Base]


def assess(hedge: Hedge, snapshot: Snapshot, listed: Collection[InstrumentId], gain_base: Decimal = ZERO) -> Exposure:
    """Where ``hedge`` stands in ``snapshot``; ``listed`` are the instruments that any hedge names.

    ``gain_base`` is the coin profit since a quantity was set, see :mod:`keeper.core.coins`.
    Figures that could not be read are None; whatever has to stop an order is in ``blockers``.
    """
    known = sources(hedge)
    legs = leg_exposures(hedge, snapshot)
    first = legs[0]
    blockers = [Reason(gap.code, f"{gap.source}: {gap.text}") for gap in snapshot.gaps if gap.source in known]
    blockers += [reason for source, reason in snapshot.blocks if source in known]
    blockers += _blocking_legs(legs)
    counted, unlisted_reasons = counted_positions(hedge, snapshot, listed)
    blockers += unlisted_reasons
    statements = stated.as_read(hedge, snapshot)
    blockers += stated.doubts(statements, snapshot.taken_at_ms)
    refused = [each for each in hedge.slopes if each.refused is not None]
    blockers += [_refused(each) for each in refused if each.beta is None]
    sell_blockers = [reason for source, reason in snapshot.sell_blocks if source in known]
    sell_blockers += [_refused(each) for each in refused if each.beta is not None]
    sell_blockers += counted_changes(hedge, snapshot, listed)
    if len(legs) == 1:
        sell_blockers += first.sell_blockers
    coins = _coins(hedge, snapshot, first.mark)
    # Linear contracts make no profit in coins: what is owned is known without them.
    earning = [leg for leg in legs if leg.leg.instrument.kind is Kind.INVERSE or hedge.unlisted is Unlisted.COUNT]
    pnl = _coin_pnl(hedge, counted, snapshot) if all(leg.position is not None for leg in earning) else None
    price = next((leg.mark.mark for leg in legs if leg.mark is not None), None)
    futures = _futures_delta(legs, counted, snapshot)
    exposure = Exposure(
        hedge=hedge,
        target_ratio=hedge.target.value if hedge.target.kind is TargetKind.RATIO else None,
        mark=first.mark,
        position=first.position,
        futures_base=futures,
        working=first.working,
        sell_blockers=tuple(sell_blockers),
        stated=statements,
        foreign_contracts=first.foreign_contracts,
        legs=legs,
    )
    if coins is not None:
        exposure = _with_exposure(exposure, coins, pnl)
    if exposure.weighted_base is not None and futures is not None and price is not None:
        per_coin = _weight(hedge, hedge.assets[0], snapshot, first.mark) if len(hedge.assets) == 1 else None
        exposure = _with_drift(exposure, Ground(exposure.weighted_base, per_coin, price, gain_base), futures)
    if exposure.drift_base is None and not blockers:
        blockers.append(Reason("missing_reading", "a holding, position or price is missing; nothing is assumed"))
    return replace(exposure, blockers=tuple(dict.fromkeys(blockers))) if blockers else exposure


def _refused(slope: Slope) -> Reason:
    """What is said of a slope that no new short may stand on; what is short already follows the last good one."""
    kept = "" if slope.beta is None else f"; covers go by the last good one, {slope.beta}"
    return Reason("beta_refused", f"the beta of {slope.asset} cannot be relied on: {slope.refused}{kept}")


def _blocking_legs(legs: tuple[LegExposure, ...]) -> list[Reason]:
    """What of the legs stops the whole hedge: a delta that is not known, or that no leg can be traded."""
    if len(legs) == 1:
        return list(legs[0].blockers)
    if any(not leg.blockers for leg in legs):
        return [reason for leg in legs if leg.doubted for reason in leg.blockers]
    nothing = Reason("no_usable_leg", "none of its contracts can be traded now")
    return [nothing, *(reason for leg in legs for reason in leg.blockers)]


def counted_positions(
    hedge: Hedge, snapshot: Snapshot, listed: Collection[InstrumentId]
) -> tuple[tuple[Position, ...], list[Reason]]:
    """The hedge's own positions and those unlisted ones that the config counts; reasons where one has to hold it."""
    found = (snapshot.positions.get(instrument.id) for instrument in hedge.instruments)
    counted = [position for position in found if position is not None]
    reasons: list[Reason] = []
    venues = {account.venue for account in hedge.spot} | {instrument.id.venue for instrument in hedge.instruments}
    for ident, position in sorted(snapshot.positions.items()):
        foreign = ident not in listed and ident.venue in venues and position.contracts != 0
        if not foreign or position.instrument.base not in hedge.assets or hedge.unlisted is Unlisted.IGNORE:
            continue
        if hedge.unlisted is Unlisted.HOLD:
            text = (
                f'{ident} holds {position.contracts} contracts that no hedge names; set unlisted = "count" or "ignore"'
            )
            reasons.append(Reason("unlisted_position", text))
        else:
            counted.append(position)
            if ident not in snapshot.marks:
                reasons.append(Reason("missing_reading", f"{ident} is to be counted and has no price"))
    return tuple(counted), reasons


def _coins(hedge: Hedge, snapshot: Snapshot, mark: Mark | None) -> _Coins | None:
    """The hedged coins by origin; None when a price that a basket needs was not read."""
    basket = len(hedge.assets) > 1
    spot_accounts = set(hedge.spot)
    if hedge.exposure is ExposureMode.EQUITY:
        shared = (leg.collateral for leg in hedge.legs if leg.collateral is not None and leg.collateral_is_spot)
        spot_accounts.update(shared)
    settled_in = {leg.instrument.settle for leg in hedge.legs}
    declared, sums = ZERO, {True: ZERO, False: ZERO}
    by_asset: dict[str, Base] = {}
    unread: set[bool] = set()
    for asset in hedge.assets:
        weight = _weight(hedge, asset, snapshot, mark) if basket else ONE
        if weight is None:
            return None
        by_asset[asset] = hedge.declared.get(asset, NO_BASE)
        declared += weight * by_asset[asset]
        from_files = stated.files_of(hedge, asset)
        for account in (*_wallets_of(hedge), *from_files):
            if account not in spot_accounts and account not in from_files and asset not in settled_in:
                continue
            is_spot = account in spot_accounts or account in from_files
            coins = snapshot.holdings.get((account, asset))
            if coins is None:
                unread.add(is_spot)
                continue
            by_asset[asset] = Base(by_asset[asset] + coins)
            sums[is_spot] += weight * coins
    whole = ONE if basket else _weight(hedge, hedge.assets[0], snapshot, mark)
    spot, wallet = (None if origin in unread else Base(sums[origin]) for origin in (True, False))
    return _Coins(spot, wallet, Base(declared), whole, {} if unread else by_asset)


def _weight(hedge: Hedge, asset: str, snapshot: Snapshot, mark: Mark | None) -> Decimal | None:
    """βᵢ·Pᵢ / P_hedge: one for an asset's own future, so that no price has to be divided by itself.

    A tailed future's price is not that of its asset: at 60,900 over 60,000 a coin is hedged by 0.985222 coins of it.
    """
    if any(slope.asset == asset and slope.beta is None for slope in hedge.slopes):
        return None
    if asset == hedge.instrument.base and not hedge.tailing:
        return hedge.beta(asset)
    price = snapshot.asset_prices.get(asset)
    if price is None or mark is None:
        return None
    return hedge.beta(asset) * price / mark.mark


def _coin_pnl(hedge: Hedge, counted: tuple[Position, ...], snapshot: Snapshot) -> Base | None:
    """Unrealised PnL in the hedged coin of the counted coin-margined positions, each at its own mark."""
    total = ZERO
    for position in counted:
        instrument = position.instrument
        if instrument.kind is not Kind.INVERSE or instrument.settle not in hedge.assets:
            continue
        mark = snapshot.marks.get(instrument.id)
        gain = None if mark is None and position.contracts else position.coin_pnl(mark.mark if mark else ONE)
        if gain is None:
            return None
        total += gain
    return Base(total)


def _futures_delta(legs: tuple[LegExposure, ...], counted: tuple[Position, ...], snapshot: Snapshot) -> Base | None:
    """Base delta of the legs and of what else is counted, each at its own mark; None where one of them is not known."""
    own = {leg.id for leg in legs}
    total = ZERO
    for leg in legs:
        if leg.delta_base is None:
            return None
        total += leg.delta_base
    for position in counted:
        if position.instrument.id not in own:
            mark = snapshot.marks.get(position.instrument.id)
            if mark is None and position.instrument.kind is not Kind.LINEAR:
                return None
            total += position.instrument.delta(position.contracts, ONE if mark is None else mark.mark)
    return Base(total)


def _with_exposure(exposure: Exposure, coins: _Coins, pnl: Base | None) -> Exposure:
    """Fill in E by origin. Without the PnL the equity is unknown, the coins are not; without all coins, E is."""
    spot = None if coins.spot is None else Base(coins.spot + coins.declared)
    held = None if spot is None or coins.wallet is None else Base(spot + coins.wallet)
    equity = None if held is None or pnl is None else Base(held + pnl)
    spot_only = exposure.hedge.exposure is ExposureMode.SPOT
    counted = equity if held is None or not spot_only else spot
    collateral = NO_BASE if spot_only else (None if pnl is None or coins.wallet is None else Base(coins.wallet + pnl))

    def weighted(amount: Base | None) -> Base | None:
        return None if amount is None or coins.weight is None else Base(amount * coins.weight)

    return replace(
        exposure,
        spot_base=spot,
        collateral_base=collateral,
        exposure_base=counted,
        weighted_base=weighted(counted),
        holdings_base=held,
        held=coins.by_asset,
        equity_base=weighted(equity),
    )


def _with_drift(exposure: Exposure, ground: Ground, futures: Base) -> Exposure:
    """Fill in target, drift and ratios; the ratios are null where there is nothing left to protect."""
    weighted, hedge = ground.weighted_base, exposure.hedge
    protects = weighted > 0
    wanted = aim(hedge.target, ground, hedge.min_ratio, hedge.max_ratio)
    if wanted is None:
        return exposure
    target = Base(-wanted.short_base + ZERO)
    drift = Base(futures - target)
    bounded = () if wanted.bounded is None else (Reason("target_bounded", wanted.bounded),)
    return replace(
        exposure,
        target_base=target,
        target_ratio=exposure.target_ratio if wanted.ratio is None else wanted.ratio,
        drift_base=drift,
        drift_notional=Quote(drift * ground.price),
        drift_ratio=drift / weighted if protects else None,
        hedge_ratio=-futures / weighted + ZERO if protects else None,
        net_delta_base=Base(weighted + futures),
        notes=(*exposure.notes, *bounded),
        ground=ground,
    )


def recall(exposure: Exposure, memory: HedgeMemory) -> HedgeMemory:
    """Memory as it applies to this reading. A new target or beta, confirmed coins in or out, or a contract that was
    settled with what it carried opens the build-up again."""
    changed_target = _has_new_target(exposure, memory)
    act = exposure.hedge.band.act
    changed_coins = not exposure.blockers and any(
        abs(now - before) > act * max(abs(now), abs(before)) for before, now in _coins_then_and_now(memory, exposure)
    )
    betas = memory.betas if memory.betas == exposure.hedge.betas else dict(exposure.hedge.betas)
    settled = any(has_gone(leg) and leg.foreign_contracts > 0 for leg in exposure.legs)
    if changed_target or changed_coins or settled or memory.betas != betas:
        memory = replace(memory, established=False)
    return changed(memory, target=exposure.hedge.target, target_ratio=exposure.target_ratio, betas=betas)


def _coins_then_and_now(memory: HedgeMemory, exposure: Exposure) -> tuple[tuple[Base, Base], ...]:
    """What the wallets held of each asset when it was last acted upon, and hold now: prices move the sum of a basket.

    Empty where one of the two is not known. A journal from before coins were kept by asset knows the sum alone.
    """
    if memory.held:
        return tuple((memory.held[asset], now) for asset, now in exposure.held.items() if asset in memory.held)
    if memory.holdings_base is None or exposure.holdings_base is None:
        return ()
    return ((memory.holdings_base, exposure.holdings_base),)


def coins_came(exposure: Exposure, memory: HedgeMemory) -> Reason | None:
    """Coins that came in where several wallets count: moved from one to another while we looked, they count twice.

    The next look sees them once, or sees that they are really new.
    """
    came = [(before, now) for before, now in _coins_then_and_now(memory, exposure) if have_come(before, now)]
    if not came or len(accounts_of(exposure.hedge)) < 2:
        return None
    [before, now] = came[0]
    return Reason("coins_came_in", f"the wallets held {before} and now {now}; hedged once the next look shows it too")


def _has_new_target(exposure: Exposure, memory: HedgeMemory) -> bool:
    """Whether the target has gone so far that what is missing of it may be due to that alone.

    A target that is moved in small steps is followed in small steps, and a short that is suddenly too small by more
    than ``halt`` is no less odd then. Only what was last met counts: a hedge that had to wait may have
    much to make up for.
    """
    target, before = exposure.hedge.target, last_target(memory)
    if memory.course is None or not memory.course.is_gradual:
        return before is not None and before != target
    met = memory.met if memory.met is not None else before
    if met is None or met == target:
        return False
    there, here = _ratio_of(met, exposure), _ratio_of(target, exposure)
    band = exposure.hedge.band
    return there is None or here is None or abs(here - there) > band.halt - band.act


def _ratio_of(target: Target, exposure: Exposure) -> Decimal | None:
    """The share that a target comes to on this exposure's ground."""
    hedge, ground = exposure.hedge, exposure.ground
    found = None if ground is None else aim(target, ground, hedge.min_ratio, hedge.max_ratio)
    return None if found is None else found.ratio


def last_target(memory: HedgeMemory) -> Target | None:
    """The target in force at the last look; a journal from before there were kinds knows the ratio alone."""
    if memory.target is None and memory.target_ratio is not None:
        return Target.ratio(memory.target_ratio)
    return memory.target


def decide(exposure: Exposure, memory: HedgeMemory) -> Decision:
    """Hold, rebalance, or halt. ``memory`` is what :func:`recall` made of it.

    Beyond ``act`` (strictly) it trades; beyond ``halt``, once the hedge had been established, it stops, except that
    what is over-hedged is always bought back.
    """
    if exposure.blockers:
        return Hold(exposure.blockers)
    if memory.paused:
        return Hold((Reason("paused", "paused by the operator; resume it to trade again"),))
    if memory.expected and not is_given_up(memory):
        return Hold((awaiting(memory),))
    drift, ratio, band = exposure.drift_base, exposure.drift_ratio, exposure.hedge.band
    if drift is None:
        return Hold((Reason("missing_reading", "the drift is not known"),))
    if ratio is None:
        return _decide_unprotected(exposure, drift)
    if abs(ratio) <= band.act:
        return Hold((Reason("within_band", f"drift {_short(ratio)} is within act {band.act}"),))
    if ratio < 0:
        return _decide_cover(exposure, memory, drift, ratio)
    if exposure.sell_blockers:
        return Hold(exposure.sell_blockers)
    if memory.halted is not None:
        return Hold((Reason("halted", f"halted: {memory.halted}; resume it to trade again"),))
    if memory.established and ratio > band.halt:
        return Halt(Reason("drift_above_halt", f"drift {_short(ratio)} is above halt {band.halt}"))
    return Rebalance(drift, (Reason("drift_above_act", f"drift {_short(ratio)} is above act {band.act}"),))


def _decide_cover(exposure: Exposure, memory: HedgeMemory, drift: Base, ratio: Decimal) -> Decision:
    """What is over-hedged is bought back, without what fills of ours have bought back that the venue never showed."""
    act, left = exposure.hedge.band.act, ratio
    bought = ZERO if memory.flattened else sum((unshown_cover(leg, memory) for leg in exposure.legs), ZERO)
    if bought and exposure.weighted_base:
        left = ratio + bought / exposure.weighted_base
        if left >= -act:
            return Hold((awaiting(memory),))
    return Rebalance(
        Base(drift + bought), (Reason("drift_above_act", f"over-hedged: drift {_short(left)}, act {act}"),)
    )


def _decide_unprotected(exposure: Exposure, drift: Base) -> Decision:
    """Without an exposure there is no ratio: whatever position is left is closed."""
    if drift == 0:
        return Hold((Reason("nothing_to_protect", "there is no exposure and no position"),))
    if drift > 0 and exposure.sell_blockers:
        return Hold(exposure.sell_blockers)
    return Rebalance(drift, (Reason("nothing_to_protect", "no exposure is left; the position is closed"),))


def _short(ratio: Decimal) -> str:
    """A ratio for people: two digits, more where two would hide it."""
    return f"{ratio:.2f}" if abs(ratio) >= Decimal("0.1") else f"{ratio:.4f}"


def remember(exposure: Exposure, decision: Decision, memory: HedgeMemory) -> HedgeMemory:
    """Memory after ``decision``, before anything was executed."""
    if isinstance(decision, Halt):
        memory = replace(memory, halted=decision.reason.text)
    if exposure.blockers or exposure.drift_base is None:
        return memory
    inside = exposure.drift_ratio is not None and abs(exposure.drift_ratio) <= exposure.hedge.band.act
    met = exposure.hedge.target if inside else memory.met
    memory = replace(memory, established=memory.established or inside, met=met)
    awaited = memory.expected and memory.held and not is_given_up(memory)
    if awaited or old_wallets(exposure, memory):
        return memory  # what they held before a fill that is waited for tells whether they show it
    return replace(memory, holdings_base=exposure.holdings_base, held=dict(exposure.held))


def expect(
    memory: HedgeMemory, ident: InstrumentId, before: Contracts, signed_filled: Contracts, now_ms: int
) -> HedgeMemory:
    """Memory after fills of ours: the position that the venue has to show before the next decision."""
    if signed_filled == 0:
        return memory
    implied = Contracts(memory.expected.get(ident, before) + signed_filled)
    covered = {at: size for at, size in memory.covered.items() if at != ident}
    if signed_filled > 0:
        # What an earlier cover has bought back, and is not shown yet, is bought back still.
        earlier = memory.covered.get(ident, NO_CONTRACTS) if ident in memory.expected else NO_CONTRACTS
        covered[ident] = Contracts(earlier + signed_filled)
    expected = {**memory.expected, ident: implied}
    memory = replace(memory, expected=expected, expected_since_ms=now_ms, covered=covered)
    return moved_by_us(memory, ident, (Contracts(implied - signed_filled),), implied, now_ms)


def moved_by_us(
    memory: HedgeMemory, ident: InstrumentId, stood: Iterable[Contracts], implied: Contracts, now_ms: int
) -> HedgeMemory:
    """Memory of fills of ours: where the position ``stood`` before them is where an old answer will have it."""
    former = [each for each in (*memory.formerly.get(ident, ()), *stood) if each != implied]
    formerly = {**memory.formerly, ident: tuple(former[-FORMER_MAX:])}
    held = {at: _appended(memory.formerly_held.get(at, ()), coins) for at, coins in memory.held.items()}
    # What was seen before this fill was told may be its work; and until it shows it is waited for in any case.
    return replace(memory, filled_ms=now_ms, formerly=formerly, formerly_held=held, unsettled=False)


def _appended(former: tuple[Base, ...], coins: Base) -> tuple[Base, ...]:
    """Former readings of a wallet with one more, each once."""
    return (*(each for each in former if each != coins), coins)[-FORMER_MAX:]


def brought_up(hedge: Hedge, memory: HedgeMemory) -> HedgeMemory:
    """Memory of a journal from before there were several legs: what was expected was of the only contract."""
    if memory.expected_contracts is None:
        return memory
    expected = {hedge.instrument.id: memory.expected_contracts, **memory.expected}
    return replace(memory, expected_contracts=None, expected=expected)
