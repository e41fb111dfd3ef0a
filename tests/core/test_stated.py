"""Coins that no venue shows: counted with their age, and doubted by it."""

from __future__ import annotations

from dataclasses import replace

from keeper.core.hedge import accounts_of, coins_came, decide, recall, remember
from keeper.core.model import Base, Exposure, Gap, HedgeMemory, Hold, Rebalance, Statement
from keeper.core.stated import DAY_MS, declared_account, file_account
from tests.core.build import COIN, D, hedge, inverse, linear, look, snapshot

FILE = file_account("cold.json")
NOW = 20_000 * DAY_MS + 1


def test_a_file_is_an_account_beside_the_wallets() -> None:
    of = replace(hedge(linear()), statements=(Statement(FILE, "BTC", max_age_ms=DAY_MS),))
    assert accounts_of(of) == (*of.spot, FILE)
    seen = snapshot(of, "65000", {"BTC": "5"})
    key = (FILE, "BTC")
    full = replace(
        seen, taken_at_ms=NOW, holdings={**seen.holdings, key: Base(D("2.5"))}, stated_at_ms={key: NOW - 1_000}
    )
    exposure, memory = look(of, full)
    assert (exposure.spot_base, exposure.exposure_base, exposure.holdings_base) == (D("7.5"),) * 3
    assert exposure.stated == (Statement(FILE, "BTC", Base(D("2.5")), NOW - 1_000, DAY_MS),)
    assert decide(exposure, memory) == Rebalance(D("7.5"), decide(exposure, memory).reasons)  # type: ignore[arg-type,union-attr]


def test_a_file_that_was_not_read_is_not_zero() -> None:
    of = replace(hedge(linear()), statements=(Statement(FILE, "BTC"),))
    gap = Gap(str(FILE), "file_unreadable", "there is no file")
    exposure, memory = look(of, snapshot(of, "65000", {"BTC": "5"}, gaps=(gap,)))
    assert exposure.exposure_base is None
    assert exposure.stated == (Statement(FILE, "BTC"),)
    decision = decide(exposure, memory)
    assert isinstance(decision, Hold)
    assert [reason.code for reason in decision.reasons] == ["file_unreadable"]


def test_what_is_too_old_is_shown_and_not_acted_upon_in_either_direction() -> None:
    label = declared_account("ledger")
    for contracts in ("0", "-9"):
        for age_ms, held in ((DAY_MS, False), (DAY_MS + 1, True)):
            mine = Statement(label, "BTC", Base(D("2.5")), NOW - age_ms, DAY_MS)
            of = replace(hedge(linear()), statements=(mine,), declared={"BTC": Base(D("2.5"))})
            exposure, memory = look(of, replace(snapshot(of, "65000", {"BTC": "5"}, contracts), taken_at_ms=NOW))
            decision = decide(exposure, memory)
            assert exposure.exposure_base == D("7.5")
            assert exposure.drift_base == D("7.5") + D(contracts)
            assert isinstance(decision, Hold) is held
            if isinstance(decision, Hold):
                assert [reason.code for reason in decision.reasons] == ["stale_holding"]
                assert "declared.ledger" in decision.reasons[0].text


def test_a_date_alone_and_no_rule_never_hold() -> None:
    mine = Statement(declared_account("ledger"), "BTC", Base(D(1)), NOW - 4_000 * DAY_MS)
    of = replace(hedge(linear()), statements=(mine,), declared={"BTC": Base(D(1))})
    exposure, memory = look(of, replace(snapshot(of, "65000", {"BTC": "5"}), taken_at_ms=NOW))
    assert isinstance(decide(exposure, memory), Rebalance)


def test_a_date_to_come_holds() -> None:
    mine = Statement(declared_account("ledger"), "BTC", Base(D(1)), NOW + 2 * DAY_MS)
    of = replace(hedge(linear()), statements=(mine,), declared={"BTC": Base(D(1))})
    exposure, memory = look(of, replace(snapshot(of, "65000", {"BTC": "5"}), taken_at_ms=NOW))
    decision = decide(exposure, memory)
    assert isinstance(decision, Hold)
    assert decision.reasons[0].code == "future_holding"


def test_a_file_counts_for_its_own_coins_of_a_basket_only() -> None:
    of = replace(
        hedge(linear(), assets=("BTC", "SOL"), betas={"SOL": D(1)}), statements=(Statement(FILE, "SOL", max_age_ms=1),)
    )
    seen = snapshot(of, "65000", {"BTC": "1", "SOL": "0"}, prices={"SOL": "650"})
    exposure, _ = look(of, replace(seen, holdings={**seen.holdings, (FILE, "SOL"): Base(D(100))}))
    assert exposure.weighted_base == D(2)


def test_a_file_beside_a_coin_margined_contract_is_spot_and_not_margin() -> None:
    of = replace(hedge(inverse(), spot=()), statements=(Statement(FILE, "BTC"),))
    assert accounts_of(of) == (COIN, FILE)
    seen = snapshot(of, "60000", wallet="3")
    exposure, _ = look(of, replace(seen, holdings={(COIN, "BTC"): Base(D(3)), (FILE, "BTC"): Base(D(2))}))
    assert (exposure.spot_base, exposure.collateral_base, exposure.exposure_base) == (D(2), D(3), D(5))


def test_a_price_moves_the_sum_of_a_basket_and_brings_no_coins() -> None:
    """A rally must not look like coins that came in: the sells that it asks for would wait for it to end."""
    of = replace(
        hedge(linear(), "0.5", assets=("BTC", "SOL"), betas={"SOL": D(1)}), statements=(Statement(FILE, "SOL"),)
    )

    def at(price: str, sol: str) -> Exposure:
        seen = snapshot(of, "65000", {"BTC": "1", "SOL": "0"}, prices={"SOL": price})
        return look(of, replace(seen, holdings={**seen.holdings, (FILE, "SOL"): Base(D(sol))}))[0]

    first = at("650", "100")
    memory = remember(first, decide(first, HedgeMemory()), recall(first, HedgeMemory()))
    assert memory.held == {"BTC": D(1), "SOL": D(100)}
    dearer = at("1300", "100")
    assert (first.holdings_base, dearer.holdings_base) == (D(2), D(3))
    assert coins_came(dearer, memory) is None
    more = coins_came(at("650", "101"), memory)
    assert more is not None
    assert more.code == "coins_came_in"
    established = replace(memory, established=True)
    assert recall(dearer, established).established
    assert not recall(at("650", "110"), established).established
    assert coins_came(dearer, replace(memory, held={})) is not None, "an older journal knows the sum alone"
