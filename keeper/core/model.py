"""The words of the trade as frozen types, with units and signs.

Signs: holdings are positive when owned and negative when owed; positions, deltas and targets are negative when short;
a drift is what is left to short (positive: under-hedged, sell; negative: over-hedged, buy back).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from keeper.core.beta import Slope
from keeper.core.courses import CoinLedger, Course, Earnest, Pace
from keeper.core.execution import AT_ONCE, POST_ONLY, Execution, Programme, Resting, Style
from keeper.core.instruments import (
    NO_BASE,
    NO_CONTRACTS,
    NO_QUOTE,
    ONE,
    ZERO,
    AccountId,
    Base,
    Contracts,
    Instrument,
    InstrumentId,
    Kind,
    Leg,
    Mark,
    Position,
    Quote,
    Roll,
)
from keeper.core.margins import AccountMargin, LegMargin
from keeper.core.roll_rules import RollRules
from keeper.core.targets import Ground, Target

__all__ = (  # what lives next door and is had from here; the rest of this module needs no list
    "NO_BASE", "NO_CONTRACTS", "NO_QUOTE", "ONE", "ZERO", "AccountId", "Base", "Contracts", "Instrument",
    "InstrumentId", "Kind", "Leg", "Mark", "Position", "Quote", "Roll",
)  # fmt: skip


class Side(StrEnum):
    """The direction of an order."""

    SELL = "sell"
    BUY = "buy"


class ExposureMode(StrEnum):
    """Whether the coin collateral's equity is part of what is protected."""

    EQUITY = "equity"
    SPOT = "spot"


