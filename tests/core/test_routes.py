"""On which leg an order goes: by preference, by share, in a roll; and what holds for any of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from keeper.core.hedge import assess, decide
from keeper.core.legs import at_leg
from keeper.core.limits import ApprovedPlan, Book, Limits, review
from keeper.core.model import (
    NO_BASE,
    ZERO,
    AccountId,
    Band,
    Base,
    Contracts,
    Exposure,
    Gap,
    Hedge,
    HedgeMemory,
    Instrument,
    InstrumentId,
    Kind,
    Leg,
    Mark,
    Position,
    Quote,
    Reason,
    Rebalance,
    Roll,
    Side,
    Snapshot,
)
from keeper.core.orders import plan
from keeper.core.routes import Route, is_over, routes, shift, stuck
from keeper.core.targets import Target
from tests.core.build import EPOCH, MAIN, D, linear

OTHER = AccountId("other")
COINM = AccountId("main", "inverse")


def contract(
    name: str, kind: Kind = Kind.LINEAR, size: str = "1", step: str = "0.001", least: str = "5", venue: str = "main"
) -> Instrument:
    settle = "BTC" if kind is Kind.INVERSE else "USDT"
    return Instrument(
        InstrumentId(venue, f"BTC/{name}:{settle}"), "BTC", name, settle, kind, D(size), Contracts(D(step)), D("0.1"),
        min_contracts=Contracts(D(step)), min_notional=Quote(D(least)),
    )  # fmt: skip


@dataclass
class World:
    """Coins, marks and positions, and orders that fill at the mark; enough of a venue for arithmetic."""

    hedge: Hedge
    coins: Decimal
    marks: dict[InstrumentId, Decimal]
    contracts: dict[InstrumentId, Decimal] = field(default_factory=dict)
    entries: dict[InstrumentId, Decimal] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    blocks: tuple[tuple[str, Reason], ...] = ()
    sell_blocks: tuple[tuple[str, Reason], ...] = ()
    wallet: Decimal = ZERO

    def look(self) -> Exposure:
        positions = {
            i.id: Position(i, Contracts(self.contracts.get(i.id, D(0))), self.entries.get(i.id))
            for i in self.hedge.instruments
        }
        holdings = {(MAIN, "BTC"): Base(self.coins), (COINM, "BTC"): Base(self.wallet)}
        marks = {ident: Mark(mark, mark, mark) for ident, mark in self.marks.items()}
        seen = Snapshot(0, 0.0, 0.0, holdings, positions, (), marks, {}, self.gaps, self.blocks, self.sell_blocks)
        return assess(self.hedge, seen, {i.id for i in self.hedge.instruments})

    def send(self, exposure: Exposure, way: Route, most: str = "1e12") -> Decimal:
        """Plan, review and fill one step on its leg; signed contracts (0 where it is too small to be placed)."""
        seen = at_leg(exposure, way.leg, way.drift_base)
        planned = plan(seen, Rebalance(seen.drift_base or NO_BASE, ()), Quote(D(most)), EPOCH)
        if not planned.orders:
            return D(0)
        verdict = review(planned, seen, Limits(Quote(D(most))), Book())
        if not isinstance(verdict, ApprovedPlan):
            return D(0)
        order = verdict.next
        signed = -order.contracts if order.side is Side.SELL else order.contracts
        self.fill(way.leg.leg.instrument, signed)
        return signed

    def fill(self, instrument: Instrument, signed: Decimal) -> None:
        ident, mark = instrument.id, self.marks[instrument.id]
        held, entry = self.contracts.get(ident, D(0)), self.entries.get(ident, mark)
        if signed > 0:
            self.wallet += instrument.coin_pnl(Contracts(-signed), entry, mark)
        elif instrument.kind is Kind.INVERSE:
            entry = (held + signed) / (held / entry + signed / mark)
        else:
            entry = (held * entry + signed * mark) / (held + signed)
        self.contracts[ident], self.entries[ident] = held + signed, entry

    def step(self, memory: HedgeMemory, most: str = "1e12") -> Decimal:
        """What the loop would do in one turn, on whichever leg; the signed contracts that were traded."""
        exposure = self.look()
        decision = decide(exposure, memory)
        if isinstance(decision, Rebalance):
            ways = routes(exposure, memory, decision.drift_base)
        else:
            ways = shift(exposure, memory)
        for way in ways:
            traded = self.send(exposure, way, most)
            if traded:
                return traded
        return D(0)


def two(first: Instrument, second: Instrument, shares: tuple[str, str] | None = None, act: str = "0.05") -> Hedge:
    def leg(instrument: Instrument, share: str | None) -> Leg:
        collateral = COINM if instrument.kind is Kind.INVERSE else None
        return Leg(instrument, None if share is None else D(share), collateral)

    one, other = (leg(first, shares[0] if shares else None), leg(second, shares[1] if shares else None))
    band = Band(min(D("0.02"), D(act)), D(act), D("0.90"))
    return Hedge(
        "btc",
        ("BTC",),
        (MAIN,),
        {},
        first,
        Target.ratio(D(1)),
        band,
        share=one.share,
        collateral=one.collateral,
        more=(other,),
    )


USDT, USDC = contract("USDT"), contract("USDC", venue="other")
NEAR = contract("USD", Kind.INVERSE, "100", "1", "0")
FAR = replace(NEAR, id=InstrumentId("main", "BTC/USD:BTC-270326"))
BOTH = {USDT.id: D(60_000), USDC.id: D(60_000)}
BROKEN = Reason("clock_offset", "other's clock is off")


# -- by preference ---------------------------------------------------------------------------------------------------


def test_sells_go_to_the_first_leg_and_covers_come_from_the_last() -> None:
    world = World(two(USDT, USDC), D(5), BOTH, {USDC.id: D(-2)})
    exposure = world.look()
    assert exposure.futures_base == -2
    (first, second) = routes(exposure, HedgeMemory(), Base(D(3)))
    assert (first.leg.id, first.drift_base, second.leg.id) == (USDT.id, D(3), USDC.id)
    world.contracts = {USDT.id: D(-3), USDC.id: D(-2)}
    ways = routes(world.look(), HedgeMemory(), Base(D(-4)))
    assert [(way.leg.id, way.drift_base) for way in ways] == [(USDC.id, D(-2)), (USDT.id, D(-3))], (
        "each ends at its position"
    )


def test_a_leg_that_cannot_be_traded_is_passed_over_and_still_counts() -> None:
    world = World(two(USDT, USDC), D(5), BOTH, {USDT.id: D(-1)}, blocks=((str(USDT.id), BROKEN),))
    exposure = world.look()
    assert (exposure.futures_base, exposure.blockers) == (D(-1), ())
    assert [way.leg.id for way in routes(exposure, HedgeMemory(), Base(D(4)))] == [USDC.id]
    assert routes(exposure, HedgeMemory(), Base(D(-1))) == (), "what it holds cannot be covered now"


def test_what_cannot_be_read_holds_the_hedge_and_not_the_others_market() -> None:
    far = two(NEAR, FAR)
    unread = World(far, D(5), {NEAR.id: D(60_000)}, {FAR.id: D(-1000)}).look()
    assert unread.futures_base is None
    assert unread.blockers, "an open coin-margined position without a price has no delta"
    unsure = Gap(str(USDC.id), "unconfirmed_position", "one word only")
    doubted = World(two(USDT, USDC), D(5), BOTH, {USDC.id: D(-1)}, gaps=(unsure,)).look()
    assert [reason.code for reason in doubted.blockers] == ["unconfirmed_position"], "shown, and not counted upon"
    halted = World(
        two(USDT, USDC), D(5), {USDC.id: D(60_000)}, {USDT.id: D(-1)}, gaps=(Gap(str(USDT.id), "no_price", "none"),)
    ).look()
    assert (halted.futures_base, halted.blockers) == (D(-1), ()), "a coin short is a coin at any price"
    flat = World(two(USDT, USDC), D(5), {USDC.id: D(60_000)}, gaps=(Gap(str(USDT.id), "no_price", "none"),)).look()
    assert (flat.futures_base, flat.blockers) == (D(0), ())
    assert [way.leg.id for way in routes(flat, HedgeMemory(), Base(D(5)))] == [USDC.id]


def test_when_no_leg_can_be_traded_the_hedge_says_so() -> None:
    world = World(two(USDT, USDC), D(5), BOTH, blocks=((str(USDT.id), BROKEN), (str(USDC.id), BROKEN)))
    assert world.look().blockers[0].code == "no_usable_leg"


# -- by share --------------------------------------------------------------------------------------------------------


def test_the_furthest_from_its_share_goes_first_and_a_halted_one_gives_its_share_away() -> None:
    split = two(USDT, USDC, ("0.7", "0.3"))
    world = World(split, D(10), BOTH, {USDT.id: D(-5)})
    (first, second, *_) = routes(world.look(), HedgeMemory(), Base(D(5)))
    assert [(first.leg.id, first.drift_base), (second.leg.id, second.drift_base)] == [(USDC.id, D(3)), (USDT.id, D(2))]
    world.sell_blocks = ((str(USDC.id), BROKEN),)
    ways = routes(world.look(), HedgeMemory(), Base(D(5)))
    assert {way.leg.id for way in ways} == {USDT.id}
    assert ways[0].drift_base == 5


def test_legs_apart_from_their_shares_are_brought_together_inside_the_band() -> None:
    world = World(two(USDT, USDC, ("0.5", "0.5")), D(10), BOTH, {USDT.id: D(-9), USDC.id: D(-1)})
    for _ in range(200):
        if not world.step(HedgeMemory()):
            break
        drift = world.look().drift_base
        assert drift is not None
        assert 0 <= drift <= D("0.5")
    assert all(abs(contracts + 5) <= D("0.5") for contracts in world.contracts.values())


# -- rolls -----------------------------------------------------------------------------------------------------------

ROLL = HedgeMemory(roll=Roll(NEAR.id, FAR.id, 1))


def test_a_coin_margined_short_rolled_at_a_profit_comes_out_as_the_page_has_it() -> None:
    """Wallet 5 BTC, 325,000 USD short from 65,000, near at 52,000, far at 52,780: 3,298 contracts of 100."""
    world = World(
        two(NEAR, FAR), D(0), {NEAR.id: D(52_000), FAR.id: D(52_780)}, {NEAR.id: D(-3250)}, {NEAR.id: D(65_000)},
        wallet=D(5),
    )  # fmt: skip
    exposure = world.look()
    assert exposure.exposure_base is not None
    assert round(exposure.exposure_base, 20) == D("6.25")
    turns = 0
    while world.step(ROLL):
        exposure, turns = world.look(), turns + 1
        assert exposure.drift_ratio is not None
        assert D("-1e-9") <= exposure.drift_ratio <= D("0.05")
    assert is_over(world.look(), Roll(NEAR.id, FAR.id, 1))
    assert world.contracts == {NEAR.id: 0, FAR.id: -3298}
    assert turns > 40, "in slices that stay inside the band"


def test_nothing_is_covered_while_the_target_cannot_be_traded() -> None:
    world = World(two(USDT, USDC), D(5), BOTH, {USDT.id: D(-5)}, sell_blocks=((str(USDC.id), BROKEN),))
    memory = HedgeMemory(roll=Roll(USDT.id, USDC.id, 1))
    assert world.step(memory) == 0
    why = stuck(world.look(), memory)
    assert why is not None
    assert "other's clock is off" in why.text
    world.sell_blocks = ()
    assert stuck(world.look(), memory) is None
    assert world.step(memory) > 0


def test_a_step_coarser_than_the_band_is_taken_all_the_same_and_said() -> None:
    coarse = contract("USDT", size="1", step="1")
    other = contract("USDC", size="1", step="1", venue="other")
    world = World(two(coarse, other), D(3), {coarse.id: D(60_000), other.id: D(60_000)}, {coarse.id: D(-3)})
    memory = HedgeMemory(roll=Roll(coarse.id, other.id, 1))
    (way,) = shift(world.look(), memory)
    assert [reason.code for reason in way.reasons] == ["rolling", "roll_coarse"]
    for _ in range(6):
        assert world.step(memory)
    assert world.contracts == {coarse.id: 0, other.id: -3}


def test_a_rest_below_the_minimum_is_kept_up_to_it_and_not_covered_with_the_slice() -> None:
    """1.2 of 2 coins fit inside the band and leave 0.8, which the market would not take: it is two times 1."""
    source = replace(contract("USDT", step="0.1"), min_contracts=Contracts(D(1)))
    target = contract("USDC", step="0.1", venue="other")
    marks = {source.id: D(60_000), target.id: D(60_000)}
    world = World(two(source, target), D(30), marks, {source.id: D(-2), target.id: D(-28)})
    memory = HedgeMemory(roll=Roll(source.id, target.id, 1))
    (way,) = shift(world.look(), memory)
    assert (way.leg.id, way.drift_base) == (source.id, D(-1))
    assert [reason.code for reason in way.reasons] == ["rolling"]


steps = st.sampled_from(["0.001", "0.01", "0.002", "0.005"])
prices = st.integers(20_000, 90_000).map(Decimal)
minimums = st.sampled_from(["0", "5", "100", "20"])


@settings(deadline=None, max_examples=60)
@given(
    coins=st.integers(200, 20_000).map(lambda n: D(n) / 1000),
    ratio=st.sampled_from(["1", "0.5", "0.25"]),
    near=st.tuples(steps, minimums, st.booleans()),
    far=st.tuples(steps, minimums, st.booleans()),
    mark=prices,
    basis=st.integers(-300, 300),
    most=st.sampled_from(["1e12", "5000", "20000"]),
    moves=st.lists(st.integers(-40, 40), min_size=8, max_size=8),
)
@example(  # the largest order left a rest that could not be covered any more
    coins=D(20),
    ratio="1",
    near=("0.001", "100", False),
    far=("0.001", "0", False),
    mark=D(20_000),
    basis=0,
    most="5000",
    moves=[0, 6, 12, 17, 0, -25, -25, -36],
)
def test_a_roll_stays_inside_the_band_never_goes_over_and_ends(
    coins: Decimal,
    ratio: str,
    near: tuple[str, str, bool],
    far: tuple[str, str, bool],
    mark: Decimal,
    basis: int,
    most: str,
    moves: list[int],
) -> None:
    source = _either("USD" if near[2] else "USDT", near)
    target = replace(_either("USD" if far[2] else "USDT", far), id=InstrumentId("main", "BTC/FAR:FAR"))
    of = replace(two(source, target), target=Target.ratio(D(ratio)))
    # Small next to a step or a minimum there is no way inside: that is the coarse case.
    least = max(_one(source, mark), _one(target, mark), D(110) / mark)
    assume(coins * D("0.016") > 2 * least + least)
    wanted = source.contracts_for(Base(coins * D(ratio)), mark) / source.step_contracts
    held = -wanted.to_integral_value(ROUND_FLOOR) * source.step_contracts
    marks = {source.id: mark, target.id: mark * (10_000 + basis) / 10_000}
    world = World(of, coins, marks, {source.id: held}, {source.id: mark})
    memory = HedgeMemory(roll=Roll(source.id, target.id, 1))
    for turn in range(3_000):
        before = world.look()
        traded = world.step(memory, most)
        exposure = world.look()
        assert exposure.drift_ratio is not None and before.drift_ratio is not None  # noqa: PT018
        if abs(before.drift_ratio) <= of.band.act:
            assert exposure.drift_ratio <= of.band.act, "a step of ours never opens the hedge beyond the band"
            if traded < 0:
                assert exposure.drift_ratio >= -D("1e-9"), "nor shorts more than the target"
        if not traded and is_over(exposure, Roll(source.id, target.id, 1)):
            break
        if turn % 10 == 9 and turn < 80:
            factor = D(10_000 + moves[turn // 10]) / 10_000
            world.marks = {ident: price * factor for ident, price in world.marks.items()}
        assert traded, f"no progress at turn {turn}: {world.contracts}"
    assert world.contracts[source.id] == 0


def _either(quote: str, drawn: tuple[str, str, bool]) -> Instrument:
    step, minimum, is_inverse = drawn
    if is_inverse:
        return contract(quote, Kind.INVERSE, "100" if step == "0.01" else "10", "1", "0")
    return contract(quote, step=step, least=minimum)


def _one(instrument: Instrument, mark: Decimal) -> Decimal:
    return abs(instrument.delta(instrument.step_contracts, mark))


@settings(deadline=None, max_examples=60)
@given(
    coins=st.integers(1_000, 20_000).map(lambda n: D(n) / 1000),
    flows=st.lists(st.integers(-900, 900), min_size=3, max_size=12),
    shares=st.sampled_from([None, ("0.5", "0.5"), ("0.7", "0.3"), ("0.1", "0.9")]),
    blocked=st.lists(st.sampled_from(["", "first", "second"]), min_size=12, max_size=12),
)
def test_two_legs_never_hedge_more_than_is_held_and_reach_the_target_by_themselves(
    coins: Decimal, flows: list[int], shares: tuple[str, str] | None, blocked: list[str]
) -> None:
    world = World(two(USDT, USDC, shares), coins, BOTH)
    for flow, block in zip(flows, blocked, strict=False):
        world.coins = max(D(0), world.coins + world.coins * flow / 1000)
        world.blocks = tuple(
            (str(ident), BROKEN) for ident, name in ((USDT.id, "first"), (USDC.id, "second")) if name == block
        )
        for _ in range(300):
            before = world.look()
            traded = world.step(HedgeMemory())
            after = world.look()
            assert after.drift_base is not None and before.drift_base is not None  # noqa: PT018
            if traded < 0:
                assert after.drift_base >= D("-1e-9")
            if not traded:
                break
        else:
            raise AssertionError("it never comes to rest")
    world.blocks = ()
    for _ in range(300):
        if not world.step(HedgeMemory()):
            break
    exposure = world.look()
    assert exposure.drift_base is not None
    assert exposure.weighted_base is not None
    assert abs(exposure.drift_base) <= D("0.05") * exposure.weighted_base + D("0.002")


def test_the_single_contract_of_before_is_routed_as_it_was() -> None:
    of = Hedge("btc", ("BTC",), (MAIN,), {}, linear(), Target.ratio(D(1)), Band(D("0.02"), D("0.05"), D("0.5")))
    world = World(of, D(5), {of.instrument.id: D(60_000)})
    (way,) = routes(world.look(), HedgeMemory(), Base(D(5)))
    assert (way.leg.id, way.drift_base, way.reasons) == (of.instrument.id, D(5), ())
    assert shift(world.look(), HedgeMemory()) == ()
