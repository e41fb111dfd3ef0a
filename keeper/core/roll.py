"""Which contract carries a hedge on: candidates compared by what holding the short in each costs to a horizon.

A flow to us is positive. Over the horizon, on the notional N at spot: basis ``N·b·days/365`` (b annualised simple),
funding ``N·mean rate·intervals``, less taker fees and half spreads of closing the present contract, opening the next
and closing it at the end. A contract that expires before the horizon is taken to be rolled on at the same basis, with
the fees of every such roll. Staying where one is costs no fees until the end. What cannot be read cannot be compared:
such a candidate has no price, and never a price of zero.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

from keeper.core.carry import DAY_MS, YEAR_DAYS, Basis, FundingMean
from keeper.core.model import ONE, ZERO, Instrument, InstrumentId, Mark, Quote, Reason
from keeper.core.orders import plain
from keeper.core.roll_rules import CANDIDATE_WORDS, Fallback, RollRules, WhenTooDear
from keeper.core.roll_state import RollRefusedError

_MOST_CANDIDATES = 8
"""More expiries than these are not looked at: each costs the venue several requests."""


# -- candidates ------------------------------------------------------------------------------------------------------


def days_left(instrument: Instrument, now_ms: int) -> Decimal | None:
    """Days to the contract's expiry, negative once it is past; None for a perpetual."""
    if instrument.expires_at_ms is None:
        return None
    return Decimal(instrument.expires_at_ms - now_ms) / DAY_MS


def is_due(instrument: Instrument, rules: RollRules, now_ms: int) -> bool:
    """Whether the contract's expiry is within the roll window."""
    left = days_left(instrument, now_ms)
    return left is not None and left <= rules.window_days


def is_last_moment(instrument: Instrument, rules: RollRules, now_ms: int) -> bool:
    """Whether a roll can wait no longer."""
    left = days_left(instrument, now_ms)
    return left is not None and left <= rules.latest_days


def due_note(instrument: Instrument, rules: RollRules, now_ms: int) -> Reason | None:
    """What a plan says about a contract that is about to expire; None while there is nothing to say."""
    left = days_left(instrument, now_ms)
    if left is None or left > rules.window_days:
        return None
    text = f"{instrument.id.symbol} expires in {_days(left)} days: a roll is due (window {plain(rules.window_days)})"
    return Reason("roll_due", text)


def late_note(instrument: Instrument, rules: RollRules, now_ms: int) -> Reason | None:
    """That a contract still carries the hedge when half of the last moment has gone by; None where it does not."""
    left = days_left(instrument, now_ms)
    if left is None or not ZERO < left <= rules.latest_days / 2:
        return None
    return Reason("roll_late", f"{instrument.id.symbol} expires in {_days(left)} days and still carries the hedge")


def candidates_of(
    present: Instrument, listed: Sequence[Instrument], wanted: Sequence[str], now_ms: int
) -> tuple[Instrument, ...]:
    """Contracts that could carry the hedge on: the perpetual first, then by expiry; the present one is not among them.

    Only contracts like the present one are: same coin, same quote money, same collateral, same kind; with an expiry
    after the present one's and after now. ``wanted`` narrows them by words or ids; what it names and is not listed
    is simply not there.
    """
    alike = [each for each in listed if _is_like(present, each) and each.id != present.id]
    perpetuals = [each for each in alike if each.expires_at_ms is None]
    after = max(now_ms, present.expires_at_ms or 0)
    dated = sorted(
        (each for each in alike if each.expires_at_ms is not None and each.expires_at_ms > after),
        key=lambda each: (each.expires_at_ms or 0, each.id),
    )
    ordered = (*perpetuals[:1], *dated)
    if not wanted:
        return ordered[:_MOST_CANDIDATES]
    named = dict(zip(CANDIDATE_WORDS, (perpetuals[:1], dated[:1], dated[1:2]), strict=True))
    chosen = {each.id for word in wanted for each in named.get(word, ())}
    chosen |= {each.id for each in ordered if str(each.id) in wanted}
    return tuple(each for each in ordered if each.id in chosen)


