"""The measuring tools of the speed scripts: they measure what they say."""

import gc
import json
import subprocess
import textwrap
import time

import measure
import pytest
import torch

MIB = 2**20


def test_variants_take_turns_after_warming_up():
    calls, collecting = [], []
    variants = {
        "a": lambda: calls.append("a") or collecting.append(gc.isenabled()),
        "b": lambda: calls.append("b"),
    }
    samples = measure.interleave(variants, repeats=3, warmup=1)
    assert calls == ["a", "b"] * 4
    assert {name: len(times) for name, times in samples.items()} == {"a": 3, "b": 3}
    assert not any(collecting)
    assert gc.isenabled()


def test_the_garbage_collector_is_left_on_when_a_variant_fails():
    with pytest.raises(ZeroDivisionError):
        measure.interleave({"a": lambda: 1 / 0})
    assert gc.isenabled()


def test_the_process_clock_does_not_count_sleep():
    def nap():
        time.sleep(0.05)

    assert max(measure.interleave({"nap": nap}, repeats=2, warmup=0)["nap"]) < 0.04
    assert min(measure.interleave({"nap": nap}, repeats=2, warmup=0, clock="wall")["nap"]) >= 0.05


def test_comparison_gives_medians_and_ratios_to_the_baseline(capsys):
    rows = measure.compare({"slow": [4.0, 3.0, 100.0], "fast": [1.0, 2.0, 3.0]}, baseline="slow", path="sum", n=10)
    assert rows[1] == dict(path="sum", n=10, variant="fast", seconds=2.0, min=1.0, max=3.0, repeats=3, ratio=2.0)
    assert rows[0]["ratio"] == 1
    assert "2.00 x slow" in capsys.readouterr().out


def test_a_tier_is_used_for_the_work_only():
    from graphssl.ops import backend

    x = torch.ones(2)
    usual = backend.choose("spmm", x)
    assert measure.in_tier("torch", lambda: backend.choose("spmm", x))() == "torch"
    assert backend.choose("spmm", x) == usual
    assert measure.tiers()[0] == "torch"


def test_peak_memory_sees_what_lived_shortly(tmp_path):
    script = tmp_path / "work.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(measure.__file__).removesuffix("/measure.py")!r})
        import measure, torch
        before = torch.ones(50 * 2**18)  # there before the work: not counted
        freed = [torch.ones(2**12) for _ in range(4000)]  # small pieces, which the allocator would keep
        del freed
        kept = []
        def work():
            for _ in range(3):
                torch.ones(20 * 2**18)  # 20 MiB, freed at once
                kept.append(bytes(100))  # between the pieces, so that an allocator could not join them
        measure.report_peak(work)
        """)
    )
    assert abs(measure.peak_memory([str(script)], timeout=120) - 20 * MIB) < MIB


def test_a_failing_child_is_told_with_its_message(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text("raise SystemExit('no such thing')")
    with pytest.raises(RuntimeError, match="no such thing"):
        measure.child([str(script)])
    script.write_text("print('nothing handed back')")
    with pytest.raises(RuntimeError, match="nothing handed back"):
        measure.child([str(script)])
    script.write_text("import time; time.sleep(60)")
    with pytest.raises(subprocess.TimeoutExpired):
        measure.child([str(script)], timeout=0.2)


def test_the_machine_is_described_without_names_and_paths():
    found = measure.machine()
    assert set(found) - {"gpu"} == {"cpu", "cores", "simd", "torch", "threads", "commit"}
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert set(found["simd"]) <= set(measure.SIMD)
    assert str(measure.ROOT) not in json.dumps(found)


def test_the_command_is_told_from_the_root_of_the_repository(monkeypatch):
    script = str(measure.ROOT / "benchmarks" / "speed" / "sum.py")
    monkeypatch.setattr("sys.argv", [script, "--variants", "plain;fast"])
    assert measure.command() == "python benchmarks/speed/sum.py --variants 'plain;fast'"


def test_results_are_replaced_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "speed")
    assert measure.saved("sum") == []
    measure.save("sum", [dict(n=1)], command="python first.py")
    path = measure.save("sum", [dict(n=2, seconds=0.5)], command="python second.py")
    assert measure.saved("sum") == [dict(n=2, seconds=0.5)]
    record = json.loads(path.read_text())
    assert record["command"] == "python second.py"
    assert record["machine"]["cores"] >= 1
    with pytest.raises(ValueError, match="JSON"):
        measure.save("sum", [dict(seconds=float("nan"))], command="python third.py")