class Unlisted(StrEnum):
    """What to do about a derivative position in the hedged asset that no hedge names."""

    HOLD = "hold"
    COUNT = "count"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order that still rests on the venue. ``contracts`` and ``filled`` are positive."""

    instrument: InstrumentId
    venue_order_id: str
    client_id: str | None
    side: Side
    contracts: Contracts
    filled: Contracts
    reduce_only: bool

    @property
    def remaining(self) -> Contracts:
        """Contracts that may still fill."""
        return Contracts(max(ZERO, self.contracts - self.filled))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was, or was not, done: a stable code for programs and a sentence for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A reading that is not there. ``source`` is ``str()`` of an account or instrument; what depends on it is held."""

    source: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """Coins that no venue shows, as the configuration or a file of another program states them.

    ``amount`` is None where a file says it, look by look. Older than ``max_age_ms`` they are not acted upon.
    """

    account: AccountId
    asset: str
    amount: Base | None = None
    as_of_ms: int | None = None
    max_age_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at everything, taken between ``began`` and ``ended`` (monotonic seconds).

    What could not be read is absent from the mappings and named in ``gaps``. A zero in a mapping is a zero that was
    read. ``blocks`` are facts that stop every order without hiding a figure, ``sell_blocks`` those that stop new shorts
    only: (source, reason), where the source "*" is every hedge. ``foreign`` are changes of a position, in signed
    contracts, that no fill of ours explains. ``stated_at_ms`` is since when what a file states has been true.
    contracts, that no fill of ours explains. ``margins`` are the accounts whose margin was read; one that could not be
    is named in ``gaps`` under :func:`~keeper.core.margins.margin_source`, which stops no cover.
    ``notes`` are (venue, reason) of what was done, or could not be, for a whole venue.
    """

    taken_at_ms: int
    began: float
    ended: float
    holdings: Mapping[tuple[AccountId, str], Base] = field(default_factory=dict)
    positions: Mapping[InstrumentId, Position] = field(default_factory=dict)
    working: tuple[WorkingOrder, ...] = ()
    marks: Mapping[InstrumentId, Mark] = field(default_factory=dict)
    asset_prices: Mapping[str, Decimal] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    blocks: tuple[tuple[str, Reason], ...] = ()
    sell_blocks: tuple[tuple[str, Reason], ...] = ()
    foreign: Mapping[InstrumentId, Contracts] = field(default_factory=dict)
    stated_at_ms: Mapping[tuple[AccountId, str], int] = field(default_factory=dict)
    margins: tuple[AccountMargin, ...] = ()
    notes: tuple[tuple[str, Reason], ...] = ()


@dataclass(frozen=True, slots=True)
class Band:
    """Thresholds on the absolute drift ratio: beyond ``warn`` alert, beyond ``act`` trade, beyond ``halt`` stop."""

    warn: Decimal
    act: Decimal
    halt: Decimal


@dataclass(frozen=True, slots=True)
class Hedge:
    """One hedge as configured, its venue facts filled in.

    ``instrument``, ``share``, ``collateral`` and ``collateral_is_spot`` are its first leg, see :class:`Leg`; ``more``
    are the others, in order of preference or each with its share. ``tailing`` hedges the spot value and not the coins:
    the target of a contract at F over a spot price S is S/F of the coins. ``configured`` is the first contract that the
    configuration names, where another one stands in its place because a roll has ended in that one. ``betas`` maps each
    asset to its slope per unit of notional; 1 for an asset hedged by its own future. ``declared`` maps an asset to the
    coins that are held elsewhere; ``slopes`` say where the betas come from, and an asset whose slope has none cannot be
    weighed; ``statements`` say who states them and how old that may be, and which files are read
    beside the wallets.
    A position that somebody else made smaller by more than ``max_foreign_ratio`` of the exposure is not opened again
    without a person. Whatever ``target`` says, no less than ``min_ratio`` and no more than ``max_ratio`` of the
    exposure is aimed at; where the configuration's target changes, ``transition`` is how it is moved to.
    """

    name: str
    assets: tuple[str, ...]
    spot: tuple[AccountId, ...]
    declared: Mapping[str, Base]
    instrument: Instrument
    target: Target
    band: Band
    exposure: ExposureMode = ExposureMode.EQUITY
    unlisted: Unlisted = Unlisted.HOLD
    betas: Mapping[str, Decimal] = field(default_factory=dict)
    collateral: AccountId | None = None
    collateral_is_spot: bool = False
    max_slippage: Decimal = Decimal("0.001")
    max_foreign_ratio: Decimal = Decimal("0.25")
    statements: tuple[Statement, ...] = ()
    roll: RollRules = field(default_factory=RollRules)
    min_ratio: Decimal = ZERO
    max_ratio: Decimal = ONE
    transition: Pace | None = None
    slopes: tuple[Slope, ...] = ()
    execution: Execution = AT_ONCE
    share: Decimal | None = None
    more: tuple[Leg, ...] = ()
    tailing: bool = False
    configured: InstrumentId | None = None
    legs: tuple[Leg, ...] = field(init=False, repr=False, compare=False)
    """Every contract that may carry this hedge, the first one first."""

    def __post_init__(self) -> None:
        """Put the legs together, which every look asks for many times."""
        first = Leg(self.instrument, self.share, self.collateral, self.collateral_is_spot)
        object.__setattr__(self, "legs", (first, *self.more))

    @property
    def is_own(self) -> bool:
        """Whether coins are hedged with as many coins of their own future, so that no price compares the two."""
        own = len(self.assets) == 1 and self.assets[0] == self.instrument.base and self.beta(self.assets[0]) == 1
        return own and not self.tailing

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The contracts of :attr:`legs`."""
        return (self.instrument, *(leg.instrument for leg in self.more))

    def beta(self, asset: str) -> Decimal:
        """Slope of the asset's returns on the instrument's, per unit of notional."""
        return self.betas.get(asset, ONE)