def refused_target(
    present: Instrument, listed: Sequence[Instrument], taken: Collection[InstrumentId], word: str | None, now_ms: int
) -> RollRefusedError:
    """Why the present contract cannot be rolled to ``word`` (None: to whatever is cheapest), and to which it can.

    ``taken`` are contracts that carry another part of the hedge.
    """
    alike = sorted((each for each in listed if _is_like(present, each) and each.id != present.id), key=_expiry)
    able = candidates_of(present, [each for each in alike if each.id not in taken], (), now_ms)
    if not able:
        return RollRefusedError(f"{present.id} can be rolled to nothing: {_why_nowhere(present, alike, taken)}")
    names = ", ".join(each.id.symbol for each in able)
    if word is None:
        return RollRefusedError(f"of roll.candidates {present.id} can be rolled to none; name one with --to: {names}")
    meant = next((each for each in (present, *alike) if _is_meant(each, word)), None)
    if meant is None:
        why = "nothing like it is listed by that name"
    elif meant is present:
        why = "that is where it is"
    else:
        why = f"{meant.id.symbol} {_CARRIES}" if meant.id in taken else "that expires no later"
    return RollRefusedError(f"{present.id} cannot be rolled to {word}: {why}; it can to: {names}")


_CARRIES = "carries a part of this hedge already"


def _is_meant(instrument: Instrument, word: str) -> bool:
    return word in (str(instrument.id), instrument.id.symbol) or (
        word == CANDIDATE_WORDS[0] and instrument.expires_at_ms is None
    )


def _why_nowhere(present: Instrument, alike: Sequence[Instrument], taken: Collection[InstrumentId]) -> str:
    carrying = [f"{each.id.symbol} {_CARRIES}" for each in alike if each.id in taken]
    if present.expires_at_ms is None:
        return ", and ".join([*carrying, f"nothing {'else ' if carrying else ''}that expires is listed"])
    if not any(each.expires_at_ms is None for each in alike):
        carrying.append("no perpetual is listed")
    return ", and ".join([*carrying, "nothing that expires later is listed"])


def _expiry(instrument: Instrument) -> tuple[int, InstrumentId]:
    return instrument.expires_at_ms or 0, instrument.id


def _is_like(present: Instrument, other: Instrument) -> bool:
    return (present.id.venue, present.base, present.quote, present.settle, present.kind) == (
        other.id.venue, other.base, other.quote, other.settle, other.kind,
    )  # fmt: skip


# -- pricing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of one contract when it is compared; None is not known. ``taker_fee`` is a fraction of notional."""

    instrument: Instrument
    mark: Mark | None = None
    taker_fee: Decimal | None = None
    funding: FundingMean | None = None
    gaps: tuple[Reason, ...] = ()

    @property
    def half_spread(self) -> Decimal | None:
        """Half the distance between bid and ask, as a fraction of the price between them."""
        if self.mark is None or self.mark.bid is None or self.mark.ask is None:
            return None
        return max(ZERO, self.mark.ask - self.mark.bid) / (self.mark.ask + self.mark.bid)

    @property
    def side_cost(self) -> Decimal | None:
        """What one trade costs, as a fraction of notional: the fee and half the spread."""
        if self.taker_fee is None or self.half_spread is None:
            return None
        return self.taker_fee + self.half_spread


@dataclass(frozen=True, slots=True)
class Flows:
    """Quote money over the horizon, positive to us: fees and spreads are negative or zero."""

    basis: Quote
    funding: Quote
    close_present: Quote
    open_new: Quote
    rolls_between: Quote
    close_at_end: Quote

    @property
    def gross(self) -> Quote:
        """Carry alone."""
        return Quote(self.basis + self.funding)

    @property
    def costs(self) -> Quote:
        """Fees and half spreads of every trade; not positive."""
        return Quote(self.close_present + self.open_new + self.rolls_between + self.close_at_end)

    @property
    def net(self) -> Quote:
        """Carry less every trade."""
        return Quote(self.gross + self.costs)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One contract with what holding the short in it comes to, or why that cannot be said.

    ``net_annual`` is the net flow as a simple fraction of the notional a year (negative: it costs). ``barred`` says why
    the contract cannot be chosen though it may have a price.
    """

    terms: Terms
    stays: bool
    days: Decimal | None
    basis: Basis | None = None
    rolls: int = 0
    flows: Flows | None = None
    net_annual: Decimal | None = None
    unpriced: tuple[Reason, ...] = ()
    barred: Reason | None = None

    @property
    def id(self) -> InstrumentId:
        """The contract."""
        return self.terms.instrument.id

    @property
    def is_open(self) -> bool:
        """Whether it can be chosen by its price."""
        return self.flows is not None and self.barred is None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All candidates on one notional over one horizon, the present contract first."""

    at_ms: int
    notional: Quote
    spot: Decimal | None
    horizon_days: Decimal
    candidates: tuple[Candidate, ...]

    @property
    def present(self) -> Candidate:
        """The contract that carries the hedge now."""
        return self.candidates[0]

    @property
    def best(self) -> Candidate | None:
        """The cheapest that can be priced and chosen; of equals the one that stays, then the one named first."""
        able = [each for each in self.candidates if each.is_open]
        return max(able, key=lambda each: each.flows.net if each.flows is not None else ZERO, default=None)


