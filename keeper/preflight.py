"""What has to be true of an account before, and while, it is traded: mode, permissions, leverage, margin mode.

Read first; written only where the config states a value, the keeper may trade, and the venue shows another one; then
read back. What is wrong afterwards stops orders and hides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from keeper.core.legs import futures_source
from keeper.core.model import Hedge, InstrumentId, Reason
from keeper.core.orders import plain
from keeper.doubt import Standing
from keeper.venue.base import (
    AccountFacts,
    CredentialsRefusedError,
    HostRefusedError,
    Observer,
    SymbolSettings,
    Trader,
    VenueError,
)

MISMATCH = "settings_mismatch"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Settings that the config states for one contract; None is "leave it as it is"."""

    leverage: Decimal | None = None
    margin_mode: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check looked at. ``ok`` is None where the venue cannot be asked."""

    subject: str
    ok: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """What stands in the way of orders, and all that was looked at.

    ``also_watched`` are venues that only hold spot and whose futures positions can be read as well: a position in the
    hedged asset there counts for as much as one beside the hedge. ``away`` are venues that did not answer, with why.
    """

    standing: Standing
    findings: tuple[Finding, ...]
    can_withdraw: tuple[str, ...] = ()
    also_watched: tuple[str, ...] = ()
    away: Mapping[str, VenueError] = field(default_factory=dict)


async def preflight(
    hedges: Sequence[Hedge],
    wanted: Mapping[InstrumentId, Wanted],
    observers: Mapping[str, Observer],
    traders: Mapping[str, Trader],
    *,
    will_trade: bool = True,
    to_look: bool = False,
    before: Standing | None = None,
) -> Preflight:
    """Check every venue that carries a hedge; with ``traders``, set what the config states first.

    What only matters to somebody who trades stops no order where nobody will: a read-only key is right for a look.

    Raises :class:`VenueError` when a venue does not answer. Not so ``to_look``: what stops orders there may have gone
    unseen, so that the figures are shown and no order is planned on them. Nor with ``before``, which is what was found
    the last time: of a venue that does not answer, and of a contract whose settings make no sense, that stands. A first
    look that finds such a contract stops new shorts in it.
    """
    blocks: list[tuple[str, Reason]] = []
    sell_blocks: list[tuple[str, Reason]] = []
    findings: list[Finding] = []
    withdrawers: list[str] = []
    away: dict[str, VenueError] = {}
    unset: dict[InstrumentId, Reason] = {}
    carrying = [instrument for hedge in hedges for instrument in hedge.instruments]
    for venue in sorted({instrument.id.venue for instrument in carrying}):
        instruments = [instrument for instrument in carrying if instrument.id.venue == venue]
        try:
            facts = await observers[venue].facts(instruments)
        except VenueError as error:
            away[venue] = error
            if before is not None:
                blocks += (block for block in before.blocks if block[0] == futures_source(venue))
                sell_blocks += (block for block in before.sell_blocks if block[0] in {str(i.id) for i in instruments})
            elif to_look and not isinstance(error, HostRefusedError):
                blocks.append((futures_source(venue), _unchecked(error)))
            else:
                raise
            continue
        if venue in traders and facts.can_withdraw is not True:
            written = [await _set(wanted.get(i.id), i.id, facts, traders[venue], unset, findings) for i in instruments]
            if any(written):
                facts = await observers[venue].facts(instruments)
        _judge_account(venue, facts, blocks if will_trade else [], findings)
        if facts.one_way is False and not will_trade:
            blocks.append(_two_sided(venue))
        if facts.can_withdraw:
            withdrawers.append(venue)
        for instrument in instruments:
            _judge_settings(
                instrument.id, wanted.get(instrument.id), facts, before, unset.get(instrument.id), sell_blocks, findings
            )
    watched: list[str] = []
    for venue in sorted({account.venue for hedge in hedges for account in hedge.spot}):
        if venue not in {instrument.id.venue for instrument in carrying}:
            await _look_at_spot_venue(venue, observers[venue], findings, withdrawers, watched)
    standing = Standing(tuple(blocks), tuple(sell_blocks))
    return Preflight(standing, tuple(findings), tuple(withdrawers), tuple(watched), away)


async def _look_at_spot_venue(
    venue: str, observer: Observer, findings: list[Finding], withdrawers: list[str], watched: list[str]
) -> None:
    """A venue that carries no hedge: its key may be one for spot alone, so what it may not ask is no fault."""
    try:
        facts = await observer.facts([])
    except VenueError as error:
        findings.append(Finding(venue, None, f"what the key may do cannot be asked: {error}"))
    else:
        if facts.can_withdraw:
            withdrawers.append(venue)
        safe = None if facts.can_withdraw is None else not facts.can_withdraw
        told = _said(venue, safe, "the key may not withdraw", "the key may withdraw: use one that may not")
        findings.append(told if facts.keyless is None else Finding(venue, True, facts.keyless))
    try:
        await observer.positions()
    except VenueError as error:
        text = f"its futures positions cannot be read with this key, so a position there goes unseen: {error}"
        findings.append(Finding(venue, None, text))
    else:
        watched.append(venue)
        findings.append(Finding(venue, True, "its futures positions are watched too"))


async def _set(
    wanted: Wanted | None,
    ident: InstrumentId,
    facts: AccountFacts,
    trader: Trader,
    unset: dict[InstrumentId, Reason],
    findings: list[Finding],
) -> bool:
    """Write what the config states and the venue shows otherwise; whether anything was, or may have been, written."""
    now = facts.settings.get(ident, SymbolSettings())
    changed = False
    try:
        if wanted is not None and wanted.margin_mode is not None and wanted.margin_mode != now.margin_mode:
            await trader.set_margin_mode(ident, wanted.margin_mode, leverage=wanted.leverage)
            changed = True
        if wanted is not None and wanted.leverage is not None and wanted.leverage != now.leverage:
            await trader.set_leverage(ident, wanted.leverage)
            changed = True
    except VenueError as error:
        text = f"setting margin mode or leverage failed: {error}"
        findings.append(Finding(str(ident), False, text))
        unset[ident] = Reason("settings_mismatch", f"{ident}: {text}")
        return True
    return changed


def _judge_account(venue: str, facts: AccountFacts, blocks: list[tuple[str, Reason]], findings: list[Finding]) -> None:
    source = futures_source(venue)
    two_sided = "position mode is hedge mode (two-sided); switch the account to one-way mode"
    findings.append(_said(venue, facts.one_way, "position mode is one-way", two_sided))
    if facts.one_way is False:
        blocks.append(_two_sided(venue))
    if facts.keyless is not None:
        findings.append(Finding(venue, True, facts.keyless))
        return
    findings.append(_said(venue, facts.can_trade, "the key may trade futures", "the key may not trade futures"))
    if facts.can_trade is False:
        text = f"{venue}'s key may not trade futures; allow it, or use mode dry-run"
        blocks.append((source, Reason("no_trade_permission", text)))
    safe = None if facts.can_withdraw is None else not facts.can_withdraw
    findings.append(_said(venue, safe, "the key may not withdraw", "the key may withdraw: use one that may not"))
    if facts.can_withdraw:
        text = f"{venue}'s key may withdraw; keeper does not trade with such a key, make one that may only trade"
        blocks.append((source, Reason("withdrawal_permission", text)))


def _unchecked(error: VenueError) -> Reason:
    """Why no order is planned at a venue that did not say what the account may do."""
    if isinstance(error, CredentialsRefusedError):
        text = f"{error}; check the key, what it may do, and the addresses that it may be used from"
        return Reason(error.code, text)
    return Reason("check_failed", str(error))


def _two_sided(venue: str) -> tuple[str, Reason]:
    text = f"{venue} is in hedge (two-sided) position mode; switch the account to one-way mode"
    return futures_source(venue), Reason("position_mode", text)


def _said(venue: str, ok: bool | None, yes: str, no: str) -> Finding:
    if ok is None:
        return Finding(venue, None, f"the venue cannot be asked whether {yes}")
    return Finding(venue, ok, yes if ok else no)


def _judge_settings(
    ident: InstrumentId,
    wanted: Wanted | None,
    facts: AccountFacts,
    before: Standing | None,
    unset: Reason | None,
    sell_blocks: list[tuple[str, Reason]],
    findings: list[Finding],
) -> None:
    """Compare what the venue shows with what the config states; a mismatch stops new shorts, not covers.

    So does nonsense: a first look knows nothing of the contract's settings then, and a later one what stood before.
    """
    if ident in facts.unread:
        error = facts.unread[ident]
        findings.append(Finding(str(ident), False, f"its settings cannot be read: {error}"))
        stood = [block for block in before.sell_blocks if block[0] == str(ident)] if before is not None else None
        sell_blocks += [(str(ident), _unchecked(error))] if stood is None else stood
        return
    now = facts.settings.get(ident, SymbolSettings())
    shown = f"margin mode {now.margin_mode or 'unknown'}, leverage {_figure(now.leverage)}"
    if wanted is None or (wanted.leverage is None and wanted.margin_mode is None):
        findings.append(Finding(str(ident), True, f"{shown} (left as they are)"))
        return
    pairs = (
        ("margin mode", wanted.margin_mode, now.margin_mode),
        ("leverage", _figure(wanted.leverage), _figure(now.leverage)),
    )
    hidden = False
    for name, want, have in pairs:
        if want in (None, "unknown"):
            continue
        if have in (None, "unknown"):
            findings.append(Finding(str(ident), None, f"the venue does not show its {name}; the config says {want}"))
            hidden = True
        elif want != have:
            text = f"{ident}: {name} is {have} and the config says {want}"
            findings.append(Finding(str(ident), False, text))
            sell_blocks.append((str(ident), Reason("settings_mismatch", text)))
        else:
            findings.append(Finding(str(ident), True, f"{name} is {have}"))
    if hidden:
        # Many a venue shows no settings of a contract that is flat: what could not be set, or was found wrong, stands
        # until it is shown to be right. It would be known when it is too late.
        found = [reason for at, reason in before.sell_blocks if at == str(ident)] if before is not None else []
        sell_blocks += [(str(ident), why) for why in (unset, *found) if why is not None and why.code == MISMATCH]


def _figure(value: Decimal | None) -> str:
    return "unknown" if value is None else plain(value)