@dataclass(frozen=True, slots=True)
class HedgeMemory:
    """What one hedge carries from cycle to cycle; the journal keeps it. A flattened hedge has the target zero.

    ``target`` is the one in force at the last look, ``target_ratio`` the share that it came to then; ``met`` is the one
    for which the drift was last within ``act``. ``course`` is how the target is moved, ``filed`` the configuration's
    own at the last look, ``coins`` what a coin-margined hedge has earned since its target was set.
    ``holdings_base``, by asset ``held``, is what the wallets held when it was last acted upon, without unrealised PnL.
    ``expected`` is, per contract, the position that our own fills imply, until a reading has shown it; journals of
    before there were several legs have it as ``expected_contracts``, of the first one; ``covered`` is what of
    them we bought back. ``roll`` is the roll that is under way; ``carrier`` is the contract that the last one ended in,
    in the place of ``carrier_for``, the first one of the configuration then: a configuration that names another one
    takes over again. ``roll_note`` is what was last chosen about a roll that is due, or under way; ``ratio_cap`` is the
    most that is hedged since all was too dear.
    ``settled_ratio`` is the target's share when the drift was last inside the band. ``successors`` maps a contract of a
    hedge that is split by shares to the one that it was rolled to. ``earnest`` is what stood before a rehearsal.
    ``filled_ms`` is when our last fill was told, ``formerly`` where positions stood before it and those just before it,
    ``unsettled`` whether one was seen there again since, ``formerly_held`` what wallets held before the last fills.
    """

    target_ratio: Decimal | None = None
    target: Target | None = None
    met: Target | None = None
    course: Course | None = None
    filed: Target | None = None
    coins: CoinLedger | None = None
    established: bool = False
    halted: str | None = None
    paused: bool = False
    flattened: bool = False
    holdings_base: Base | None = None
    expected_contracts: Contracts | None = None
    expected_since_ms: int | None = None
    betas: Mapping[str, Decimal] = field(default_factory=dict)
    resting: Resting | None = None
    programme: Programme | None = None
    settled_ratio: Decimal | None = None
    held: Mapping[str, Base] = field(default_factory=dict)
    expected: Mapping[InstrumentId, Contracts] = field(default_factory=dict)
    covered: Mapping[InstrumentId, Contracts] = field(default_factory=dict)
    roll: Roll | None = None
    carrier: InstrumentId | None = None
    carrier_for: InstrumentId | None = None
    roll_note: Reason | None = None
    ratio_cap: Decimal | None = None
    margin: Mapping[InstrumentId, str] = field(default_factory=dict)
    successors: Mapping[InstrumentId, InstrumentId] = field(default_factory=dict)
    earnest: Earnest | None = None
    filled_ms: int | None = None
    formerly: Mapping[InstrumentId, tuple[Contracts, ...]] = field(default_factory=dict)
    formerly_held: Mapping[str, tuple[Base, ...]] = field(default_factory=dict)
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class LegExposure:
    """Where one leg of a hedge stands. None is "not known"; ``delta_base`` is signed, in the hedge's base units.

    ``worth`` is what one base unit of this leg counts for in the hedge: 1 where coins are compared with coins, this
    leg's mark over the first leg's where values are (a basket, a cross hedge, a tailed one). ``blockers`` stop every
    order on this leg and ``sell_blockers`` new shorts; ``foreign_contracts`` is a change that no fill of ours explains.
    A position in a contract that has ``expired`` was settled by the venue. ``doubted``: a reading is missing or not
    believed without which the delta of the whole hedge is not known.
    """

    leg: Leg
    position: Position | None = None
    mark: Mark | None = None
    delta_base: Base | None = None
    worth: Decimal = ONE
    working: tuple[WorkingOrder, ...] = ()
    blockers: tuple[Reason, ...] = ()
    sell_blockers: tuple[Reason, ...] = ()
    foreign_contracts: Contracts = NO_CONTRACTS
    expired: bool = False
    doubted: bool = False
    margin: LegMargin | None = None

    @property
    def id(self) -> InstrumentId:
        """The contract."""
        return self.leg.instrument.id

    @property
    def short_notional(self) -> Quote:
        """Quote value of this leg's short, positive; zero where it is long, flat or not known."""
        if self.position is None or self.mark is None or self.position.contracts >= 0:
            return NO_QUOTE
        return Quote(-self.leg.instrument.notional(self.position.contracts, self.mark.mark))