def compare(
    present: Terms,
    others: Sequence[Terms],
    spot: Decimal | None,
    notional: Quote,
    held: Quote,
    rules: RollRules,
    now_ms: int,
) -> Comparison:
    """Price the present contract and every other, on ``notional`` (positive): the short to hold, at ``spot``.

    ``held`` is how much of it is in the present contract already: only that has to be closed to leave, and only what
    is not there has to be opened to stay.
    """
    look = _Look(present, spot, notional, Quote(min(held, notional)), rules, now_ms)
    candidates = tuple(look.price(terms) for terms in (present, *others))
    return Comparison(now_ms, notional, spot, rules.horizon_days, candidates)


@dataclass(frozen=True, slots=True)
class _Look:
    """What all candidates are priced against."""

    present: Terms
    spot: Decimal | None
    notional: Quote
    held: Quote
    rules: RollRules
    now_ms: int

    def price(self, terms: Terms) -> Candidate:
        """One contract's flows over the horizon, or why there is no saying."""
        stays = terms is self.present
        days = days_left(terms.instrument, self.now_ms)
        barred = _bar(days, self.rules)
        if stays and barred is not None:
            return Candidate(terms, stays, days, barred=barred)  # to be left, whatever staying would bring
        basis = None
        if days is not None and self.spot is not None and terms.mark is not None and days > 0:
            basis = Basis(terms.mark.mark, self.spot, days)
        leaves = not stays and self.held > 0
        missing = _missing(self.present if leaves else terms, terms, self.spot)
        side, leaving = terms.side_cost, self.present.side_cost if leaves else ZERO
        if missing or side is None or leaving is None:
            return Candidate(terms, stays, days, basis, unpriced=missing, barred=barred)
        rolls = 0 if days is None else _rolls(days, self.rules.horizon_days)
        to_open = self.notional - self.held if stays else self.notional
        flows = Flows(
            basis=Quote(ZERO if basis is None else self._for_horizon(basis.simple)),
            funding=Quote(
                ZERO if terms.funding is None or days is not None else self._for_horizon(terms.funding.annual)
            ),
            close_present=Quote(-leaving * self.held + ZERO),
            open_new=Quote(-side * to_open + ZERO),
            rolls_between=Quote(-2 * rolls * side * self.notional + ZERO),
            close_at_end=Quote(-side * self.notional + ZERO),
        )
        annual = flows.net / self.notional * YEAR_DAYS / self.rules.horizon_days if self.notional > 0 else None
        return Candidate(terms, stays, days, basis, rolls, flows, annual, barred=barred)

    def _for_horizon(self, annual: Decimal) -> Decimal:
        return self.notional * annual * self.rules.horizon_days / YEAR_DAYS


def _rolls(days: Decimal, horizon_days: Decimal) -> int:
    """How often a contract with so many days left has to be rolled on to reach the horizon."""
    return max(0, int((horizon_days / days).to_integral_value(ROUND_CEILING)) - 1) if days > 0 else 0


def _bar(days: Decimal | None, rules: RollRules) -> Reason | None:
    """A contract whose own roll would be due at once is no place to go to, or to stay in."""
    if days is None or days > rules.window_days:
        return None
    text = f"expires in {_days(days)} days, inside its own window of {plain(rules.window_days)}"
    return Reason("roll_expires_soon", text)