@dataclass(frozen=True, slots=True)
class Exposure:
    """Where one hedge stands. None is "not known", never zero. Units and signs as in the module's first lines.

    ``spot_base``, ``collateral_base`` and ``exposure_base`` are coins of the one asset, or for a basket coins of the
    hedging contract. ``weighted_base`` is Σ βᵢ·Eᵢ·Pᵢ / P_hedge, in coins of the hedging contract (E itself for an
    asset's own future), and so is ``equity_base``: all that is truly owned, collateral and PnL included whatever the
    config counts, the bound of rule 5. ``holdings_base``, ``held`` are wallets alone, without PnL. ``stated`` are the
    hedge's statements as this look read them. ``target_ratio`` is the share that the target comes to; ``notes``
    say what has moved it, ``ground`` is what it was measured on. ``portfolio_beta`` is Σ βᵢ·Vᵢ / Σ Vᵢ of a basket.
    ``futures_base`` is the sum over all ``legs``; ``mark``, ``position``, ``working`` and ``foreign_contracts`` are
    those of the first one.
    """

    hedge: Hedge
    spot_base: Base | None = None
    collateral_base: Base | None = None
    exposure_base: Base | None = None
    futures_base: Base | None = None
    hedge_ratio: Decimal | None = None
    target_ratio: Decimal | None = None
    target_base: Base | None = None
    drift_base: Base | None = None
    drift_ratio: Decimal | None = None
    drift_notional: Quote | None = None
    net_delta_base: Base | None = None
    portfolio_beta: Decimal | None = None
    weighted_base: Base | None = None
    holdings_base: Base | None = None
    equity_base: Base | None = None
    mark: Mark | None = None
    position: Position | None = None
    working: tuple[WorkingOrder, ...] = ()
    blockers: tuple[Reason, ...] = ()
    sell_blockers: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    ground: Ground | None = None
    foreign_contracts: Contracts = NO_CONTRACTS
    stated: tuple[Statement, ...] = ()
    held: Mapping[str, Base] = field(default_factory=dict)
    legs: tuple[LegExposure, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Do nothing, for these reasons."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Rebalance:
    """Trade the drift away: positive ``drift_base`` is still to be shorted, negative is to be bought back.

    ``on`` is the leg that this is done on, None for the first; ``drift_base`` is then that leg's part of it.
    """

    drift_base: Base
    reasons: tuple[Reason, ...]
    on: InstrumentId | None = None


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop this hedge and page; covers are still allowed, new shorts are not until somebody resumes it."""

    reason: Reason


Decision = Hold | Rebalance | Halt


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """One limit order, complete: the executor has nothing left to choose. ``contracts`` is positive.

    ``client_id`` is canonical, 28 lower-case hexadecimal digits of which the first six name the journal; the venue
    layer writes it in each venue's own grammar and reads it back. ``arrival_mid`` is the mid of the look behind it, by
    which slippage is measured: a fraction, positive where it costs.
    """

    client_id: str
    hedge: str
    instrument: InstrumentId
    side: Side
    contracts: Contracts
    amount_base: Base
    notional: Quote
    price: Decimal
    reduce_only: bool
    type: str = "limit"
    time_in_force: str = "IOC"
    style: Style = Style.MARKET
    arrival_mid: Decimal | None = None
    expected_slippage: Decimal | None = None

    @property
    def rests(self) -> bool:
        """Whether the order stays in the book until it fills or is taken back."""
        return self.time_in_force == POST_ONLY


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """What would restore the target: slices in order, and what they leave open (positive: still to short).

    Of a hedge with several contracts the slices are for the one whose turn it is.
    """

    hedge: str
    orders: tuple[PlannedOrder, ...]
    residual_base: Base
    reasons: tuple[Reason, ...] = ()
    cancels: tuple[WorkingOrder, ...] = ()


class OutcomeState(StrEnum):
    """How an order that was sent, or may have been sent, ended."""

    FILLED = "filled"
    PARTIAL = "partial"
    NONE = "none"  # taken in and closed with nothing filled
    REJECTED = "rejected"  # the venue said no, or asked to come back later: the order never existed
    ABSENT = "absent"  # proved never to have arrived
    UNKNOWN = "unknown"
    WORKING = "working"  # shown to rest in the venue's book

    @property
    def is_open(self) -> bool:
        """Whether something may still become of it."""
        return self in (OutcomeState.UNKNOWN, OutcomeState.WORKING)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end, or the present uncertainty, of one order. ``filled`` is positive contracts."""

    client_id: str
    state: OutcomeState
    filled: Contracts = NO_CONTRACTS
    average_price: Decimal | None = None
    venue_order_id: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Intent:
    """An order as it is written down before it is sent, and what has become known of it since.

    ``position_before`` is the signed position that the decision read. ``not_found`` counts the venue's authoritative
    "no such order" answers, the first of them at ``not_found_since_ms``; network errors never count.
    """

    order: PlannedOrder
    position_before: Contracts
    run: int
    cycle: int
    created_at_ms: int
    outcome: Outcome
    not_found: int = 0
    not_found_since_ms: int | None = None

    @property
    def client_id(self) -> str:
        """The canonical client order id."""
        return self.order.client_id


@dataclass(frozen=True, slots=True)
class HedgeCycle:
    """What one cycle saw, decided and did about one hedge, and what it will remember."""

    exposure: Exposure
    decision: Decision
    plan: OrderPlan | None
    reasons: tuple[Reason, ...]
    outcomes: tuple[Outcome, ...]
    memory: HedgeMemory


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """One turn of the loop with all its inputs, so that any decision in it can be judged again."""

    run: int
    cycle: int
    snapshot: Snapshot
    hedges: tuple[HedgeCycle, ...]
    ended_at_ms: int