def _missing(present: Terms, terms: Terms, spot: Decimal | None) -> tuple[Reason, ...]:
    """Why a contract has no price."""
    found = list(terms.gaps)
    name = terms.instrument.id.symbol

    def lacks(what: str) -> None:
        found.append(Reason("roll_unpriced", f"{name}: {what}"))

    if terms.mark is None and not found:
        lacks("its price is not known")
    if terms.mark is not None and terms.half_spread is None:
        lacks("nobody bids, or nobody offers")
    if terms.taker_fee is None:
        lacks("its taker fee is not known; state roll.taker_fee")
    if terms.instrument.expires_at_ms is None:
        if terms.funding is None and not terms.gaps:
            lacks("its funding history, or the interval of it, is not known")
    elif spot is None:
        lacks("the spot price is not known, so its basis is not")
    if terms is not present and present.side_cost is None:
        lacks(f"what closing {present.instrument.id.symbol} costs is not known")
    return tuple(dict.fromkeys(found))


def break_even_rate(dated: Candidate, perpetual: Candidate, notional: Quote, horizon_days: Decimal) -> Decimal | None:
    """The mean funding rate per interval at which the perpetual nets what ``dated`` does; None where it has no price.

    Below it the dated contract is the cheaper one to be short in.
    """
    mean = perpetual.terms.funding
    if dated.flows is None or perpetual.flows is None or mean is None or notional <= 0:
        return None
    needed = dated.flows.net - perpetual.flows.costs
    return needed / notional / mean.intervals(horizon_days)


# -- choosing --------------------------------------------------------------------------------------------------------


class Act(StrEnum):
    """What follows from a comparison."""

    STAY = "stay"
    """No roll is due."""
    ROLL = "roll"
    HOLD = "hold"
    """A roll is due and is not made yet: too dear, not comparable, or nowhere to go."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is done about it: where to, with which ratio where it is lowered, and why. ``page`` wakes somebody."""

    act: Act
    reason: Reason
    target: Instrument | None = None
    ratio: Decimal | None = None
    page: bool = False


def choose(comparison: Comparison, rules: RollRules, *, part: bool = False) -> Choice:
    """The cheapest candidate, unless all are too dear; and at the last moment somewhere, rather than nowhere.

    ``part``: the contract carries a share of its hedge, beside others.
    """
    present, best = comparison.present, comparison.best
    if not is_due(present.terms.instrument, rules, comparison.at_ms):
        return Choice(Act.STAY, Reason("roll_not_due", f"{_until(present)}; {_cheapest(best)}"))
    last = is_last_moment(present.terms.instrument, rules, comparison.at_ms)
    if len(comparison.candidates) == 1:
        return _nowhere(present, "is listed that could", part=part)
    if best is None:
        return _unpriced(comparison, rules, last=last, part=part)
    cost = ZERO if best.net_annual is None else -best.net_annual
    if cost <= rules.max_cost_annual:
        return Choice(Act.ROLL, Reason("roll_cheapest", _cheapest(best)), best.terms.instrument)
    return _too_dear(comparison, best, cost, rules, last=last)


def cheapest_other(comparison: Comparison, rules: RollRules) -> Instrument:
    """Where a roll by hand goes that names no contract; raises :class:`RollRefusedError` with what to say instead."""
    moving = comparison.candidates[1:]
    able = [each for each in moving if each.is_open]
    if not able:
        told = (reason.text for each in moving for reason in (*each.unpriced, *_as_tuple(each)))
        why = "; ".join(dict.fromkeys(told))
        raise RollRefusedError(f"no other contract can be compared ({why}); name one with --to")
    best = max(able, key=lambda each: each.flows.net if each.flows is not None else ZERO)
    cost = ZERO if best.net_annual is None else -best.net_annual
    if cost > rules.max_cost_annual:
        limit = plain(rules.max_cost_annual)
        text = f"the cheapest other contract, {best.id.symbol}, costs {_share(cost)} a year, and max_cost_annual is"
        raise RollRefusedError(f"{text} {limit}; name it with --to to take it all the same")
    return best.terms.instrument


def _too_dear(comparison: Comparison, best: Candidate, cost: Decimal, rules: RollRules, *, last: bool) -> Choice:
    limit = plain(rules.max_cost_annual)
    text = f"every candidate costs more than {limit} a year, the cheapest ({best.id.symbol}) {_share(cost)}"
    target = best.terms.instrument
    if rules.when_too_dear is WhenTooDear.LOWER_RATIO and rules.lower_ratio_to is not None:
        said = f"{text}; the ratio is lowered to {plain(rules.lower_ratio_to)} at most, and the rest goes there"
        return Choice(Act.ROLL, Reason("roll_ratio_lowered", said), target, rules.lower_ratio_to, page=True)
    if rules.when_too_dear is WhenTooDear.PERPETUAL:
        perpetual = _perpetual(comparison)
        if perpetual is not None:
            return Choice(Act.ROLL, Reason("roll_to_perpetual", f"{text}; taking {perpetual.id.symbol}"), perpetual)
    if last:
        said = f"{text}; there is no more time, and an open expiry is worse: taking it anyway"
        return Choice(Act.ROLL, Reason("roll_at_last_moment", said), target, page=True)
    said = f"{text}; {_until(comparison.present)} and is kept until {plain(rules.latest_days)} days before"
    return Choice(Act.HOLD, Reason("roll_too_dear", said))


def _nowhere(present: Candidate, nothing: str, why: str = "", *, part: bool) -> Choice:
    """Of a share its venue is told too: what carries another one may be called the same there."""
    at, what = (f"{present.id.venue}:", "its share of the hedge") if part else ("", "the hedge")
    text = f"{at}{_until(present)}, and nothing {nothing} carry {what} on{why}"
    return Choice(Act.HOLD, Reason("roll_nowhere", text), page=True)


def _unpriced(comparison: Comparison, rules: RollRules, *, last: bool, part: bool) -> Choice:
    """Nothing could be compared: wait while there is time, then go where the configuration says."""
    moving = comparison.candidates[1:]
    why = "; ".join(dict.fromkeys(reason.text for each in moving for reason in (*each.unpriced, *_as_tuple(each))))
    if not last:
        text = f"no candidate can be priced ({why}); {_until(comparison.present)}, looked at again"
        return Choice(Act.HOLD, Reason("roll_unpriced", text))
    dated = [each.terms.instrument for each in moving if each.days is not None and each.barred is None]
    perpetual = _perpetual(comparison)
    order = [perpetual, *dated] if rules.fallback is Fallback.PERPETUAL else [*dated, perpetual]
    # A contract that has to be left again soon is a poor place, and better than none.
    soon = [each for each in moving if each.barred is not None and (each.days or ZERO) > rules.latest_days]
    order += [each.terms.instrument for each in sorted(soon, key=lambda each: each.days or ZERO, reverse=True)]
    target = next((each for each in order if each is not None), None)
    if target is None:
        return _nowhere(comparison.present, "can", f" ({why})", part=part)
    text = f"no candidate can be priced ({why}) and there is no more time: falling back on {target.id.symbol}"
    return Choice(Act.ROLL, Reason("roll_fallback", text), target, page=True)


def _perpetual(comparison: Comparison) -> Instrument | None:
    found = (each.terms.instrument for each in comparison.candidates[1:])
    return next((each for each in found if each.expires_at_ms is None), None)


def _as_tuple(candidate: Candidate) -> tuple[Reason, ...]:
    if candidate.barred is None:
        return ()
    return (Reason(candidate.barred.code, f"{candidate.id.symbol} {candidate.barred.text}"),)


def _until(present: Candidate) -> str:
    symbol = present.id.symbol
    if present.days is None:
        return f"{symbol} does not expire"
    return f"{symbol} {'expires in ' + _days(present.days) + ' days' if present.days > 0 else 'has expired'}"


def _cheapest(best: Candidate | None) -> str:
    if best is None or best.net_annual is None:
        return "no candidate can be priced"
    verb = "earns" if best.net_annual >= 0 else "costs"
    return f"cheapest to hold is {best.id.symbol}: it {verb} {_share(abs(best.net_annual))} a year after fees"


def _days(days: Decimal) -> str:
    """A tenth of a day, and a hundredth of it when that is all there is."""
    return plain(days.quantize(Decimal("0.1") if abs(days) >= ONE else Decimal("0.01")))


def _share(fraction: Decimal) -> str:
    """A fraction in percent, with two digits."""
    return f"{fraction * 100:.2f} %"
